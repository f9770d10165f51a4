//! Pure: (bounds × ranges) → keep or skip.
//!
//! A part is skipped only where its partition, its time bounds or its key bounds prove that no row of it is wanted.

use super::bucket::bucket_of;
use super::value::Value;
use crate::manifest::{Bounds, PartMeta, PartitionTime};
use crate::segment::Chunk;
use millrace_schema::{Column, ColumnId, ColumnType, PartitionUnit, Scalar, TableDef};
use std::cmp::Ordering;

/// Wanted values of one column: all conjuncts together. A NULL never matches a range.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRange {
    /// The column.
    pub column: ColumnId,
    /// Least wanted value and whether itself is wanted.
    pub low: Option<(Scalar, bool)>,
    /// Greatest wanted value and whether itself is wanted.
    pub high: Option<(Scalar, bool)>,
    /// Where set, only these values are wanted (`=`, `IN`).
    pub one_of: Option<Vec<Scalar>>,
}

/// A conjunction of ranges; rows outside it are not wanted. It may let through rows that do not match.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScanFilter {
    /// At most one entry a column.
    pub ranges: Vec<ColumnRange>,
}

/// A range of the time column, in microseconds since 1970, both ends wanted.
struct TimeRange {
    low: i64,
    high: i64,
    one_of: Option<Vec<i64>>,
}

const DAY: i64 = 86_400_000_000;

impl ScanFilter {
    /// Whether a part can hold a wanted row, by its partition, time bounds and sort-key bounds.
    pub fn keeps_part(&self, table: &TableDef, part: &PartMeta) -> bool {
        self.ranges.iter().all(|range| {
            keeps_time(table, range, part)
                && keeps_bucket(table, range, part)
                && keeps_key(table, range, &part.key_bounds)
        })
    }

    /// Whether a chunk can, by its time bounds.
    pub fn keeps_chunk(&self, table: &TableDef, chunk: &Chunk) -> bool {
        let Some(wanted) = self.time_range(table) else { return true };
        match chunk.time_bounds {
            Some((min, max)) => wanted.overlaps(min, max),
            None => !chunk.has_null_time,
        }
    }

    /// The range of a column, where it has one.
    pub fn range(&self, column: ColumnId) -> Option<&ColumnRange> {
        self.ranges.iter().find(|range| range.column == column)
    }

    fn time_range(&self, table: &TableDef) -> Option<TimeRange> {
        TimeRange::new(table.column(table.time_column?)?, self.range(table.time_column?)?)
    }
}

impl ColumnRange {
    /// Whether a value in `[min, max]` can be wanted.
    fn overlaps(&self, min: Value<'_>, max: Value<'_>) -> bool {
        match &self.one_of {
            Some(values) => values.iter().map(Value::of).any(|v| {
                !is(v.compare(min), Ordering::Less) && !is(v.compare(max), Ordering::Greater) && self.reaches(v, v)
            }),
            None => self.reaches(min, max),
        }
    }

    /// Whether `[min, max]` reaches into `[low, high]`.
    fn reaches(&self, min: Value<'_>, max: Value<'_>) -> bool {
        let below = self
            .low
            .as_ref()
            .is_some_and(|(low, wanted)| outside(max.compare(Value::of(low)), Ordering::Less, *wanted));
        let above = self
            .high
            .as_ref()
            .is_some_and(|(high, wanted)| outside(min.compare(Value::of(high)), Ordering::Greater, *wanted));
        !below && !above
    }

    /// The values wanted, where they can be listed.
    fn points(&self) -> Option<&[Scalar]> {
        match (&self.one_of, &self.low, &self.high) {
            (Some(values), ..) => Some(values),
            (None, Some((low, true)), Some((high, true))) if low == high => Some(std::slice::from_ref(low)),
            _ => None,
        }
    }
}

