//! Thread priority.

/// How much nicer background threads are than those that answer queries and read sources.
const BACKGROUND_NICE: libc::c_int = 10;

/// Lowers the calling thread's priority to nice 10, for background work (seals, merges). Whether it worked: it cannot
/// fail on Linux unless a sandbox forbids it, and then the thread simply stays as it was.
pub fn lower_thread_priority() -> bool {
    // SAFETY: setpriority takes plain integers and touches no memory of ours. On Linux `PRIO_PROCESS` with id 0 means the
    // calling thread alone (setpriority(2), "C library/kernel differences"), not the whole process.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, BACKGROUND_NICE) };
    result == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_gets_nicer() {
        let nice = || {
            // SAFETY: as above; reads one integer.
            unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
        };
        let before = nice();
        let lowered = std::thread::spawn(move || lower_thread_priority().then(nice)).join().unwrap();
        assert_eq!(lowered, Some(BACKGROUND_NICE));
        assert_eq!(nice(), before);
    }
}
