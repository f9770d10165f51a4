//! `deny.toml` holds: licences, sources and bans of every package in the lock file, checked offline.

use millrace_tests::{cargo_metadata, checkout};

fn packages() -> Vec<serde_json::Value> {
    cargo_metadata()["packages"].as_array().unwrap().clone()
}

fn deny() -> toml::Table {
    std::fs::read_to_string(checkout().join("deny.toml")).unwrap().parse().unwrap()
}

fn strings(value: &toml::Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// Whether an SPDX expression can be met: any side of OR, every side of AND.
fn licensed(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let meets = |name: &str| allowed.iter().any(|a| a == name.trim());
    plain.split(" AND ").all(|side| side.split(" OR ").any(meets))
}

#[test]
fn licences_are_allowed() {
    let allowed = strings(&deny()["licenses"]["allow"]);
    let bad: Vec<String> = packages()
        .iter()
        .filter_map(|p| {
            let licence = p["license"].as_str().unwrap_or("none stated");
            (!licensed(licence, &allowed)).then(|| format!("{}: {licence}", p["name"]))
        })
        .collect();
    assert!(bad.is_empty(), "licences that deny.toml does not allow:\n{}", bad.join("\n"));
}

#[test]
fn packages_come_from_the_registry_or_from_here() {
    let allowed = strings(&deny()["sources"]["allow-registry"]);
    for package in packages() {
        if let Some(source) = package["source"].as_str() {
            let known = allowed.iter().any(|a| source == format!("registry+{a}"));
            assert!(known, "{} comes from {source}", package["name"]);
        }
    }
}

#[test]
fn banned_packages_are_absent() {
    let deny = deny();
    let banned = deny["bans"]["deny"].as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap().to_owned());
    let names: Vec<String> = packages().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
    let found: Vec<String> = banned.filter(|b| names.contains(b)).collect();
    assert!(found.is_empty(), "banned: {found:?}");
}

#[test]
fn expressions_are_read_right() {
    let allowed = vec!["MIT".to_owned(), "Apache-2.0".to_owned()];
    assert!(licensed("MIT OR GPL-3.0", &allowed) && licensed("MIT/Apache-2.0", &allowed));
    assert!(licensed("(MIT OR GPL-3.0) AND Apache-2.0", &allowed));
    assert!(!licensed("GPL-3.0", &allowed) && !licensed("MIT AND GPL-3.0", &allowed));
}
