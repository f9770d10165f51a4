//! `(name = value, …)`: the lists after WITH and KAFKA.
//!
//! What enters: a cursor at the parenthesis. What leaves: names and values as text, each with its place, no name twice.
//! Deliberately absent: which names there are.

use super::cursor::{Cursor, string_of};
use super::{fault, nearest};
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_error::{Error, ErrorKind, Result};

/// One `name = value`.
#[derive(Clone)]
pub(super) struct OptionItem {
    /// Folded unless quoted; may hold dots.
    pub(super) name: String,
    /// 1-based character position of the name.
    pub(super) name_at: usize,
    /// Literal, never folded where it was a string.
    pub(super) value: String,
    /// 1-based character position of the value.
    pub(super) value_at: usize,
}

/// Values may be secrets.
impl std::fmt::Debug for OptionItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OptionItem").field("name", &self.name).finish_non_exhaustive()
    }
}

impl OptionItem {
    /// A refusal of the value, at the value.
    pub(super) fn invalid(&self, why: impl std::fmt::Display) -> Error {
        fault::invalid(format!("invalid value for option \"{}\": {why}", self.name), self.value_at)
    }

    /// The value as one of a few words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        if let Some((_, value)) = words.iter().find(|(word, _)| self.value.eq_ignore_ascii_case(word)) {
            return Ok(*value);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let error = self.invalid(format!("\"{}\"", fault::shorten(&self.value)));
        Err(match nearest(&self.value, all.iter().copied()) {
            Some(word) => error.hint(format!("did you mean '{word}'? It is one of {}", all.join(", "))),
            None => error.hint(format!("it is one of {}", all.join(", "))),
        })
    }

    /// Adds the place to an error about the value that came from elsewhere.
    pub(super) fn place<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.at(self.value_at))
    }
}

/// Parses a list in parentheses.
pub(super) fn options(c: &mut Cursor<'_>) -> Result<Vec<OptionItem>> {
    c.expect_token(&Token::LParen)?;
    let mut items: Vec<OptionItem> = Vec::new();
    if c.accept_token(&Token::RParen) {
        return Ok(items);
    }
    loop {
        let item = option(c)?;
        if items.iter().any(|i| i.name == item.name) {
            let message = format!("option \"{}\" is given more than once", fault::shorten(&item.name));
            return Err(Error::new(ErrorKind::Syntax, message).at(item.name_at));
        }
        items.push(item);
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)?;
    Ok(items)
}

fn option(c: &mut Cursor<'_>) -> Result<OptionItem> {
    let name_at = c.at();
    let name = match c.string() {
        Some((text, _)) => text,
        None => dotted(c)?,
    };
    c.expect_token(&Token::Eq)?;
    let value_at = c.at();
    let error = c.error().detail("expected a value in single quotes");
    let negative = c.accept_token(&Token::Minus);
    let Some(tok) = c.next() else { return Err(error) };
    let value = match &tok.token {
        Token::Number(digits, _) if negative => format!("-{digits}"),
        _ if negative => return Err(error),
        Token::Number(digits, _) => digits.clone(),
        Token::Word(w) => w.value.clone(),
        token => string_of(token).map(str::to_owned).ok_or(error)?,
    };
    Ok(OptionItem { name, name_at, value, value_at })
}

fn dotted(c: &mut Cursor<'_>) -> Result<String> {
    let mut name = String::new();
    loop {
        let error = c.error().detail("expected the name of an option");
        match c.next().map(|t| &t.token) {
            Some(Token::Word(w)) if w.quote_style.is_some() => name.push_str(&w.value),
            Some(Token::Word(w)) => name.push_str(&w.value.to_ascii_lowercase()),
            _ => return Err(error),
        }
        if !c.accept_token(&Token::Period) {
            return Ok(name);
        }
        name.push('.');
    }
}

/// An option that there is not, at its name.
pub(super) fn unknown(item: &OptionItem, known: &[&str]) -> Error {
    let error = fault::invalid(format!("unknown option \"{}\"", fault::shorten(&item.name)), item.name_at);
    match nearest(&item.name, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("the options are {}", known.join(", "))),
    }
}