impl TimeRange {
    /// `None` where a bound is not a time: unknown.
    fn new(column: &Column, range: &ColumnRange) -> Option<Self> {
        let date = column.ty == ColumnType::Date;
        // A step beyond an unwanted bound: dates are whole days.
        let step = if date { DAY } else { 1 };
        let micros = |scalar: &Scalar| match scalar {
            Scalar::Int(v) => Some(if date { v.saturating_mul(DAY) } else { *v }),
            _ => None,
        };
        let low = match &range.low {
            Some((low, wanted)) => micros(low)?.saturating_add(if *wanted { 0 } else { step }),
            None => i64::MIN,
        };
        let high = match &range.high {
            Some((high, wanted)) => micros(high)?.saturating_sub(if *wanted { 0 } else { step }),
            None => i64::MAX,
        };
        let one_of = match &range.one_of {
            Some(values) => Some(values.iter().map(micros).collect::<Option<Vec<i64>>>()?),
            None => None,
        };
        Some(Self { low, high, one_of })
    }

    fn overlaps(&self, min: i64, max: i64) -> bool {
        let (low, high) = (self.low.max(min), self.high.min(max));
        match &self.one_of {
            Some(values) => values.iter().any(|v| (low..=high).contains(v)),
            None => low <= high,
        }
    }

    fn meets(&self, partition: PartitionTime) -> bool {
        let unit = match partition {
            PartitionTime::All | PartitionTime::Mixed => return true,
            PartitionTime::Null => return false,
            PartitionTime::Month(_) => PartitionUnit::Month,
            PartitionTime::Day(_) => PartitionUnit::Day,
            PartitionTime::Hour(_) => PartitionUnit::Hour,
        };
        let of = |micros| PartitionTime::of(unit, Some(micros));
        match &self.one_of {
            Some(values) => values.iter().any(|v| of(*v) == partition),
            None => of(self.low) <= partition && partition <= of(self.high),
        }
    }
}

fn keeps_time(table: &TableDef, range: &ColumnRange, part: &PartMeta) -> bool {
    if table.time_column != Some(range.column) {
        return true;
    }
    let Some(wanted) = table.column(range.column).and_then(|column| TimeRange::new(column, range)) else { return true };
    let in_bounds = match (part.min_time, part.max_time) {
        (Some(min), Some(max)) => wanted.overlaps(min, max),
        // No row has a time, and NULL never matches.
        (None, None) => false,
        _ => true,
    };
    in_bounds && wanted.meets(part.partition.time)
}

fn keeps_bucket(table: &TableDef, range: &ColumnRange, part: &PartMeta) -> bool {
    let (Some(bucket), Some(own), Some(values)) = (table.partitioning.bucket, part.partition.bucket, range.points())
    else {
        return true;
    };
    let Some(column) = table.column(bucket.column).filter(|column| column.id == range.column) else { return true };
    // A value of another form than the column's has another hash than its equals in the column.
    let may_be_in = |v: &Scalar| !fits(column.ty, v) || bucket_of(Some(Value::of(v)), bucket.count) == own;
    values.iter().any(may_be_in)
}

/// Whether a scalar is in the physical form of a type.
fn fits(ty: ColumnType, scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Bool(_) => ty == ColumnType::Boolean,
        Scalar::Int(_) => {
            matches!(ty, ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt | ColumnType::Time)
                || ty.is_time()
        }
        Scalar::Float(_) => matches!(ty, ColumnType::Real | ColumnType::Double),
        Scalar::Numeric(_) => matches!(ty, ColumnType::Numeric { .. }),
        Scalar::Text(_) => {
            matches!(ty, ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Json | ColumnType::Jsonb)
        }
        Scalar::Bytes(_) => matches!(ty, ColumnType::Bytea | ColumnType::Uuid),
    }
}

fn keeps_key(table: &TableDef, range: &ColumnRange, bounds: &[Option<Bounds>]) -> bool {
    if bounds.len() != table.sort_key.len() {
        return true;
    }
    let key = table.sort_key.iter().position(|id| *id == range.column);
    match key.and_then(|at| bounds.get(at)) {
        Some(Some(bounds)) => range.overlaps(Value::of(&bounds.min), Value::of(&bounds.max)),
        _ => true,
    }
}

/// Whether a comparison is proven to be `side`.
fn is(ordering: Option<Ordering>, side: Ordering) -> bool {
    ordering == Some(side)
}

/// Whether a comparison with a bound proves a value to be beyond it.
fn outside(ordering: Option<Ordering>, side: Ordering, wanted: bool) -> bool {
    is(ordering, side) || (is(ordering, Ordering::Equal) && !wanted)
}

#[cfg(test)]
mod tests;
