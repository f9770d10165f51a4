//! DEFAULT: constants, and what they come to in a column.
//!
//! What enters: a cursor after `DEFAULT` and the column's type. What leaves: a [`DefaultValue`]. Deliberately absent:
//! functions and operators; a default is evaluated once, here, and holds for every row.

use super::column_type::column_type;
use super::cursor::Cursor;
use super::{literal, number};
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{ColumnType, DefaultValue, Scalar};

const NESTING_MAX: usize = 32;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A constant before it is fitted to a column.
enum Constant {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Typed(ColumnType, Scalar),
}

/// Parses the constant after `DEFAULT` and fits it to type `ty`.
///
/// # Errors
/// `NotSupported` for anything but a constant; otherwise as the type refuses it, at the constant.
pub(super) fn default_value(c: &mut Cursor<'_>, column: &str, ty: ColumnType) -> Result<DefaultValue> {
    let start = c.clone();
    let constant = constant(c, column, 0)?;
    let over = c.peek().is_none_or(|t| matches!(t.token, Token::Comma | Token::RParen))
        || c.looks_at_any(&[
            "not",
            "default",
            "null",
            "constraint",
            "primary",
            "unique",
            "check",
            "references",
            "collate",
            "generated",
        ]);
    if !over {
        return Err(not_constant(start.at()));
    }
    let value = fit(constant, ty).map_err(|e| e.with("column", column).at(start.at()))?;
    Ok(DefaultValue { sql: c.text_since(&start).to_owned(), value })
}

fn not_constant(at: usize) -> Error {
    Error::not_supported("DEFAULT must be a constant in this version")
        .hint("write a number, a string, true, false or NULL")
        .at(at)
}

fn constant(c: &mut Cursor<'_>, column: &str, depth: usize) -> Result<Constant> {
    let at = c.at();
    if depth > NESTING_MAX {
        return Err(Error::new(ErrorKind::TooLarge, "the DEFAULT nests too deep").at(at));
    }
    let mut value = first(c, column, depth, at)?;
    while c.accept_token(&Token::DoubleColon) {
        let ty = column_type(c, column)?;
        value = cast(value, ty).map_err(|e| e.at(at))?;
    }
    Ok(value)
}

fn first(c: &mut Cursor<'_>, column: &str, depth: usize, at: usize) -> Result<Constant> {
    if let Some((text, _)) = c.string() {
        return Ok(Constant::Text(text));
    }
    if c.accept_token(&Token::LParen) {
        let inner = constant(c, column, depth + 1)?;
        if !c.accept_token(&Token::RParen) {
            return Err(if c.peek().is_some() { not_constant(at) } else { c.error() });
        }
        return Ok(inner);
    }
    let negative = c.accept_token(&Token::Minus);
    if !negative {
        c.accept_token(&Token::Plus);
    }
    if let Some(Token::Number(digits, _)) = c.peek().map(|t| &t.token) {
        c.next();
        return Ok(Constant::Number(if negative { format!("-{digits}") } else { digits.clone() }));
    }
    if c.peek().is_none_or(|t| matches!(t.token, Token::Comma | Token::RParen)) {
        return Err(c.error().detail("expected a constant"));
    }
    for (word, value) in [("null", Constant::Null), ("true", Constant::Bool(true)), ("false", Constant::Bool(false))] {
        if c.accept(word) {
            return Ok(value);
        }
    }
    if c.accept("cast") {
        c.expect_token(&Token::LParen)?;
        let inner = constant(c, column, depth + 1)?;
        c.expect("as")?;
        let ty = column_type(c, column)?;
        c.expect_token(&Token::RParen)?;
        return cast(inner, ty).map_err(|e| e.at(at));
    }
    // `timestamptz '…'`: a type, then a string.
    let mut ahead = c.clone();
    if let Ok(ty) = column_type(&mut ahead, column)
        && let Some((text, _)) = ahead.string()
    {
        *c = ahead;
        return literal::parse_text(ty, &text).map(|value| Constant::Typed(ty, value)).map_err(|e| e.at(at));
    }
    Err(not_constant(at))
}

