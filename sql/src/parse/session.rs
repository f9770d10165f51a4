//! Statements about the session: SET, RESET, SHOW, DISCARD, transactions.
//!
//! What enters: a cursor at the first word. What leaves: a [`Command`], or `None` where it is not one of these.
//! Deliberately absent: which settings there are (see `settings`).

use super::command::{Command, SetValue, Setting, ShowWhat, TransactionWord};
use super::cursor::{Cursor, Name, string_of};
use super::fault;
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_error::Result;

/// Parses a statement about the session.
pub(super) fn command(c: &mut Cursor<'_>) -> Result<Option<Command>> {
    if c.accept("show") {
        return show(c).map(Command::Show).map(Some);
    }
    if c.accept("set") {
        return set(c).map(Command::Set).map(Some);
    }
    if c.accept("reset") {
        if c.accept("all") {
            return Ok(Some(Command::Reset(None)));
        }
        return setting_name(c).map(|name| Some(Command::Reset(Some(name))));
    }
    if c.accept("discard") {
        for (word, tag) in
            [("all", "ALL"), ("plans", "PLANS"), ("sequences", "SEQUENCES"), ("temp", "TEMP"), ("temporary", "TEMP")]
        {
            if c.accept(word) {
                return Ok(Some(Command::Discard(tag)));
            }
        }
        return Err(c.error().detail("expected ALL, PLANS, SEQUENCES or TEMP"));
    }
    transaction(c).map(|word| word.map(Command::Transaction))
}

fn show(c: &mut Cursor<'_>) -> Result<ShowWhat> {
    if c.accept_all(&["create", "table"]) {
        return c.relation().map(ShowWhat::CreateTable);
    }
    if c.accept_all(&["create", "source"]) {
        return c.name().map(ShowWhat::CreateSource);
    }
    if c.looks_at(&["create"]) {
        c.next();
        return Err(c.error().detail("expected TABLE or SOURCE"));
    }
    for (word, what) in [("tables", ShowWhat::Tables), ("sources", ShowWhat::Sources), ("all", ShowWhat::AllSettings)] {
        if c.accept(word) {
            return Ok(what);
        }
    }
    setting_name(c).map(ShowWhat::Setting)
}

/// `a`, `a.b`, or one of the names that are two or three words.
fn setting_name(c: &mut Cursor<'_>) -> Result<Name> {
    let at = c.at();
    let fixed = |text: &str| Ok(Name { text: text.to_owned(), at });
    if c.accept_all(&["time", "zone"]) {
        return fixed("timezone");
    }
    if c.accept_all(&["transaction", "isolation", "level"]) {
        return fixed("transaction_isolation");
    }
    if c.accept_all(&["session", "authorization"]) {
        return fixed("session_authorization");
    }
    let mut name = c.name()?;
    while c.accept_token(&Token::Period) {
        let part = c.name()?;
        name.text.push('.');
        name.text.push_str(&part.text);
    }
    name.text.make_ascii_lowercase();
    Ok(name)
}

fn set(c: &mut Cursor<'_>) -> Result<Setting> {
    let at = c.at();
    let ignored =
        |text: &str| Setting { name: Name { text: text.to_owned(), at }, value: SetValue::Ignored, local: false };
    if c.accept_all(&["session", "characteristics", "as", "transaction"]) {
        transaction_modes(c)?;
        return Ok(ignored("session characteristics"));
    }
    if c.looks_at(&["session", "authorization"]) || c.looks_at_any(&["role", "constraints"]) {
        return Err(fault::later("SET SESSION AUTHORIZATION, ROLE and CONSTRAINTS", at));
    }
    if c.accept("transaction") {
        transaction_modes(c)?;
        return Ok(ignored("transaction"));
    }
    let local = c.accept("local");
    if !local {
        c.accept("session");
    }
    let at = c.at();
    if c.accept_all(&["time", "zone"]) {
        let name = Name { text: "timezone".to_owned(), at };
        return Ok(Setting { name, value: zone(c)?, local });
    }
    if c.accept("names") {
        let name = Name { text: "client_encoding".to_owned(), at };
        return Ok(Setting { name, value: values(c)?, local });
    }
    let name = setting_name(c)?;
    if !c.accept_token(&Token::Eq) {
        c.expect("to")?;
    }
    Ok(Setting { name, value: values(c)?, local })
}

