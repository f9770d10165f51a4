//! Crates point one way; `ingest` and `sql` never see each other; storage knows no engine and no client.

use millrace_tests::cargo_metadata;
use std::collections::{BTreeMap, BTreeSet};

/// Allowed edges between our crates (dev-dependencies may add `testkit`).
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("clock", &[]),
    ("sys", &[]),
    ("schema", &["error"]),
    ("testkit", &["schema", "clock", "error"]),
    ("proto", &["error"]),
    ("storage", &["error", "clock", "schema", "proto"]),
    ("ingest", &["error", "clock", "schema", "sys", "storage"]),
    ("sql", &["error", "clock", "schema", "storage"]),
    ("server", &["error", "clock", "schema", "sys", "storage", "ingest", "sql"]),
    ("tests", &["error", "clock", "schema", "storage", "ingest", "sql", "server"]),
    ("benches", &["error", "clock", "schema", "storage", "ingest", "sql", "tests"]),
];

/// What must not be below a crate, not even indirectly.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("storage", &["datafusion", "rdkafka", "pgwire", "tonic", "axum", "hyper", "sqlparser"]),
    ("ingest", &["datafusion", "pgwire", "axum", "sqlparser"]),
    ("sql", &["rdkafka", "pgwire", "axum"]),
    ("schema", &["tokio", "datafusion", "parquet"]),
];

/// Package name → names of the packages it depends on, dev-dependencies apart.
fn edges(metadata: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<&str, &str> =
        packages.iter().map(|p| (p["id"].as_str().unwrap(), p["name"].as_str().unwrap())).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|node| {
            let normal = |dep: &&serde_json::Value| {
                dep["dep_kinds"].as_array().unwrap().iter().any(|k| k["kind"].as_str() != Some("dev"))
            };
            let deps = node["deps"].as_array().unwrap().iter().filter(normal);
            let deps = deps.map(|d| names[d["pkg"].as_str().unwrap()].to_owned()).collect();
            (names[node["id"].as_str().unwrap()].to_owned(), deps)
        })
        .collect()
}

#[test]
fn crates_point_one_way() {
    let edges = edges(&cargo_metadata());
    let ours = edges.keys().filter_map(|name| name.strip_prefix("millrace-"));
    for name in ours {
        let allowed = ALLOWED.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no rule for {name}")).1;
        for dep in edges[&format!("millrace-{name}")].iter().filter_map(|d| d.strip_prefix("millrace-")) {
            assert!(allowed.contains(&dep), "{name} must not depend on {dep}");
        }
    }
}

#[test]
fn boundaries_hold_all_the_way_down() {
    let edges = edges(&cargo_metadata());
    for (name, forbidden) in FORBIDDEN {
        let mut below = BTreeSet::new();
        let mut todo = vec![format!("millrace-{name}")];
        while let Some(next) = todo.pop() {
            for dep in &edges[&next] {
                if below.insert(dep.clone()) {
                    todo.push(dep.clone());
                }
            }
        }
        let found: Vec<_> = forbidden.iter().filter(|f| below.contains(**f)).collect();
        assert!(found.is_empty(), "{name} reaches {found:?}");
    }
}
