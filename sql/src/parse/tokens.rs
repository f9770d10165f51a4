//! Text → tokens with places → one run of tokens a statement.
//!
//! What enters: the whole string. What leaves: the tokens of each statement, blanks and comments dropped, with byte and
//! character places in the whole string. Deliberately absent: what the tokens mean.

use super::fault;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use millrace_error::{Error, ErrorKind, Result};
use std::str::Chars;

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Tok {
    /// The token.
    pub(super) token: Token,
    /// First byte in the whole string.
    pub(super) start: usize,
    /// The byte after its last.
    pub(super) end: usize,
    /// 1-based character position in the whole string.
    pub(super) at: usize,
    /// Line and column in the whole string.
    pub(super) from: Location,
    /// Line and column after it.
    pub(super) to: Location,
}

/// The tokens of one statement; never empty.
#[derive(Debug)]
pub(super) struct StatementTokens {
    /// In order, without blanks, comments and the semicolon.
    pub(super) tokens: Vec<Tok>,
    /// 1-based character position just after the last token.
    pub(super) end_at: usize,
}

/// Walks a string once, turning lines and columns into places.
struct Walker<'a> {
    chars: Chars<'a>,
    line: u64,
    column: u64,
    byte: usize,
    at: usize,
}

impl Walker<'_> {
    fn go_to(&mut self, place: Location) {
        while (self.line, self.column) < (place.line, place.column) {
            let Some(c) = self.chars.next() else { return };
            self.byte += c.len_utf8();
            self.at += 1;
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
    }
}

/// Splits a string into statements.
///
/// # Errors
/// `Syntax` where a string, comment or quoted name does not end.
pub(super) fn statements(sql: &str) -> Result<Vec<StatementTokens>> {
    let mut spans: Vec<TokenWithSpan> = Vec::new();
    let failed = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location_into_buf(&mut spans).err();
    let mut walker = Walker { chars: sql.chars(), line: 1, column: 1, byte: 0, at: 1 };
    let mut all = Vec::new();
    let mut current: Vec<Tok> = Vec::new();
    let (mut end_at, mut last) = (1, Location { line: 1, column: 1 });
    for TokenWithSpan { token, span } in spans {
        walker.go_to(span.start);
        let (start, at) = (walker.byte, walker.at);
        last = span.end;
        match token {
            Token::Whitespace(_) => {}
            Token::SemiColon => finish_statement(&mut all, &mut current, end_at),
            token => {
                walker.go_to(span.end);
                end_at = walker.at;
                current.push(Tok { token, start, end: walker.byte, at, from: span.start, to: span.end });
            }
        }
    }
    if let Some(failed) = failed {
        // What could not be read begins where the last token ends.
        walker.go_to(last);
        let near = sql.get(walker.byte..).unwrap_or_default();
        return Err(lexical(&failed.message, near).at(walker.at));
    }
    finish_statement(&mut all, &mut current, end_at);
    Ok(all)
}

fn finish_statement(all: &mut Vec<StatementTokens>, current: &mut Vec<Tok>, end_at: usize) {
    if !current.is_empty() {
        all.push(StatementTokens { tokens: std::mem::take(current), end_at });
    }
}

fn lexical(message: &str, near: &str) -> Error {
    let lower = message.to_ascii_lowercase();
    let what = if lower.contains("comment") {
        "unterminated /* comment"
    } else if lower.contains("dollar") {
        "unterminated dollar-quoted string"
    } else if lower.contains("close delimiter") {
        "unterminated quoted identifier"
    } else if lower.contains("unterminated") {
        "unterminated quoted string"
    } else {
        "syntax error"
    };
    let error = Error::new(ErrorKind::Syntax, format!("{what} at or near \"{}\"", fault::shorten(near)));
    if what == "syntax error" { error.detail(message.to_owned()) } else { error }
}
