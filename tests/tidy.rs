//! The norms of `CONTRIBUTING.md` that have a number: a rule without a check is a wish.

use millrace_tests::checkout;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const BANNED_NAMES: [&str; 8] = ["utils", "util", "helpers", "helper", "common", "misc", "manager", "types"];

/// Every Rust file that git knows or would know, generated code apart.
fn sources() -> Vec<(PathBuf, String)> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(checkout())
        .output()
        .unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let files: Vec<_> = list
        .lines()
        .filter(|f| !f.contains("/gen/") && !f.starts_with("hack/"))
        .map(|f| (PathBuf::from(f), checkout().join(f)))
        .filter_map(|(name, path)| Some((name, std::fs::read_to_string(path).ok()?)))
        .collect();
    assert!(files.len() > 20, "the list of sources is empty");
    files
}

fn report(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().take_while(|l| !l.starts_with("#[cfg(test)]")).count();
        (lines > FILE_LINES_MAX).then(|| format!("{} ({lines})", path.display()))
    });
    report(&format!("over {FILE_LINES_MAX} lines before their tests"), long.collect());
}

#[test]
fn functions_are_short() {
    let long = sources().into_iter().flat_map(|(path, text)| {
        let lines: Vec<&str> = text.lines().collect();
        let starts = (0..lines.len()).filter(|i| begins_function(lines[*i])).collect::<Vec<_>>();
        starts
            .into_iter()
            .filter_map(|i| {
                let length = function_length(&lines[i..])?;
                (length > FUNCTION_LINES_MAX)
                    .then(|| format!("{}:{} {} ({length})", path.display(), i + 1, lines[i].trim()))
            })
            .collect::<Vec<_>>()
    });
    report(&format!("over {FUNCTION_LINES_MAX} lines"), long.collect());
}

fn begins_function(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|w| *w == "fn");
    let modifiers = ["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe", "extern", "\"C\""];
    at.is_some_and(|at| words[..at].iter().all(|w| modifiers.contains(w)))
}

/// Lines up to the closing brace at the indentation of the first line: rustfmt keeps it there.
fn function_length(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    let indent = first.len() - first.trim_start().len();
    let closing = format!("{}}}", " ".repeat(indent));
    if first.trim_end().ends_with(';') || first.trim_end().ends_with('}') {
        return None;
    }
    lines.iter().position(|l| *l == closing).map(|end| end + 1)
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources()
        .into_iter()
        .filter(|(_, text)| !text.lines().next().is_some_and(|l| l.starts_with("//! ") && l.len() > 12))
        .map(|(path, _)| path.display().to_string());
    report("no `//!` header", silent.collect());
}

#[test]
fn names_say_something() {
    let banned = sources().into_iter().filter_map(|(path, _)| {
        let stem = path.file_stem()?.to_str()?.to_owned();
        let folder = path.parent().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or("").to_owned();
        let bad = BANNED_NAMES.contains(&stem.as_str()) || BANNED_NAMES.contains(&folder.as_str());
        bad.then(|| path.display().to_string())
    });
    report("names that say nothing", banned.collect());
}

#[test]
fn nothing_is_left_half_done() {
    let marks = ["todo!", "unimplemented!", "FIXME", "dbg!("];
    let found = sources().into_iter().filter(|(path, _)| !path.ends_with("tests/tidy.rs")).flat_map(|(path, text)| {
        text.lines()
            .enumerate()
            .filter(|(_, line)| marks.iter().any(|m| line.contains(m)))
            .map(|(i, line)| format!("{}:{} {}", path.display(), i + 1, line.trim()))
            .collect::<Vec<_>>()
    });
    report("left half done", found.collect());
}

#[test]
fn the_readme_names_commands_that_exist() {
    let makefile = std::fs::read_to_string(checkout().join("Makefile")).unwrap();
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let targets = readme.split("`make ").skip(1).filter_map(|rest| rest.split('`').next());
    let missing = targets.filter(|t| !makefile.lines().any(|l| l.starts_with(&format!("{t}:")))).map(str::to_owned);
    report("README names make targets that do not exist", missing.collect());
}
