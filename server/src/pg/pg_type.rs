//! PostgreSQL's types as this server uses them.
//!
//! What enters: Arrow fields (of results) and type OIDs (of parameters). What leaves: a [`PgType`] with OID, length and
//! modifier, and the Arrow type by which a parameter of it travels. Deliberately absent: values (see `encode` and `bind`).

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use millrace_schema::TYPE_KEY;
use std::sync::Arc;

/// A type on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PgType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    Name,
    Oid,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Json,
    Jsonb,
    Array(Element),
}

/// What an array is made of: one of the scalar types, kept apart so that [`PgType`] needs no box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Element(u8);

/// Type, OID, OID of its array, length in `pg_type` (-1 variable). The position is the [`Element`].
const SCALARS: [(PgType, u32, u32, i16); 20] = [
    (PgType::Bool, 16, 1000, 1),
    (PgType::Bytea, 17, 1001, -1),
    (PgType::Name, 19, 1003, 64),
    (PgType::Int8, 20, 1016, 8),
    (PgType::Int2, 21, 1005, 2),
    (PgType::Int4, 23, 1007, 4),
    (PgType::Text, 25, 1009, -1),
    (PgType::Oid, 26, 1028, 4),
    (PgType::Json, 114, 199, -1),
    (PgType::Float4, 700, 1021, 4),
    (PgType::Float8, 701, 1022, 8),
    (PgType::Varchar, 1043, 1015, -1),
    (PgType::Date, 1082, 1182, 4),
    (PgType::Time, 1083, 1183, 8),
    (PgType::Timestamp, 1114, 1115, 8),
    (PgType::TimestampTz, 1184, 1185, 8),
    (PgType::Interval, 1186, 1187, 16),
    (PgType::Numeric, 1700, 1231, -1),
    (PgType::Uuid, 2950, 2951, 16),
    (PgType::Jsonb, 3802, 3807, -1),
];

/// One column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnShape {
    pub(crate) name: String,
    pub(crate) ty: PgType,
    pub(crate) modifier: i32,
}

impl Element {
    pub(crate) fn of(ty: PgType) -> Option<Self> {
        let at = SCALARS.iter().position(|row| row.0 == ty)?;
        u8::try_from(at).ok().map(Self)
    }

    pub(crate) fn ty(self) -> PgType {
        SCALARS.get(usize::from(self.0)).map_or(PgType::Text, |row| row.0)
    }
}

impl PgType {
    fn row(self) -> (u32, u32, i16) {
        SCALARS.iter().find(|row| row.0 == self).map_or((25, 1009, -1), |row| (row.1, row.2, row.3))
    }

    /// The type's OID.
    pub(crate) fn oid(self) -> u32 {
        match self {
            Self::Array(element) => element.ty().row().1,
            scalar => scalar.row().0,
        }
    }

    /// `typlen`: bytes, -1 for variable.
    pub(crate) fn length(self) -> i16 {
        match self {
            Self::Array(_) => -1,
            scalar => scalar.row().2,
        }
    }

    /// The type of this OID, where we know it. `char`s of fixed length are text, `unknown` is not known.
    pub(crate) fn from_oid(oid: u32) -> Option<Self> {
        if oid == 1042 {
            return Some(Self::Text);
        }
        SCALARS.iter().find_map(|row| {
            if row.1 == oid {
                return Some(row.0);
            }
            (row.2 == oid).then(|| Element::of(row.0).map(Self::Array)).flatten()
        })
    }

