//! Types of columns, by all the names PostgreSQL has for them.
//!
//! What enters: a cursor at a type's name. What leaves: a [`ColumnType`], or which type of PostgreSQL is not stored here.
//! Deliberately absent: types of expressions; those are DataFusion's.

use super::cursor::Cursor;
use super::{fault, nearest};
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::ColumnType;

const NUMERIC_PRECISION_MAX: u32 = 38;
const VARCHAR_LEN_MAX: u32 = 10_485_760;

const KNOWN: &[&str] = &[
    "boolean",
    "bool",
    "smallint",
    "int2",
    "integer",
    "int",
    "int4",
    "bigint",
    "int8",
    "real",
    "float4",
    "float8",
    "double",
    "float",
    "numeric",
    "decimal",
    "text",
    "varchar",
    "character",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "json",
    "jsonb",
];

/// Types that PostgreSQL has and a table here has not, and what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("interval", "store a number of seconds as bigint or double precision"),
    ("char", "write text"),
    ("bpchar", "write text"),
    ("nchar", "write text"),
    ("name", "write text"),
    ("citext", "write text"),
    ("xml", "write text"),
    ("serial", "write integer; rows come from a source, not from a sequence"),
    ("serial4", "write integer; rows come from a source, not from a sequence"),
    ("bigserial", "write bigint; rows come from a source, not from a sequence"),
    ("serial8", "write bigint; rows come from a source, not from a sequence"),
    ("smallserial", "write smallint; rows come from a source, not from a sequence"),
    ("serial2", "write smallint; rows come from a source, not from a sequence"),
    ("timetz", "write time or timestamptz"),
    ("money", "write numeric(18,2)"),
    ("oid", "write bigint"),
    ("inet", "write text"),
    ("cidr", "write text"),
    ("macaddr", "write text"),
    ("bit", "write bytea"),
    ("varbit", "write bytea"),
    ("point", "write two columns"),
    ("hstore", "write jsonb"),
    ("tsvector", "write text"),
    ("vector", "write jsonb"),
];

/// Parses a type. `column` is named in refusals.
///
/// # Errors
/// `NotSupported` for PostgreSQL's other types; `UnknownObject` for what is none; `InvalidValue` for a bad length.
pub(super) fn column_type(c: &mut Cursor<'_>, column: &str) -> Result<ColumnType> {
    let at = c.at();
    c.accept_all(&["pg_catalog"]).then(|| c.expect_token(&Token::Period)).transpose()?;
    let word = match c.peek().map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_some() => w.value.clone(),
        Some(Token::Word(w)) => w.value.to_ascii_lowercase(),
        _ => return Err(c.error().detail(format!("expected the type of column {column}"))),
    };
    c.next();
    let ty = match word.as_str() {
        "boolean" | "bool" => ColumnType::Boolean,
        "smallint" | "int2" => ColumnType::SmallInt,
        "integer" | "int" | "int4" => ColumnType::Integer,
        "bigint" | "int8" => ColumnType::BigInt,
        "real" | "float4" => ColumnType::Real,
        "float8" => ColumnType::Double,
        "double" => c.expect("precision").map(|()| ColumnType::Double)?,
        "float" => float(c)?,
        "numeric" | "decimal" | "dec" => numeric(c, column, at)?,
        "text" => ColumnType::Text,
        "varchar" => varchar(c)?,
        "character" if c.accept("varying") => varchar(c)?,
        "character" => return Err(not_stored("character", "write text", column, at)),
        "bytea" => ColumnType::Bytea,
        "date" => ColumnType::Date,
        "time" => time_of_day(c, column, at)?,
        "timestamp" => timestamp(c, column, at)?,
        "timestamptz" => micros(c, "timestamptz", column, at).map(|()| ColumnType::TimestampTz)?,
        "uuid" => ColumnType::Uuid,
        "json" => ColumnType::Json,
        "jsonb" => ColumnType::Jsonb,
        other => return Err(unknown(other, column, at)),
    };
    if c.looks_at(&["array"]) || c.peek().is_some_and(|t| t.token == Token::LBracket) {
        return Err(not_stored(&format!("{ty}[]"), "write jsonb", column, at));
    }
    Ok(ty)
}

