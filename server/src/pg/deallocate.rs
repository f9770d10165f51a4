//! DEALLOCATE: the one SQL command that this door answers itself, since prepared statements live in it.
//!
//! What enters: the text of a statement. What leaves: which prepared statements go. Deliberately absent: SQL's own PREPARE
//! and EXECUTE.

use crate::pg::connection::Connection;
use crate::pg::reply::{self, Trouble};

/// Which prepared statements go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    All,
    Named(String),
}

/// `DEALLOCATE [PREPARE] { name | ALL }`, alone in its text. `None` for any other text.
pub(crate) fn target(sql: &str) -> Option<Target> {
    let text = sql.trim().trim_end_matches(';').trim_end();
    let rest = strip_word(text, "deallocate")?;
    let name = strip_word(rest, "prepare").unwrap_or(rest);
    if let Some(quoted) = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        let lone = quoted.replace("\"\"", "").contains('"');
        return (!quoted.is_empty() && !lone).then(|| Target::Named(quoted.replace("\"\"", "\"")));
    }
    if name.eq_ignore_ascii_case("all") {
        return Some(Target::All);
    }
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    plain.then(|| Target::Named(name.to_lowercase()))
}

/// What follows `word` and at least one blank.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    let blank = rest.starts_with(|c: char| c.is_ascii_whitespace());
    (head.eq_ignore_ascii_case(word) && blank).then(|| rest.trim_start())
}

impl Connection {
    pub(crate) fn deallocate(&mut self, target: &Target) -> Result<(), Trouble> {
        let tag = match target {
            Target::All => {
                self.prepared.clear();
                "DEALLOCATE ALL"
            }
            Target::Named(name) => {
                self.statement_named(name)?;
                self.prepared.remove(name);
                "DEALLOCATE"
            }
        };
        reply::command_complete(tag.to_owned(), &mut self.outgoing.buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_drivers_send() {
        let named = |name: &str| Some(Target::Named(name.to_owned()));
        assert_eq!(target(" DEALLOCATE ALL; "), Some(Target::All));
        assert_eq!(target("deallocate prepare S1"), named("s1"));
        assert_eq!(target("DEALLOCATE \"a\"\"B\""), named("a\"B"));
        assert_eq!(target("DEALLOCATE _pg3_0"), named("_pg3_0"));
        for other in ["DEALLOCATE", "DEALLOCATE a; SELECT 1", "SELECT 1", "deallocated x", "DEALLOCATE \"\""] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
