//! Clauses between the text and DataFusion: those it knows by other words, and those it would silently pass over.
//!
//! What enters: tokens before sqlparser sees them, and sqlparser's tree. What leaves: the same in words that DataFusion knows,
//! or `NotSupported` with the clause's name. Deliberately absent: anything that DataFusion refuses by itself.

use super::cursor::is_word;
use super::time::zone_of;
use super::tokens::Tok;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, Query, Select, Statement, TableFactor,
    Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::{Token, Word};
use millrace_error::{Error, ErrorKind, Result};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// `TABLE t` as `SELECT * FROM t`, `current_schema` with parentheses; the places stay.
pub(super) fn respell(tokens: &[Tok]) -> Cow<'_, [Tok]> {
    if !tokens.iter().any(|t| is_word(&t.token, "table") || is_word(&t.token, "current_schema")) {
        return Cow::Borrowed(tokens);
    }
    let mut out: Vec<Tok> = Vec::with_capacity(tokens.len() + 4);
    for (index, tok) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| tokens.get(i)).map(|t| &t.token);
        let after = tokens.get(index + 1).map(|t| &t.token);
        let put = |token: Token| Tok { token, ..tok.clone() };
        if is_word(&tok.token, "table") && begins_query(before) && matches!(after, Some(Token::Word(_))) {
            out.extend([put(word("SELECT")), put(Token::Mul), put(word("FROM"))]);
        } else if is_word(&tok.token, "current_schema")
            && after != Some(&Token::LParen)
            && before != Some(&Token::Period)
            && !before.is_some_and(|t| is_word(t, "as"))
        {
            out.extend([tok.clone(), put(Token::LParen), put(Token::RParen)]);
        } else {
            out.push(tok.clone());
        }
    }
    Cow::Owned(out)
}

fn word(text: &str) -> Token {
    // Makes the keyword known to sqlparser too.
    Token::make_word(text, None)
}

fn begins_query(before: Option<&Token>) -> bool {
    match before {
        None | Some(Token::LParen) => true,
        Some(token @ Token::Word(Word { quote_style: None, .. })) => {
            ["union", "all", "distinct", "except", "intersect"].iter().any(|w| is_word(token, w))
        }
        Some(_) => false,
    }
}

/// Puts `FETCH FIRST` as `LIMIT`; refuses what DataFusion would not do and not refuse.
///
/// # Errors
/// `NotSupported`, at the first word of the clause; `InvalidValue` for a zone that does not exist.
pub(super) fn settle(statement: &mut Statement, tokens: &[Tok]) -> Result<()> {
    let ControlFlow::Break(refusal) = statement.visit(&mut Settle) else { return Ok(()) };
    let found = tokens.iter().find(|t| is_word(&t.token, refusal.word)).or(tokens.first());
    Err(refusal.error.at(found.map_or(1, |t| t.at)))
}

/// What is wrong, and the word where it begins.
struct Refusal {
    error: Error,
    word: &'static str,
}

/// A clause that this version has not.
fn refuse(what: &str, word: &'static str, hint: &str) -> ControlFlow<Refusal> {
    let error = Error::not_supported(format!("{what} is not supported in this version"));
    let error = if hint.is_empty() { error } else { error.hint(hint) };
    ControlFlow::Break(Refusal { error, word })
}

struct Settle;

impl VisitorMut for Settle {
    type Break = Refusal;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Refusal> {
        if let Some(lock) = query.locks.first() {
            return match lock.lock_type {
                ast::LockType::Update => refuse("FOR UPDATE", "for", "a query reads one snapshot and locks nothing"),
                ast::LockType::Share => refuse("FOR SHARE", "for", "a query reads one snapshot and locks nothing"),
            };
        }
        if query.for_clause.is_some() {
            return refuse("FOR XML, FOR JSON or FOR BROWSE", "for", "");
        }
        if query.settings.is_some() {
            return refuse("SETTINGS", "settings", "");
        }
        if query.format_clause.is_some() {
            return refuse("FORMAT", "format", "");
        }
        match query.fetch.take() {
            Some(fetch) => limit(query, fetch),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Refusal> {
        if select.top.is_some() {
            return refuse("TOP", "top", "write LIMIT n at the end");
        }
        if select.prewhere.is_some() {
            return refuse("PREWHERE", "prewhere", "");
        }
        if !select.cluster_by.is_empty() {
            return refuse("CLUSTER BY", "cluster", "");
        }
        if !select.distribute_by.is_empty() {
            return refuse("DISTRIBUTE BY", "distribute", "");
        }
        if !select.sort_by.is_empty() {
            return refuse("SORT BY", "sort", "write ORDER BY");
        }
        if !select.connect_by.is_empty() {
            return refuse("CONNECT BY", "connect", "write WITH RECURSIVE");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Refusal> {
        let sample = match factor {
            TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => sample.is_some(),
            _ => false,
        };
        if sample {
            return refuse("TABLESAMPLE", "tablesample", "write WHERE random() < 0.01");
        }
        let TableFactor::Table { with_ordinality, with_hints, version, partitions, index_hints, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if *with_ordinality {
            return refuse("WITH ORDINALITY", "ordinality", "write row_number() OVER ()");
        }
        if !with_hints.is_empty() || !index_hints.is_empty() || !partitions.is_empty() {
            return refuse("a hint at a table", "from", "");
        }
        if version.is_some() {
            return refuse("reading an older version of a table (AS OF)", "of", "");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Refusal> {
        match expr {
            Expr::SimilarTo { .. } => refuse("SIMILAR TO", "similar", "write LIKE, or ~ with a regular expression"),
            Expr::Function(function) if named(function, "to_char") && !chrono_pattern(function) => refuse(
                "to_char with PostgreSQL's patterns",
                "to_char",
                "write a constant pattern like '%Y-%m-%d %H:%M:%S', or date_trunc, extract or a cast to text",
            ),
            Expr::AtTimeZone { time_zone, .. } => zone(time_zone),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// DataFusion reads the zone only where it must.
fn zone(expr: &Expr) -> ControlFlow<Refusal> {
    let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
    match &value.value {
        Value::SingleQuotedString(name) if zone_of(name).is_none() => {
            let error = Error::new(ErrorKind::InvalidValue, format!("time zone \"{name}\" not recognized"));
            ControlFlow::Break(Refusal {
                error: error.hint("write it like 'Europe/Berlin', 'UTC' or '+02:00'"),
                word: "at",
            })
        }
        _ => ControlFlow::Continue(()),
    }
}

/// `FETCH FIRST n ROWS ONLY` as `LIMIT n`.
fn limit(query: &mut Query, fetch: Fetch) -> ControlFlow<Refusal> {
    if fetch.with_ties {
        return refuse("FETCH … WITH TIES", "fetch", "write a window function: rank() OVER (ORDER BY …) <= n");
    }
    if fetch.percent {
        return refuse("FETCH … PERCENT", "fetch", "");
    }
    let rows = fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
        none @ None => {
            *none = Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() });
        }
        Some(_) => return refuse("LIMIT and FETCH in one query", "fetch", "write one of them"),
    }
    ControlFlow::Continue(())
}

fn named(function: &ast::Function, name: &str) -> bool {
    let last = function.name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|ident| ident.value.eq_ignore_ascii_case(name))
}

/// Whether the second argument is a constant that holds one of chrono's fields.
fn chrono_pattern(function: &ast::Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    match list.args.as_slice() {
        [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => {
            matches!(&value.value, Value::SingleQuotedString(pattern) if pattern.contains('%'))
        }
        // Not two arguments: planning says what is wrong.
        [_, _] => false,
        _ => true,
    }
}
