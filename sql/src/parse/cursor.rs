//! A place in a statement's tokens, and how to move on.
//!
//! What enters: the tokens of one statement. What leaves: words, names, strings, or a syntax error at the place.
//! Deliberately absent: any grammar.

use super::command::RelationName;
use super::fault;
use super::tokens::{StatementTokens, Tok};
use super::words::is_reserved;
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_error::{Error, ErrorKind, Result};

/// PostgreSQL's limit on a name, in bytes.
const NAME_LEN_MAX: usize = 63;

/// A name as it is stored, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// Folded to lower case unless it was quoted.
    pub(crate) text: String,
    /// 1-based character position.
    pub(crate) at: usize,
}

/// Reads tokens one after another.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    sql: &'a str,
    tokens: &'a [Tok],
    end_at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of a statement.
    pub(super) fn new(sql: &'a str, statement: &'a StatementTokens) -> Self {
        Self { sql, tokens: &statement.tokens, end_at: statement.end_at }
    }

    /// The whole string.
    pub(super) fn sql(&self) -> &'a str {
        self.sql
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [Tok] {
        self.tokens
    }

    /// The next token.
    pub(super) fn peek(&self) -> Option<&'a Tok> {
        self.tokens.first()
    }

    /// The position of the next token, or of the end.
    pub(super) fn at(&self) -> usize {
        self.peek().map_or(self.end_at, |t| t.at)
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Option<&'a Tok> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// The text from a token up to where the cursor stands, as the user wrote it.
    pub(super) fn text_since(&self, from: &Cursor<'a>) -> &'a str {
        let taken = from.tokens.len().saturating_sub(self.tokens.len());
        let (Some(first), Some(last)) = (from.tokens.first(), taken.checked_sub(1).and_then(|i| from.tokens.get(i)))
        else {
            return "";
        };
        self.sql.get(first.start..last.end).unwrap_or_default()
    }

    /// Whether the next tokens are these unquoted words (in lower case).
    pub(super) fn looks_at(&self, words: &[&str]) -> bool {
        self.tokens.len() >= words.len() && self.tokens.iter().zip(words).all(|(t, w)| is_word(&t.token, w))
    }

    /// Whether the next token is one of these unquoted words.
    pub(super) fn looks_at_any(&self, words: &[&str]) -> bool {
        words.iter().any(|w| self.looks_at(&[w]))
    }

    /// Takes the word if it is next.
    pub(super) fn accept(&mut self, word: &str) -> bool {
        self.accept_all(&[word])
    }

    /// Takes the words if all are next.
    pub(super) fn accept_all(&mut self, words: &[&str]) -> bool {
        let found = self.looks_at(words);
        if found {
            self.tokens = self.tokens.get(words.len()..).unwrap_or_default();
        }
        found
    }

    /// Takes the token if it is next.
    pub(super) fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|t| t.token == *token);
        if found {
            self.next();
        }
        found
    }

    /// Takes the word or fails.
    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        if self.accept(word) {
            return Ok(());
        }
        let error = self.error();
        let near = self.word().and_then(|found| super::nearest(&found, [word]));
        Err(match near {
            Some(word) => error.hint(format!("did you mean {}?", word.to_uppercase())),
            None => error.detail(format!("expected {}", word.to_uppercase())),
        })
    }

    /// Takes the token or fails.
    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.accept_token(token) { Ok(()) } else { Err(self.error().detail(format!("expected {token}"))) }
    }

    /// The next token as an unquoted word, folded.
    pub(super) fn word(&self) -> Option<String> {
        match &self.peek()?.token {
            Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// Takes a string constant of any of PostgreSQL's forms, with its position.
    pub(super) fn string(&mut self) -> Option<(String, usize)> {
        let tok = self.peek()?;
        let text = string_of(&tok.token)?.to_owned();
        self.next();
        Some((text, tok.at))
    }

    /// Takes a string constant or fails.
    pub(super) fn expect_string(&mut self) -> Result<(String, usize)> {
        self.string().ok_or_else(|| self.error().detail("expected a string in single quotes"))
    }

    /// Takes a name, quoted or not.
    ///
    /// # Errors
    /// `Syntax` where none is; `InvalidValue` where it is longer than PostgreSQL's 63 bytes.
    pub(super) fn name(&mut self) -> Result<Name> {
        let Some(Tok { token: Token::Word(word), at, .. }) = self.peek() else {
            return Err(self.error().detail("expected a name"));
        };
        let text = match word.quote_style {
            Some(_) if word.value.is_empty() => {
                return Err(Error::new(ErrorKind::Syntax, "zero-length delimited identifier at or near \"\"").at(*at));
            }
            Some(_) => word.value.clone(),
            None => word.value.to_ascii_lowercase(),
        };
        if word.quote_style.is_none() && is_reserved(&text) {
            return Err(self.error().hint(format!("{text} is a reserved word; to use it as a name write \"{text}\"")));
        }
        if text.len() > NAME_LEN_MAX {
            return Err(fault::invalid(format!("name \"{}\" is too long", fault::shorten(&text)), *at)
                .hint(format!("a name has at most {NAME_LEN_MAX} bytes")));
        }
        self.next();
        Ok(Name { text, at: *at })
    }

    /// Takes `[[catalog.]schema.]name`.
    pub(super) fn relation(&mut self) -> Result<RelationName> {
        let at = self.at();
        let mut parts = vec![self.name()?];
        while self.accept_token(&Token::Period) {
            parts.push(self.name()?);
        }
        let mut parts = parts.into_iter().rev();
        let (name, schema, catalog) = (parts.next(), parts.next(), parts.next());
        let Some(name) = name else { return Err(self.error()) };
        if parts.next().is_some() {
            return Err(Error::new(ErrorKind::Syntax, "improper qualified name (too many dotted names)").at(at));
        }
        if catalog.is_some_and(|c| c.text != "millrace") {
            return Err(fault::later("a reference to another database", at));
        }
        Ok(RelationName { schema: schema.map(|s| s.text), name: name.text, at })
    }

    /// Takes a whole number without sign.
    pub(super) fn whole_number(&mut self) -> Result<u32> {
        let number = match self.peek().map(|t| &t.token) {
            Some(Token::Number(digits, _)) => digits.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.error().detail("expected a whole number"))?;
        self.next();
        Ok(number)
    }

    /// A syntax error at the next token.
    pub(super) fn error(&self) -> Error {
        let near = self.peek().map(|t| self.sql.get(t.start..t.end).unwrap_or_default());
        fault::syntax(near, self.at())
    }

    /// Fails unless everything was taken.
    pub(super) fn finish(&self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.error()) }
    }
}

/// Whether a token is this word, unquoted.
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// The text of a string constant.
pub(super) fn string_of(token: &Token) -> Option<&str> {
    match token {
        Token::SingleQuotedString(s)
        | Token::EscapedStringLiteral(s)
        | Token::UnicodeStringLiteral(s)
        | Token::NationalStringLiteral(s) => Some(s),
        Token::DollarQuotedString(s) => Some(&s.value),
        _ => None,
    }
}
