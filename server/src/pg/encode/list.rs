//! Arrow lists → PostgreSQL arrays.
//!
//! What enters: list arrays of any kind, nested too in text. What leaves: `{1,NULL,"a b"}` or the binary array form.
//! Deliberately absent: binary arrays of several dimensions.

use super::{Column, Encode, Format, Style};
use crate::pg::pg_type::PgType;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};
use millrace_error::{Error, ErrorKind, Result};
use std::ops::Range;

/// The encoder of a list array; `None` where `array` is not a list.
pub(super) fn encoder(array: &ArrayRef, ty: PgType, style: Style) -> Result<Option<Encode>> {
    let (values, range): (ArrayRef, Box<dyn Fn(usize) -> Range<usize> + Send + Sync>) = match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>().clone();
            (list.values().clone(), Box::new(move |row| offsets(list.value_offsets(), row)))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>().clone();
            (list.values().clone(), Box::new(move |row| offsets(list.value_offsets(), row)))
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list().clone();
            let size = usize::try_from(*size).unwrap_or(0);
            (list.values().clone(), Box::new(move |row| row * size..(row + 1) * size))
        }
        _ => return Ok(None),
    };
    let nested = matches!(values.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..));
    let element = match ty {
        PgType::Array(_) if nested => ty,
        PgType::Array(element) => element.ty(),
        _ => PgType::Text,
    };
    // A list that is described as text is text in either format.
    let format = if matches!(ty, PgType::Array(_)) { style.format } else { Format::Text };
    if nested && format == Format::Binary {
        let message = "arrays of several dimensions cannot be sent in binary";
        return Err(Error::not_supported(message).hint("ask for this column in text format"));
    }
    let items = Column::new(&values, element, Style { format, ..style })?;
    Ok(Some(match format {
        Format::Text => Box::new(move |row, out| put_text(&items, range(row), nested, out)),
        Format::Binary => Box::new(move |row, out| put_binary(&items, range(row), element.oid(), out)),
    }))
}

fn offsets<O: Copy + TryInto<usize>>(offsets: &[O], row: usize) -> Range<usize> {
    let at = |i: usize| offsets.get(i).and_then(|o| (*o).try_into().ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

fn put_text(items: &Column, range: Range<usize>, nested: bool, out: &mut BytesMut) -> Result<()> {
    let mut scratch = BytesMut::new();
    out.put_u8(b'{');
    for (n, item) in range.enumerate() {
        if n > 0 {
            out.put_u8(b',');
        }
        if items.is_null(item) {
            out.put_slice(b"NULL");
            continue;
        }
        if nested {
            (items.encode)(item, out)?;
            continue;
        }
        scratch.clear();
        (items.encode)(item, &mut scratch)?;
        put_element(&scratch, out);
    }
    out.put_u8(b'}');
    Ok(())
}

/// Quotes as `array_out` does.
fn put_element(text: &[u8], out: &mut BytesMut) {
    let special = |b: &u8| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(special) {
        out.put_slice(text);
        return;
    }
    out.put_u8(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

fn put_binary(items: &Column, range: Range<usize>, oid: u32, out: &mut BytesMut) -> Result<()> {
    let length = i32::try_from(range.len())
        .map_err(|_| Error::new(ErrorKind::TooLarge, format!("an array of {} elements cannot be sent", range.len())))?;
    let has_null = range.clone().any(|item| items.is_null(item));
    out.put_i32(i32::from(length > 0));
    out.put_i32(i32::from(has_null));
    out.put_u32(oid);
    if length > 0 {
        out.put_i32(length);
        out.put_i32(1);
    }
    range.into_iter().try_for_each(|item| items.put(item, out))
}
