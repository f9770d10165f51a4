//! When to seal. Pure.

use millrace_schema::TableOptions;
use std::time::Duration;

/// What is unsealed of one family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unsealed {
    /// Rows, dead letters included.
    pub(crate) rows: u64,
    /// Bytes charged.
    pub(crate) bytes: u64,
    /// Since when something (a row or a moved position) has been unsealed; `None`: nothing is.
    pub(crate) age: Option<Duration>,
}

/// Rows below which a segment waits ten times as long: few tiny parts rather than many.
const ROWS_WORTH_A_PART: u64 = 10_000;
const PATIENCE: u32 = 10;

/// Whether a family should seal by its own settings.
pub(crate) fn due(options: &TableOptions, unsealed: &Unsealed) -> bool {
    let Some(age) = unsealed.age else { return false };
    unsealed.rows >= options.seal_rows
        || unsealed.bytes >= options.seal_bytes
        || (age >= options.seal_age && unsealed.rows >= ROWS_WORTH_A_PART)
        || age >= options.seal_age.saturating_mul(PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_bytes_or_age() {
        let options = TableOptions::default();
        let due = |rows, bytes, secs| due(&options, &Unsealed { rows, bytes, age: Some(Duration::from_secs(secs)) });
        assert!(!due(1_999_999, 0, 1));
        assert!(due(2_000_000, 0, 0));
        assert!(due(1, 256 << 20, 0));
        assert!(!due(9_999, 0, 60) && due(10_000, 0, 60), "age alone once there are 10,000 rows");
        assert!(!due(0, 0, 599) && due(0, 0, 600), "positions alone are committed in the end");
        assert!(!super::due(&options, &Unsealed::default()));
    }
}