fn unknown(word: &str, column: &str, at: usize) -> Error {
    if let Some((name, instead)) = REFUSED.iter().find(|(name, _)| *name == word) {
        return not_stored(name, instead, column, at);
    }
    let shown = fault::shorten(word);
    let error = Error::new(ErrorKind::UnknownObject, format!("type \"{shown}\" does not exist")).at(at);
    match word {
        "string" => error.hint("did you mean text?"),
        "datetime" => error.hint("did you mean timestamp or timestamptz?"),
        "tinyint" => error.hint("did you mean smallint?"),
        "blob" | "binary" | "varbinary" => error.hint("did you mean bytea?"),
        _ => match nearest(word, KNOWN.iter().copied()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error,
        },
    }
}

fn not_stored(ty: &str, instead: &str, column: &str, at: usize) -> Error {
    Error::not_supported(format!("type {ty} of column \"{}\" is not supported in this version", fault::shorten(column)))
        .hint(instead.to_owned())
        .at(at)
}

fn parenthesised<T>(c: &mut Cursor<'_>, inside: impl FnOnce(&mut Cursor<'_>) -> Result<T>) -> Result<Option<T>> {
    if !c.accept_token(&Token::LParen) {
        return Ok(None);
    }
    let value = inside(c)?;
    c.expect_token(&Token::RParen)?;
    Ok(Some(value))
}

fn float(c: &mut Cursor<'_>) -> Result<ColumnType> {
    let at = c.at();
    match parenthesised(c, |c| c.whole_number())? {
        None | Some(25..=53) => Ok(ColumnType::Double),
        Some(1..=24) => Ok(ColumnType::Real),
        Some(_) => Err(fault::invalid("precision for type float must be between 1 and 53", at)),
    }
}

fn numeric(c: &mut Cursor<'_>, column: &str, at: usize) -> Result<ColumnType> {
    let both = parenthesised(c, |c| {
        let precision = c.whole_number()?;
        let scale = if c.accept_token(&Token::Comma) { c.whole_number()? } else { 0 };
        Ok((precision, scale))
    })?;
    let Some((precision, scale)) = both else {
        return Err(not_stored("numeric without a precision", "write numeric(p,s), such as numeric(18,2)", column, at));
    };
    if !(1..=NUMERIC_PRECISION_MAX).contains(&precision) {
        let message = format!("numeric precision {precision} must be between 1 and {NUMERIC_PRECISION_MAX}");
        return Err(fault::invalid(message, at));
    }
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s)) if scale <= precision => Ok(ColumnType::Numeric { precision: p, scale: s }),
        _ => Err(fault::invalid(format!("numeric scale {scale} must be between 0 and precision {precision}"), at)),
    }
}

fn varchar(c: &mut Cursor<'_>) -> Result<ColumnType> {
    let at = c.at();
    match parenthesised(c, |c| c.whole_number())? {
        None => Ok(ColumnType::Text),
        Some(n) if (1..=VARCHAR_LEN_MAX).contains(&n) => Ok(ColumnType::Varchar(n)),
        Some(_) => Err(fault::invalid(format!("length for type varchar must be between 1 and {VARCHAR_LEN_MAX}"), at)),
    }
}

/// `(6)` after the name of a time type; any other precision would lose digits.
fn micros(c: &mut Cursor<'_>, ty: &str, column: &str, at: usize) -> Result<()> {
    match parenthesised(c, |c| c.whole_number())? {
        None | Some(6) => Ok(()),
        Some(n) => {
            Err(not_stored(&format!("{ty}({n})"), "leave the precision out: times keep microseconds", column, at))
        }
    }
}

fn time_of_day(c: &mut Cursor<'_>, column: &str, at: usize) -> Result<ColumnType> {
    micros(c, "time", column, at)?;
    if c.accept_all(&["with", "time", "zone"]) {
        return Err(not_stored("time with time zone", "write time or timestamptz", column, at));
    }
    c.accept_all(&["without", "time", "zone"]);
    Ok(ColumnType::Time)
}

fn timestamp(c: &mut Cursor<'_>, column: &str, at: usize) -> Result<ColumnType> {
    micros(c, "timestamp", column, at)?;
    if c.accept_all(&["with", "time", "zone"]) {
        return Ok(ColumnType::TimestampTz);
    }
    c.accept_all(&["without", "time", "zone"]);
    Ok(ColumnType::Timestamp)
}