fn cast(value: Constant, ty: ColumnType) -> Result<Constant> {
    Ok(match fit(value, ty)? {
        Some(value) => Constant::Typed(ty, value),
        None => Constant::Null,
    })
}

fn fit(constant: Constant, ty: ColumnType) -> Result<Option<Scalar>> {
    let mismatch = |from: &str| {
        Error::new(ErrorKind::TypeMismatch, format!("the default is of type {from} and the column is of type {ty}"))
    };
    match constant {
        Constant::Null => Ok(None),
        Constant::Text(text) => literal::parse_text(ty, &text).map(Some),
        Constant::Bool(value) => match ty {
            ColumnType::Boolean => Ok(Some(Scalar::Bool(value))),
            ColumnType::Text | ColumnType::Varchar(_) => literal::parse_text(ty, &value.to_string()).map(Some),
            _ => Err(mismatch("boolean")),
        },
        Constant::Number(digits) => match ty {
            ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt => {
                literal::parse_text(ty, &number::numeric(&digits, 38, 0)?.to_string()).map(Some)
            }
            ColumnType::Real
            | ColumnType::Double
            | ColumnType::Numeric { .. }
            | ColumnType::Text
            | ColumnType::Varchar(_) => literal::parse_text(ty, &digits).map(Some),
            _ => Err(mismatch("numeric")),
        },
        Constant::Typed(from, value) if from == ty => Ok(Some(value)),
        Constant::Typed(from, value) => {
            convert(from, &value, ty).unwrap_or_else(|| Err(mismatch(&from.to_string()))).map(Some)
        }
    }
}

/// A value of one type as another; `None` where PostgreSQL would not assign it.
fn convert(from: ColumnType, value: &Scalar, to: ColumnType) -> Option<Result<Scalar>> {
    use ColumnType::{
        BigInt, Date, Double, Integer, Json, Jsonb, Numeric, Real, SmallInt, Text, Timestamp, TimestampTz, Varchar,
    };
    match (from, value, to) {
        (
            SmallInt | Integer | BigInt,
            Scalar::Int(n),
            SmallInt | Integer | BigInt | Real | Double | Numeric { .. } | Text | Varchar(_),
        ) => Some(literal::parse_text(to, &n.to_string())),
        (Real | Double, Scalar::Float(x), SmallInt | Integer | BigInt) => {
            Some(literal::parse_text(to, &x.round_ties_even().to_string()))
        }
        (Real | Double, Scalar::Float(x), Real | Double | Numeric { .. } | Text | Varchar(_)) => {
            Some(literal::parse_text(to, &x.to_string()))
        }
        (Numeric { scale, .. }, Scalar::Numeric(n), SmallInt | Integer | BigInt) => Some(
            number::numeric(&format!("{n}e-{scale}"), 38, 0)
                .and_then(|whole| literal::parse_text(to, &whole.to_string())),
        ),
        (Numeric { scale, .. }, Scalar::Numeric(n), Real | Double | Numeric { .. }) => {
            Some(literal::parse_text(to, &format!("{n}e-{scale}")))
        }
        (Text | Varchar(_) | Json | Jsonb, Scalar::Text(text), Text | Varchar(_) | Json | Jsonb) => {
            Some(literal::parse_text(to, text))
        }
        (Date, Scalar::Int(days), Timestamp | TimestampTz) => {
            days.checked_mul(MICROS_PER_DAY).map(|m| Ok(Scalar::Int(m)))
        }
        (Timestamp, Scalar::Int(micros), TimestampTz) | (TimestampTz, Scalar::Int(micros), Timestamp) => {
            Some(Ok(Scalar::Int(*micros)))
        }
        (Timestamp | TimestampTz, Scalar::Int(micros), Date) => {
            Some(Ok(Scalar::Int(micros.div_euclid(MICROS_PER_DAY))))
        }
        _ => None,
    }
}