    /// The Arrow type by which a parameter of this type travels.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Oid => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric => DataType::Decimal128(38, 10),
            Self::Text | Self::Varchar | Self::Name | Self::Json | Self::Jsonb => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Array(element) => DataType::List(Arc::new(Field::new_list_field(element.ty().arrow(), true))),
        }
    }

    /// What a value of an Arrow type is called in SQL. Structs, maps and nested lists are shown as text.
    pub(crate) fn from_arrow(ty: &DataType) -> Self {
        use DataType as D;
        match ty {
            D::Boolean => Self::Bool,
            D::Int8 | D::Int16 | D::UInt8 => Self::Int2,
            D::Int32 | D::UInt16 => Self::Int4,
            D::Int64 | D::UInt32 | D::UInt64 => Self::Int8,
            D::Float16 | D::Float32 => Self::Float4,
            D::Float64 => Self::Float8,
            D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => Self::Numeric,
            D::FixedSizeBinary(16) => Self::Uuid,
            D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => Self::Bytea,
            D::Date32 | D::Date64 => Self::Date,
            D::Time32(_) | D::Time64(_) => Self::Time,
            D::Timestamp(_, None) => Self::Timestamp,
            D::Timestamp(_, Some(_)) => Self::TimestampTz,
            D::Interval(_) | D::Duration(_) => Self::Interval,
            D::Dictionary(_, value) => Self::from_arrow(value),
            D::RunEndEncoded(_, value) => Self::from_field(value),
            D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => Self::from_item(item),
            _ => Self::Text,
        }
    }

    fn from_item(item: &Field) -> Self {
        match Self::from_field(item) {
            // PostgreSQL's int[][] is the same type as int[].
            nested @ Self::Array(_) => nested,
            scalar => Element::of(scalar).map_or(Self::Text, Self::Array),
        }
    }

    /// The type of a result column: its Arrow type, refined by the SQL type in its metadata where the two agree.
    pub(crate) fn from_field(field: &Field) -> Self {
        let base = Self::from_arrow(field.data_type());
        let Some(name) = field.metadata().get(TYPE_KEY) else { return base };
        match (base, name.as_str()) {
            (Self::Text, "json") if is_text(field.data_type()) => Self::Json,
            (Self::Text, "jsonb") if is_text(field.data_type()) => Self::Jsonb,
            (Self::Text, "name") if is_text(field.data_type()) => Self::Name,
            (Self::Text, n) if n.starts_with("character varying") && is_text(field.data_type()) => Self::Varchar,
            (Self::Int8 | Self::Int4, "oid") => Self::Oid,
            _ => base,
        }
    }
}

impl ColumnShape {
    /// How a field is described to the client.
    pub(crate) fn of(field: &Field) -> Self {
        let ty = PgType::from_field(field);
        Self { name: field.name().clone(), ty, modifier: modifier(ty, field).unwrap_or(-1) }
    }
}

/// `numeric(p,s)` and `varchar(n)` of a table's column; what an expression computes has no modifier.
fn modifier(ty: PgType, field: &Field) -> Option<i32> {
    let name = field.metadata().get(TYPE_KEY)?;
    let (_, rest) = name.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    match (ty, field.data_type()) {
        (PgType::Varchar, _) => inner.parse::<i32>().ok()?.checked_add(4),
        (PgType::Numeric, DataType::Decimal128(precision, scale)) => {
            let (p, s) = inner.split_once(',')?;
            let same = p.parse::<u8>().ok()? == *precision && s.trim().parse::<i8>().ok()? == *scale;
            let packed = (i32::from(*precision) << 16) | i32::from(u16::try_from(*scale).ok()?);
            same.then(|| packed.checked_add(4)).flatten()
        }
        _ => None,
    }
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn known_oids_go_both_ways() {
        for (ty, oid, array, _) in SCALARS {
            assert_eq!(PgType::from_oid(oid), Some(ty));
            assert_eq!(PgType::from_oid(array).unwrap().oid(), array);
            assert_eq!(ty.oid(), oid);
        }
        assert_eq!(PgType::from_oid(705), None);
        assert_eq!(PgType::from_oid(0), None);
    }

    #[test]
    fn a_column_knows_its_modifier_and_an_expression_has_none() {
        let tagged = |ty: DataType, name: &str| {
            Field::new("c", ty, true).with_metadata(HashMap::from([(TYPE_KEY.to_owned(), name.to_owned())]))
        };
        let shape = ColumnShape::of(&tagged(DataType::Decimal128(10, 2), "numeric(10,2)"));
        assert_eq!((shape.ty.oid(), shape.modifier), (1700, (10 << 16 | 2) + 4));
        assert_eq!(ColumnShape::of(&tagged(DataType::Decimal128(20, 2), "numeric(10,2)")).modifier, -1);
        let shape = ColumnShape::of(&tagged(DataType::Utf8View, "character varying(7)"));
        assert_eq!((shape.ty.oid(), shape.modifier), (1043, 11));
        assert_eq!(ColumnShape::of(&tagged(DataType::Int64, "json")).ty, PgType::Int8);
        assert_eq!(ColumnShape::of(&tagged(DataType::Utf8, "jsonb")).ty, PgType::Jsonb);
    }

    #[test]
    fn lists_are_arrays() {
        let list = |ty| DataType::List(Arc::new(Field::new_list_field(ty, true)));
        assert_eq!(PgType::from_arrow(&list(DataType::Int64)).oid(), 1016);
        assert_eq!(PgType::from_arrow(&list(list(DataType::Int32))).oid(), 1007);
        assert_eq!(PgType::from_arrow(&DataType::Null).oid(), 25);
    }
}
