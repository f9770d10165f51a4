//! Settings of the allocator.

/// `mi_option_purge_delay` of mimalloc.h; the crate names only some options.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How long freed memory stays with the process, milliseconds. Segments are freed and made again all the time: at
/// mimalloc's 10 ms half of a seal went into the kernel's clearing of fresh pages (`benches/README.md`).
const PURGE_DELAY_MS: libc::c_long = 2_000;

/// Tells mimalloc how this process uses memory. Call it first in `main`; `MIMALLOC_…` in the environment says otherwise.
pub fn tune_allocator() {
    let unless_set = |name: &str, option, value| {
        if std::env::var_os(name).is_none() {
            // SAFETY: mi_option_set takes plain integers, checks the option's number and touches no memory of ours.
            unsafe { libmimalloc_sys::mi_option_set(option, value) };
        }
    };
    unless_set("MIMALLOC_PURGE_DELAY", PURGE_DELAY, PURGE_DELAY_MS);
    unless_set("MIMALLOC_ALLOW_LARGE_OS_PAGES", libmimalloc_sys::mi_option_large_os_pages, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_option_s() {
        tune_allocator();
        // SAFETY: reads an integer.
        let value = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(value, PURGE_DELAY_MS);
    }
}
