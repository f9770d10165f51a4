//! CREATE TABLE … WITH (…): what the options mean, and whether they fit the columns.
//!
//! What enters: columns and options as text. What leaves: [`TableSettings`]. Deliberately absent: retention and tiering,
//! which a later version reads.

use super::options::{OptionItem, unknown};
use super::{fault, nearest};
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{
    Bucket, Column, ColumnId, Compression, PartitionUnit, Partitioning, TableOptions, parse_bytes, parse_duration,
};

const KNOWN: &[&str] = &[
    "time_column",
    "partition_by",
    "sort_by",
    "retention",
    "tier_after",
    "seal_rows",
    "seal_bytes",
    "seal_age",
    "compression",
    "version_retention",
    "dead_letter_retention",
];
const BUCKETS_MAX: u32 = 1_024;
const PARTITION_HINT: &str = "write it like 'day', 'hour', 'month', 'none' or 'day, bucket(16, tenant_id)'";

/// What the options came to.
#[derive(Debug)]
pub(super) struct TableSettings {
    pub(super) time_column: Option<ColumnId>,
    pub(super) partitioning: Partitioning,
    pub(super) sort_key: Vec<ColumnId>,
    pub(super) options: TableOptions,
}

/// Checks the options against the columns and fills in the defaults.
///
/// # Errors
/// `InvalidValue`, `UnknownColumn`, `NotSupported`, each at its option.
pub(super) fn check(columns: &[Column], items: &[OptionItem]) -> Result<TableSettings> {
    let mut options = TableOptions::default();
    let (mut time_column, mut partition_by, mut sort_by) = (None, None, None);
    for item in items {
        match item.name.as_str() {
            "time_column" => time_column = Some(time(columns, item)?),
            "partition_by" => partition_by = Some((item, partitioning(columns, item)?)),
            "sort_by" => sort_by = Some(sort_key(columns, item)?),
            "seal_rows" => options.seal_rows = positive(item, item.value.trim().parse().ok())?,
            "seal_bytes" => options.seal_bytes = positive(item, Some(item.place(parse_bytes(&item.value))?))?,
            "seal_age" => options.seal_age = duration(item)?,
            "compression" => {
                let words = [("zstd", Compression::Zstd), ("lz4", Compression::Lz4), ("none", Compression::None)];
                options.compression = item.one_of(&words)?;
            }
            "version_retention" => options.version_retention = duration(item)?,
            "dead_letter_retention" => options.dead_letter_retention = duration(item)?,
            "retention" | "tier_after" => return Err(fault::later(&format!("option {}", item.name), item.name_at)),
            _ => return Err(unknown(item, KNOWN)),
        }
    }
    let partitioning = match (partition_by, time_column) {
        (Some((item, p)), None) if p.unit != PartitionUnit::None => {
            return Err(item.invalid("partitions by time need a time_column").hint("add time_column = '…'"));
        }
        (Some((_, p)), _) => p,
        (None, Some(_)) => Partitioning { unit: PartitionUnit::Day, bucket: None },
        (None, None) => Partitioning { unit: PartitionUnit::None, bucket: None },
    };
    let sort_key = sort_by.unwrap_or_else(|| time_column.into_iter().collect());
    Ok(TableSettings { time_column, partitioning, sort_key, options })
}

fn find<'a>(columns: &'a [Column], name: &str, item: &OptionItem) -> Result<&'a Column> {
    columns.iter().find(|c| c.name == name).ok_or_else(|| {
        let message = format!("column \"{}\" in option {} does not exist", fault::shorten(name), item.name);
        let error = Error::new(ErrorKind::UnknownColumn, message).at(item.value_at);
        match nearest(name, columns.iter().map(|c| c.name.as_str())) {
            Some(near) => error.hint(format!("did you mean {near}? names in options are literal, never folded")),
            None => error,
        }
    })
}

fn time(columns: &[Column], item: &OptionItem) -> Result<ColumnId> {
    let column = find(columns, &item.value, item)?;
    if column.ty.is_time() {
        return Ok(column.id);
    }
    Err(item
        .invalid(format!("column \"{}\" is of type {}", fault::shorten(&column.name), column.ty))
        .hint("a time column is of type timestamptz, timestamp or date"))
}

fn positive(item: &OptionItem, value: Option<u64>) -> Result<u64> {
    value.filter(|v| *v > 0).ok_or_else(|| item.invalid("it must be a whole number above 0"))
}

fn duration(item: &OptionItem) -> Result<std::time::Duration> {
    let value = item.place(parse_duration(&item.value))?;
    if value.is_zero() { Err(item.invalid("it must be longer than 0")) } else { Ok(value) }
}

fn sort_key(columns: &[Column], item: &OptionItem) -> Result<Vec<ColumnId>> {
    let mut key = Vec::new();
    if item.value.trim().is_empty() {
        return Ok(key);
    }
    for name in item.value.split(',').map(str::trim) {
        let column = find(columns, name, item)?;
        if key.contains(&column.id) {
            return Err(item.invalid(format!("column \"{}\" stands in it twice", fault::shorten(name))));
        }
        key.push(column.id);
    }
    Ok(key)
}

fn partitioning(columns: &[Column], item: &OptionItem) -> Result<Partitioning> {
    let (unit, bucket) = match item.value.split_once(',') {
        Some((unit, bucket)) => (unit.trim(), Some(bucket.trim())),
        None => (item.value.trim(), None),
    };
    let unit = match unit.to_ascii_lowercase().as_str() {
        "hour" => PartitionUnit::Hour,
        "day" => PartitionUnit::Day,
        "month" => PartitionUnit::Month,
        "none" => PartitionUnit::None,
        other => {
            let error = item.invalid(format!("\"{}\"", fault::shorten(unit)));
            return Err(match nearest(other, ["hour", "day", "month", "none"]) {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint(PARTITION_HINT),
            });
        }
    };
    let bucket = bucket.map(|text| bucket_of(columns, item, text)).transpose()?;
    Ok(Partitioning { unit, bucket })
}

/// `bucket(16, tenant_id)`
fn bucket_of(columns: &[Column], item: &OptionItem, text: &str) -> Result<Bucket> {
    let bad = || item.invalid(format!("\"{}\"", fault::shorten(text))).hint(PARTITION_HINT);
    let inside = text
        .get(..6)
        .filter(|word| word.eq_ignore_ascii_case("bucket"))
        .and_then(|_| text.get(6..)?.trim_start().strip_prefix('(')?.strip_suffix(')'))
        .ok_or_else(bad)?;
    let (count, column) = inside.split_once(',').ok_or_else(bad)?;
    let count: u32 = count.trim().parse().map_err(|_| bad())?;
    if !(1..=BUCKETS_MAX).contains(&count) {
        return Err(item.invalid(format!("{count} buckets; there may be 1 to {BUCKETS_MAX}")));
    }
    Ok(Bucket { count, column: find(columns, column.trim(), item)?.id })
}
