//! What the machine offers: memory and cores, as far as this process may use them.

use std::path::Path;

/// Memory this process may use, bytes: the machine's, or the control group's limit where that is less.
/// 2 GiB where neither can be read.
pub(crate) fn memory_bytes() -> u64 {
    let machine = read("/proc/meminfo").as_deref().and_then(|text| kibibytes(text, "MemTotal:"));
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(2 << 30)
}

/// Cores this process may run on; at least 1.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory this process holds, bytes; 0 where it cannot be read.
pub(crate) fn resident_bytes() -> u64 {
    read("/proc/self/status").as_deref().and_then(|text| kibibytes(text, "VmRSS:")).unwrap_or(0)
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The value of a line such as `MemTotal:   2048 kB`, in bytes.
fn kibibytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(label))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_meminfo() {
        assert_eq!(kibibytes("MemFree: 1 kB\nMemTotal:       2048 kB\n", "MemTotal:"), Some(2 << 20));
        assert_eq!(kibibytes("nothing", "MemTotal:"), None);
        assert!(memory_bytes() > 0 && resident_bytes() > 0 && cores() > 0);
    }
}
