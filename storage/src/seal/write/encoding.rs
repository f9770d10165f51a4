//! How the columns of a part are encoded.
//!
//! | column | encoding |
//! | --- | --- |
//! | timestamps, dates, times | DELTA_BINARY_PACKED |
//! | integers, numerics of at most 18 digits | dictionary where very few values, else DELTA_BINARY_PACKED |
//! | text, bytes | dictionary where few values, else DELTA_LENGTH_BYTE_ARRAY |
//! | floats, uuids, longer numerics | dictionary where few values, else PLAIN |
//! | booleans | PLAIN, one bit each |
//!
//! A dictionary must be inflated whole to read one page of its column, and building one costs a hash a value: it is
//! used only where it stays small beside the rows. The Arrow schema is not embedded: Parquet's own types say all
//! (`timestamptz` is adjusted to UTC, `uuid` is UUID, `json` is a string).

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use millrace_error::{Error, Result};
use millrace_schema::{Compression, PartId, TableDef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression as Codec, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

/// Rows looked at to estimate how many values a column has.
const SAMPLE_ROWS: usize = 16_384;
/// Rows of a row group at most.
pub(super) const ROW_GROUP_ROWS: usize = 1 << 20;
/// Encoded bytes of a row group at most: the writer holds one in memory.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// Rows of a page at most.
pub(super) const PAGE_ROWS: usize = 8_192;
/// Bytes of a dictionary at most.
const DICTIONARY_BYTES: usize = 512 << 10;
/// The version of what this module writes, in the file's key-value metadata.
const FORMAT_VERSION: &str = "1";

/// What is known of the columns of a seal, estimated from a sample.
#[derive(Debug)]
pub(super) struct Profile {
    columns: Vec<ColumnProfile>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct ColumnProfile {
    /// About how many values there are.
    distinct: usize,
    /// Their mean length, bytes.
    length: usize,
}

impl Profile {
    /// Samples evenly spaced rows of all batches.
    pub(super) fn of(schema: &Schema, batches: &[RecordBatch]) -> Self {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let step = rows.div_ceil(SAMPLE_ROWS).max(1);
        let columns = (0..schema.fields().len()).map(|at| {
            let mut hashes = Vec::with_capacity(SAMPLE_ROWS.min(rows));
            let mut bytes = 0;
            let mut skip = 0;
            for column in batches.iter().filter_map(|batch| batch.columns().get(at)) {
                let sampled = (skip..column.len()).step_by(step);
                let after = skip + sampled.len() * step;
                bytes += sample(column, sampled, &mut hashes);
                skip = after.saturating_sub(column.len());
            }
            ColumnProfile { distinct: distinct(&mut hashes, step == 1), length: bytes / hashes.len().max(1) }
        });
        Self { columns: columns.collect() }
    }
}

impl ColumnProfile {
    /// Whether a dictionary stays small beside the rows of a row group.
    fn suits_dictionary(self, ty: &DataType, rows: usize) -> bool {
        let rows = rows.min(ROW_GROUP_ROWS);
        let (share, distinct_max) = match ty {
            DataType::Boolean | DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_) => return false,
            // Packed deltas of a small range are as small.
            DataType::Int16 | DataType::Int32 | DataType::Int64 => (100, 1_024),
            _ => (20, usize::MAX),
        };
        self.distinct <= rows / share
            && self.distinct <= distinct_max
            && self.distinct * (self.length + 4) <= DICTIONARY_BYTES
    }
}

/// Hashes sampled values that are not NULL; returns their bytes.
fn sample(column: &dyn Array, rows: impl Iterator<Item = usize>, hashes: &mut Vec<u64>) -> usize {
    let before = hashes.len();
    let mut bytes = 0;
    let mut add = |value: &[u8]| {
        let mut hasher = DefaultHasher::new();
        hasher.write(value);
        hashes.push(hasher.finish());
        bytes += value.len();
    };
    let rows = rows.filter(|row| column.is_valid(*row));
    match column.data_type() {
        DataType::Utf8View => rows.for_each(|row| add(column.as_string_view().value(row).as_bytes())),
        DataType::BinaryView => rows.for_each(|row| add(column.as_binary_view().value(row))),
        DataType::Boolean => {}
        ty => {
            let data = column.to_data();
            let width = match ty {
                DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
                ty => ty.primitive_width(),
            };
            if let (Some(buffer), Some(width)) = (data.buffers().first(), width) {
                let values = buffer.as_slice().get(data.offset() * width..).unwrap_or(&[]);
                rows.filter_map(|row| values.get(row * width..(row + 1) * width)).for_each(add);
            }
        }
    }
    debug_assert!(hashes.len() >= before);
    bytes
}

/// How many different values the column has, by how many the sample has and how many of them only once (Chao 1984,
/// bias-corrected). Exact where the sample is everything.
fn distinct(hashes: &mut [u64], everything: bool) -> usize {
    hashes.sort_unstable();
    let (mut distinct, mut once, mut twice) = (0_usize, 0_usize, 0_usize);
    for equal in hashes.chunk_by(|a, b| a == b) {
        distinct += 1;
        once += usize::from(equal.len() == 1);
        twice += usize::from(equal.len() == 2);
    }
    if everything { distinct } else { distinct + once * once.saturating_sub(1) / (2 * (twice + 1)) }
}

/// The settings a part is written with.
///
/// # Errors
/// `Internal`.
pub(super) fn properties(table: &TableDef, profile: &Profile, rows: usize, part: PartId) -> Result<WriterProperties> {
    let codec = match table.options.compression {
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(1).map_err(internal)?),
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::None => Codec::UNCOMPRESSED,
    };
    let keys = [
        ("millrace.format_version", FORMAT_VERSION.to_owned()),
        ("millrace.table", table.name.clone()),
        ("millrace.schema_version", table.schema_version.to_string()),
        ("millrace.part", part.to_string()),
    ];
    let sorting = table.sort_key_indices().into_iter().map(|at| {
        let column_idx = i32::try_from(at).map_err(|_| Error::internal("too many columns"))?;
        Ok(SortingColumn { column_idx, descending: false, nulls_first: false })
    });
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("millrace version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(codec)
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_sorting_columns(Some(sorting.collect::<Result<Vec<_>>>()?))
        .set_key_value_metadata(Some(keys.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec()));
    for (column, profile) in table.columns.iter().zip(&profile.columns) {
        builder = encode(builder, ColumnPath::new(vec![column.name.clone()]), &column.ty.arrow(), *profile, rows);
    }
    Ok(builder.build())
}

fn encode(
    builder: WriterPropertiesBuilder,
    column: ColumnPath,
    ty: &DataType,
    profile: ColumnProfile,
    rows: usize,
) -> WriterPropertiesBuilder {
    let encoding = match ty {
        DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Decimal128(..=18, _) => Encoding::DELTA_BINARY_PACKED,
        DataType::Utf8View | DataType::BinaryView => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        _ => Encoding::PLAIN,
    };
    // With a dictionary, the encoding is what the writer falls back to when the dictionary outgrows its page.
    builder
        .set_column_encoding(column.clone(), encoding)
        .set_column_dictionary_enabled(column, profile.suits_dictionary(ty, rows))
}

/// The Parquet schema of a table: what the Arrow writer would make of it, but uuids say that they are.
///
/// # Errors
/// `Internal`.
pub(super) fn parquet_schema(table: &TableDef) -> Result<SchemaDescriptor> {
    let converted = ArrowSchemaConverter::new().convert(&table.arrow_schema()).map_err(internal)?;
    let fields = converted.root_schema().get_fields().iter().zip(&table.columns).map(|(field, column)| {
        if column.ty.arrow() != DataType::FixedSizeBinary(16) {
            return Ok(Arc::clone(field));
        }
        let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        Type::primitive_type_builder(&column.name, Physical::FIXED_LEN_BYTE_ARRAY)
            .with_length(16)
            .with_logical_type(Some(LogicalType::Uuid))
            .with_repetition(repetition)
            .with_id(Some(column.id.0))
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, ParquetError>>().map_err(internal)?;
    let root = Type::group_type_builder("millrace").with_fields(fields).build().map_err(internal)?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

fn internal(error: ParquetError) -> Error {
    Error::internal("the settings of a part are wrong").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_values_is_estimated() {
        let estimate = |values: u64, sample: u64| {
            let mut hashes: Vec<u64> =
                (0..sample).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % values).collect();
            distinct(&mut hashes, false)
        };
        assert_eq!(estimate(50, 16_384), 50);
        assert!((9_000..11_000).contains(&estimate(10_000, 16_384)), "{}", estimate(10_000, 16_384));
        assert!(estimate(u64::MAX, 16_384) > 1_000_000, "all different: far more than the sample");
        assert_eq!(distinct(&mut [1, 2, 2, 3], true), 3);
    }

    #[test]
    fn a_dictionary_must_stay_small() {
        let suits = |distinct, length, ty, rows| ColumnProfile { distinct, length }.suits_dictionary(&ty, rows);
        assert!(suits(50, 20, DataType::Utf8View, 100_000));
        assert!(!suits(50, 20, DataType::Utf8View, 100), "half of the rows differ");
        assert!(!suits(40_000, 20, DataType::Utf8View, 10_000_000), "too many bytes");
        assert!(!suits(3, 8, DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None), 100_000));
        assert!(suits(3, 8, DataType::Int64, 100_000) && !suits(2_000, 8, DataType::Int64, 1_000_000));
        assert!(suits(2_000, 8, DataType::Float64, 1_000_000));
    }
}
