//! Every setting's name, and whether this version has it.

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Path in the TOML file.
    pub name: &'static str,
    /// Environment variable, where there is one.
    pub variable: Option<&'static str>,
    /// Whether it can be set.
    pub standing: Standing,
}

/// Whether a setting can be set.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Yes.
    Here,
    /// Its name is fixed, but this version does nothing with it and so refuses it.
    Later,
}

pub(super) const KEYS: &[Key] = &[
    here("data_dir", Some("MILLRACE_DATA_DIR")),
    here("pg.listen", Some("MILLRACE_PG_LISTEN")),
    here("http.listen", Some("MILLRACE_HTTP_LISTEN")),
    here("http.hosts", None),
    here("flight.listen", Some("MILLRACE_FLIGHT_LISTEN")),
    here("memory_limit", Some("MILLRACE_MEMORY_LIMIT")),
    here("wal.durability", None),
    here("limits.connections", None),
    here("limits.body_bytes", None),
    here("limits.record_bytes", None),
    later("limits.rows_per_request"),
    later("object_store.url"),
    later("object_store.mode"),
    later("object_store.endpoint"),
    later("object_store.region"),
    later("object_store.allow_http"),
    later("tls.cert"),
    later("tls.key"),
    later("disk_high_water"),
];

const fn here(name: &'static str, variable: Option<&'static str>) -> Key {
    Key { name, variable, standing: Standing::Here }
}

const fn later(name: &'static str) -> Key {
    Key { name, variable: None, standing: Standing::Later }
}

/// The known name closest to `key`, if any is close enough to be what was meant.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|known| (distance(key, known.name).min(distance(key, &known.name.replace('.', "_"))), known.name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((to, pair), left_of) in b.iter().zip(row.windows(2)).zip(0..) {
            let [diagonal, above] = pair else { continue };
            let left = next.get(left_of).copied().unwrap_or(usize::MAX);
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("memory_limt"), Some("memory_limit"));
        assert_eq!(nearest("pg.listn"), Some("pg.listen"));
        assert_eq!(nearest("data-dir"), Some("data_dir"));
        assert_eq!(nearest("zzz"), None);
    }
}
