//! What the manifest knows of a part, as DataFusion's statistics (Q-2: only what is proved is called exact).

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use millrace_schema::{Scalar, TableDef};
use millrace_storage::manifest::PartMeta;

const DAY_MICROS: i64 = 86_400_000_000;

/// Exact row count; exact least and greatest values where the manifest has them.
pub(super) fn of_part(table: &TableDef, schema: &SchemaRef, part: &PartMeta) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = usize::try_from(part.rows).map_or(Precision::Absent, Precision::Exact);
    let time = table.time_column.and_then(|id| table.index_of(id));
    if let (Some(index), Some(min), Some(max)) = (time, part.min_time, part.max_time)
        && let Some(column) = statistics.column_statistics.get_mut(index)
    {
        bound(
            column,
            schema.field(index).data_type(),
            &time_scalar(schema, index, min),
            &time_scalar(schema, index, max),
        );
    }
    for (id, bounds) in table.sort_key.iter().zip(&part.key_bounds) {
        let (Some(index), Some(bounds)) = (table.index_of(*id), bounds) else { continue };
        let Some(column) = statistics.column_statistics.get_mut(index) else { continue };
        bound(column, schema.field(index).data_type(), &bounds.min, &bounds.max);
        if !bounds.has_null {
            column.null_count = Precision::Exact(0);
        }
    }
    statistics
}

/// Time bounds are microseconds in the manifest, also of a date column.
fn time_scalar(schema: &SchemaRef, index: usize, micros: i64) -> Scalar {
    match schema.field(index).data_type() {
        DataType::Date32 => Scalar::Int(micros.div_euclid(DAY_MICROS)),
        _ => Scalar::Int(micros),
    }
}

fn bound(column: &mut ColumnStatistics, ty: &DataType, min: &Scalar, max: &Scalar) {
    if let (Some(min), Some(max)) = (value(ty, min), value(ty, max)) {
        column.min_value = Precision::Exact(min);
        column.max_value = Precision::Exact(max);
    }
}

/// Floats are left out: their bounds pass over NaN, which SQL puts above every number.
fn value(ty: &DataType, scalar: &Scalar) -> Option<ScalarValue> {
    Some(match (ty, scalar) {
        (DataType::Boolean, Scalar::Bool(v)) => ScalarValue::Boolean(Some(*v)),
        (DataType::Int16, Scalar::Int(v)) => ScalarValue::Int16(Some(i16::try_from(*v).ok()?)),
        (DataType::Int32, Scalar::Int(v)) => ScalarValue::Int32(Some(i32::try_from(*v).ok()?)),
        (DataType::Date32, Scalar::Int(v)) => ScalarValue::Date32(Some(i32::try_from(*v).ok()?)),
        (DataType::Int64, Scalar::Int(v)) => ScalarValue::Int64(Some(*v)),
        (DataType::Time64(_), Scalar::Int(v)) => ScalarValue::Time64Microsecond(Some(*v)),
        (DataType::Timestamp(_, zone), Scalar::Int(v)) => ScalarValue::TimestampMicrosecond(Some(*v), zone.clone()),
        (DataType::Decimal128(p, s), Scalar::Numeric(v)) => ScalarValue::Decimal128(Some(*v), *p, *s),
        (DataType::Utf8View, Scalar::Text(v)) => ScalarValue::Utf8View(Some(v.clone())),
        (DataType::BinaryView, Scalar::Bytes(v)) => ScalarValue::BinaryView(Some(v.clone())),
        (DataType::FixedSizeBinary(16), Scalar::Bytes(v)) => ScalarValue::FixedSizeBinary(16, Some(v.clone())),
        _ => return None,
    })
}