fn zone(c: &mut Cursor<'_>) -> Result<SetValue> {
    if c.accept("local") || c.accept("default") {
        return Ok(SetValue::Default);
    }
    if c.accept("interval") {
        let (text, _) = c.expect_string()?;
        if c.accept("hour") {
            c.expect("to")?;
            c.expect("minute")?;
        }
        return Ok(SetValue::Text(format!("interval {text}")));
    }
    values(c)
}

/// One value or several between commas, as one text.
fn values(c: &mut Cursor<'_>) -> Result<SetValue> {
    if c.accept("default") {
        return Ok(SetValue::Default);
    }
    let mut all = vec![value(c)?];
    while c.accept_token(&Token::Comma) {
        all.push(value(c)?);
    }
    Ok(SetValue::Text(all.join(", ")))
}

fn value(c: &mut Cursor<'_>) -> Result<String> {
    let negative = c.accept_token(&Token::Minus);
    if !negative {
        c.accept_token(&Token::Plus);
    }
    let error = c.error();
    let Some(tok) = c.next() else { return Err(error) };
    match &tok.token {
        Token::Number(digits, _) if negative => Ok(format!("-{digits}")),
        Token::Number(digits, _) => Ok(digits.clone()),
        _ if negative => Err(error),
        Token::Word(w) if w.quote_style.is_some() => Ok(format!("\"{}\"", w.value.replace('"', "\"\""))),
        Token::Word(w) => Ok(w.value.to_ascii_lowercase()),
        token => string_of(token).map(str::to_owned).ok_or(error),
    }
}

fn transaction(c: &mut Cursor<'_>) -> Result<Option<TransactionWord>> {
    if c.accept("begin") {
        skip_work(c);
        transaction_modes(c)?;
        return Ok(Some(TransactionWord::Begin));
    }
    if c.accept_all(&["start", "transaction"]) {
        transaction_modes(c)?;
        return Ok(Some(TransactionWord::Start));
    }
    for (word, meaning) in [
        ("commit", TransactionWord::Commit),
        ("end", TransactionWord::Commit),
        ("rollback", TransactionWord::Rollback),
        ("abort", TransactionWord::Rollback),
    ] {
        let at = c.at();
        if !c.accept(word) {
            continue;
        }
        skip_work(c);
        if c.looks_at_any(&["prepared", "to"]) {
            return Err(fault::later("savepoints and prepared transactions", at));
        }
        if c.accept_all(&["and", "chain"]) {
            return Err(fault::later("AND CHAIN", at));
        }
        c.accept_all(&["and", "no", "chain"]);
        return Ok(Some(meaning));
    }
    Ok(None)
}

fn skip_work(c: &mut Cursor<'_>) {
    if !c.accept("work") {
        c.accept("transaction");
    }
}

/// Every isolation level is served by one snapshot a statement; the words are read and passed over.
fn transaction_modes(c: &mut Cursor<'_>) -> Result<()> {
    while c.peek().is_some() {
        let known = [
            &["isolation", "level", "serializable"][..],
            &["isolation", "level", "repeatable", "read"],
            &["isolation", "level", "read", "committed"],
            &["isolation", "level", "read", "uncommitted"],
            &["read", "only"],
            &["read", "write"],
            &["not", "deferrable"],
            &["deferrable"],
        ]
        .iter()
        .any(|words| c.accept_all(words));
        if !known {
            return Err(c.error());
        }
        c.accept_token(&Token::Comma);
    }
    Ok(())
}
