//! Queries, and `EXPLAIN` of them, by way of sqlparser.
//!
//! What enters: a cursor at the first word of a query. What leaves: sqlparser's tree, with spans in the statement's own text.
//! Deliberately absent: planning; data-modifying queries, which this version refuses.

use super::Parsed;
use super::bounded::BoundedDialect;
use super::cursor::Cursor;
use super::tokens::Tok;
use super::words::CLAUSES;
use super::{clauses, fault, nearest};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};
use millrace_error::{Error, ErrorKind, Result};

/// How deep parentheses and subqueries may nest.
const NESTING_MAX: usize = 160;
/// How many operators may follow one another: each makes the tree one level deeper.
const DEPTH_MAX: usize = 1_000;

/// A query and its text.
pub(super) struct ParsedQuery {
    pub(super) statement: Box<Statement>,
    pub(super) text: String,
    pub(super) offset: usize,
}

/// Whether the cursor stands before a query.
pub(super) fn starts_here(c: &Cursor<'_>) -> bool {
    c.looks_at_any(&["select", "with", "values", "table"]) || c.peek().is_some_and(|t| t.token == Token::LParen)
}

/// Parses all that is left as one query.
pub(super) fn query(c: &Cursor<'_>) -> Result<ParsedQuery> {
    let tokens = c.rest();
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return Err(c.error()) };
    check_depth(tokens)?;
    let spelt = clauses::respell(tokens);
    let dialect = BoundedDialect::new(spelt.len());
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(NESTING_MAX)
        .with_tokens_with_locations(spelt.iter().map(|t| relative(t, first.from)).collect());
    let parsed = parser.parse_statement().and_then(|statement| match parser.peek_token_ref().token {
        Token::EOF => Ok(statement),
        _ => parser.expected_ref("end of statement", parser.peek_token_ref()),
    });
    if dialect.exhausted() {
        return Err(too_deep(first.at));
    }
    let mut statement = parsed.map_err(|error| refused(c, &parser, &error))?;
    if let Some(what) = data_modifying(&statement) {
        return Err(fault::later(what, first.at));
    }
    clauses::settle(&mut statement, tokens)?;
    let text = c.sql().get(first.start..last.end).unwrap_or_default().to_owned();
    Ok(ParsedQuery { statement: Box::new(statement), text, offset: first.at.saturating_sub(1) })
}

