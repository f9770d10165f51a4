//! DuckDB as oracle: answers worked out from files, never by us.

use crate::{cache, checkout};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `sql` in DuckDB and returns the rows as JSON values. The Wikipedia events are there as table `wikipedia`.
pub fn duckdb(sql: &str) -> Vec<Vec<serde_json::Value>> {
    let python = cache().join("venv/bin/python");
    let mut child = Command::new(&python)
        .arg(checkout().join("tests/oracle/duck.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}; `make test` installs it", python.display()));
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "DuckDB failed on {sql}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Compares rows of text, as the Postgres wire gives them, with DuckDB's; numbers to 1e-9.
pub fn assert_same(ours: &[Vec<Option<String>>], theirs: &[Vec<serde_json::Value>], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}: row count");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(a.len(), b.len(), "{what}: column count");
        for (x, y) in a.iter().zip(b) {
            assert!(same(x.as_deref(), y), "{what}: row {i} is {a:?}, DuckDB says {b:?}");
        }
    }
}

fn same(ours: Option<&str>, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (None, serde_json::Value::Null) => true,
        (Some("t"), serde_json::Value::Bool(b)) => *b,
        (Some("f"), serde_json::Value::Bool(b)) => !*b,
        (Some(text), serde_json::Value::Number(n)) => {
            let (x, y): (f64, f64) = (text.parse().unwrap(), n.to_string().parse().unwrap());
            (x - y).abs() <= 1e-9 * y.abs().max(1.0)
        }
        (Some(text), serde_json::Value::String(s)) => text == s,
        _ => false,
    }
}