/// Parses what follows `EXPLAIN`.
pub(super) fn explain(c: &mut Cursor<'_>) -> Result<Parsed> {
    let (mut analyze, mut verbose) = (false, false);
    if explain_options_follow(c) {
        c.expect_token(&Token::LParen)?;
        loop {
            let at = c.at();
            let name = c.word().ok_or_else(|| c.error())?;
            c.next();
            let value = if c.rest().first().is_some_and(|t| matches!(t.token, Token::Comma | Token::RParen)) {
                None
            } else {
                Some(c.next().map(|t| t.token.to_string().to_ascii_lowercase()).ok_or_else(|| c.error())?)
            };
            let on = !matches!(value.as_deref(), Some("off" | "false" | "0"));
            match name.as_str() {
                "analyze" | "analyse" => analyze = on,
                "verbose" => verbose = on,
                "costs" | "buffers" | "timing" | "summary" | "settings" | "wal" => {}
                "format" if value.as_deref() == Some("text") => {}
                "format" => return Err(fault::later("EXPLAIN in another format than text", at)),
                _ => return Err(unknown_explain_option(&name, at)),
            }
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    } else {
        analyze = c.accept("analyze") || c.accept("analyse");
        verbose = c.accept("verbose");
    }
    if !starts_here(c) {
        let refused = if c.peek().is_some() { super::command::command(&mut c.clone()).err() } else { None };
        return Err(match refused {
            Some(error) => error,
            None if c.peek().is_some() => fault::later("EXPLAIN of anything but a query", c.at()),
            None => c.error(),
        });
    }
    let ParsedQuery { statement, text, offset } = query(c)?;
    Ok(Parsed::Explain { statement, text, offset, analyze, verbose })
}

/// `EXPLAIN (ANALYZE …) SELECT` against `EXPLAIN (SELECT …)`.
fn explain_options_follow(c: &Cursor<'_>) -> bool {
    let mut inside = c.clone();
    inside.accept_token(&Token::LParen) && !starts_here(&inside)
}

fn unknown_explain_option(name: &str, at: usize) -> Error {
    let error =
        Error::new(ErrorKind::Syntax, format!("unrecognized EXPLAIN option \"{}\"", fault::shorten(name))).at(at);
    match nearest(name, ["analyze", "verbose", "costs", "buffers", "timing", "summary", "settings", "wal", "format"]) {
        Some(near) => error.hint(format!("did you mean {}?", near.to_uppercase())),
        None => error,
    }
}

/// The token with its place counted from the start of the statement.
fn relative(tok: &Tok, first: Location) -> TokenWithSpan {
    let shift = |place: Location| Location {
        line: place.line.saturating_sub(first.line) + 1,
        column: if place.line == first.line { place.column.saturating_sub(first.column) + 1 } else { place.column },
    };
    TokenWithSpan { token: tok.token.clone(), span: Span::new(shift(tok.from), shift(tok.to)) }
}

/// Refuses operators so many that the tree they make could not be walked, copied or dropped on any stack.
///
/// Counts the greatest depth of the tree from above: each operator deepens what stands left of it, and what stands in
/// parentheses is one operand.
fn check_depth(tokens: &[Tok]) -> Result<()> {
    // Of each open parenthesis: the depth since the last comma, and the greatest before it.
    let mut levels: Vec<(usize, usize)> = vec![(0, 0)];
    for tok in tokens {
        match &tok.token {
            Token::LParen | Token::LBracket => levels.push((0, 0)),
            Token::RParen | Token::RBracket if levels.len() > 1 => {
                let inner = levels.pop().map_or(0, |(now, before)| now.max(before));
                if let Some((now, _)) = levels.last_mut() {
                    *now = inner.max(*now) + 1;
                }
            }
            Token::Comma => {
                if let Some((now, before)) = levels.last_mut() {
                    *before = (*before).max(*now);
                    *now = 0;
                }
            }
            token if deepens(token) => {
                if let Some((now, _)) = levels.last_mut() {
                    *now += 1;
                }
            }
            _ => {}
        }
        if levels.last().is_some_and(|(now, _)| *now > DEPTH_MAX) {
            return Err(too_deep(tok.at));
        }
    }
    Ok(())
}

fn deepens(token: &Token) -> bool {
    const WORDS: [&str; 14] = [
        "and",
        "or",
        "not",
        "is",
        "like",
        "ilike",
        "similar",
        "between",
        "in",
        "collate",
        "at",
        "union",
        "except",
        "intersect",
    ];
    match token {
        Token::Word(w) => w.quote_style.is_none() && WORDS.iter().any(|x| w.value.eq_ignore_ascii_case(x)),
        Token::Number(..) | Token::Period | Token::Placeholder(_) | Token::RParen | Token::RBracket => false,
        token => super::cursor::string_of(token).is_none(),
    }
}

fn too_deep(at: usize) -> Error {
    Error::new(ErrorKind::TooLarge, "the statement nests too deep")
        .hint("write long OR chains as IN (…) or = ANY (…), and nested queries as WITH")
        .at(at)
}

/// sqlparser's refusal as PostgreSQL would word it.
fn refused(c: &Cursor<'_>, parser: &Parser<'_>, error: &ParserError) -> Error {
    let tokens = c.rest();
    let message = match error {
        ParserError::RecursionLimitExceeded => return too_deep(c.at()),
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    let (what, place) = split_location(message);
    let first = tokens.first().map_or(Location { line: 1, column: 1 }, |t| t.from);
    let index = match place {
        Some(place) => tokens.iter().position(|t| relative(t, first).span.start >= place),
        None if what.contains("EOF") => None,
        None => Some(parser.get_current_index()),
    };
    let found = index.and_then(|i| tokens.get(i));
    if let Some(later) = table_version(tokens) {
        return later;
    }
    let near = found.map(|t| c.sql().get(t.start..t.end).unwrap_or_default());
    let end = tokens.last().map_or(1, |t| t.at + c.sql().get(t.start..t.end).unwrap_or_default().chars().count());
    let error = fault::syntax(near, found.map_or(end, |t| t.at)).detail(what.to_owned());
    match misspelt(tokens, index.unwrap_or(tokens.len())) {
        Some((word, meant)) => error.hint(format!("did you mean {} instead of \"{word}\"?", meant.to_uppercase())),
        None => error,
    }
}

/// Cuts ` at Line: 1, Column: 5` off a message.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let Some((what, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let Some((line, column)) = place.split_once(", Column: ") else { return (message, None) };
    match (line.parse(), column.parse()) {
        (Ok(line), Ok(column)) => (what, Some(Location { line, column })),
        _ => (message, None),
    }
}

/// `t VERSION AS OF 12`, `t FOR SYSTEM_TIME AS OF …`: of a later version.
fn table_version(tokens: &[Tok]) -> Option<Error> {
    let is = |tok: &Tok, word: &str| matches!(&tok.token, Token::Word(w) if w.value.eq_ignore_ascii_case(word));
    let windows = tokens.windows(3);
    let found = windows.into_iter().find(|w| match w {
        [a, b, c] => (is(a, "version") || is(a, "system_time")) && is(b, "as") && is(c, "of"),
        _ => false,
    })?;
    found.first().map(|t| fault::later("reading an older version of a table (AS OF)", t.at))
}

/// A word just before or at the place of the error that is nearly a keyword.
fn misspelt(tokens: &[Tok], index: usize) -> Option<(String, &'static str)> {
    let from = index.saturating_sub(1);
    tokens.get(from..tokens.len().min(index.saturating_add(1)))?.iter().find_map(|tok| match &tok.token {
        Token::Word(w) if w.quote_style.is_none() && w.value.len() > 2 => {
            let word = w.value.to_ascii_lowercase();
            let exact = CLAUSES.contains(&word.as_str());
            if exact { None } else { nearest(&word, CLAUSES.iter().copied()).map(|meant| (w.value.clone(), meant)) }
        }
        _ => None,
    })
}

/// The name of what a statement would change, if it would.
fn data_modifying(statement: &Statement) -> Option<&'static str> {
    let Statement::Query(query) = statement else { return Some("this statement") };
    query_changes(query)
}

fn query_changes(query: &Query) -> Option<&'static str> {
    let ctes = query.with.iter().flat_map(|w| &w.cte_tables);
    ctes.into_iter().find_map(|cte| query_changes(&cte.query)).or_else(|| body_changes(&query.body))
}

fn body_changes(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::Insert(_) => Some("INSERT"),
        SetExpr::Update(_) => Some("UPDATE"),
        SetExpr::Delete(_) => Some("DELETE"),
        SetExpr::Merge(_) => Some("MERGE"),
        SetExpr::Select(select) => select.into.is_some().then_some("SELECT INTO"),
        SetExpr::Query(query) => query_changes(query),
        SetExpr::SetOperation { left, right, .. } => body_changes(right).or_else(|| body_changes(left)),
        SetExpr::Values(_) | SetExpr::Table(_) => None,
    }
}
