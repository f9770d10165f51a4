//! JSON records → record batches of one table.
//!
//! What enters: payloads, one record each. What leaves: [`RowInfo`] or [`Poison`] for each, and a record batch of the
//! rows taken since the last one. A refused record changes nothing of the batch. Buffers are kept from row to row: a
//! row without `jsonb` objects allocates nothing but the batch's own growth.

use super::column::{ColumnBuilder, Row, Slot, default_slot};
use super::convert::{Source, Wanted};
use super::fields::{Fields, Found, Walk};
use super::{DEPTH_MAX, Poison, RowInfo, check, excerpt, time};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{ColumnId, ColumnType, JsonPath, PoisonReason, TableDef, TimeUnit};
use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Buffers that one big record made bigger than this are given back at the end of the batch.
const RETAINED_BYTES: usize = 1 << 20;

/// What a decoder must know.
#[derive(Debug, Clone)]
pub struct DecoderConfig {
    /// The table that rows are meant for.
    pub table: Arc<TableDef>,
    /// Columns filled from another place than the field of their name: column id → path text.
    pub mapping: BTreeMap<ColumnId, String>,
    /// How numbers become times.
    pub time_unit: TimeUnit,
    /// Longer payloads are poison.
    pub record_bytes: usize,
}

/// Decodes JSON records of one table, one at a time; not shared between threads.
pub struct JsonDecoder {
    schema: SchemaRef,
    wanted: Vec<Wanted>,
    columns: Vec<ColumnBuilder>,
    fields: Fields,
    time_column: Option<usize>,
    time_unit: TimeUnit,
    record_bytes: usize,
    row_bytes: usize,
    rows: usize,
    bytes: usize,
    unknown_fields: u64,
    scratch: Scratch,
}

/// What is used again for every record.
struct Scratch {
    buffers: Buffers,
    tape: Tape<'static>,
    input: Vec<u8>,
    found: Vec<Found>,
    slots: Vec<Slot>,
    text: String,
    bytes: Vec<u8>,
}

impl Scratch {
    fn new(columns: usize) -> Self {
        Self {
            buffers: Buffers::with_max_depth(0, DEPTH_MAX),
            tape: Tape(Vec::new()),
            input: Vec::new(),
            found: vec![Found::default(); columns],
            slots: Vec::with_capacity(columns),
            text: String::new(),
            bytes: Vec::new(),
        }
    }
}

impl JsonDecoder {
    /// A decoder with an empty batch.
    ///
    /// # Errors
    /// `InvalidValue`: a mapping to a column that the table does not have, a path that cannot be read, a DEFAULT of
    /// another type than its column.
    pub fn new(config: DecoderConfig) -> Result<Self> {
        let DecoderConfig { table, mapping, time_unit, record_bytes } = config;
        if let Some(id) = mapping.keys().find(|id| table.column(**id).is_none()) {
            let message = format!("table {:?} has no column with id {} to map a path to", table.name, id.0);
            return Err(Error::new(ErrorKind::InvalidValue, message).hint("name an existing column in FORMAT JSON (…)"));
        }
        let wanted = table
            .columns
            .iter()
            .map(|column| {
                let path = match mapping.get(&column.id) {
                    Some(path) => JsonPath::parse(path).map_err(|e| e.with("column", &column.name))?,
                    None => JsonPath::field(&column.name),
                };
                let default = default_slot(column)?;
                Ok(Wanted { name: column.name.clone(), ty: column.ty, path, nullable: column.nullable, default })
            })
            .collect::<Result<Vec<_>>>()?;
        let paths: Vec<JsonPath> = wanted.iter().map(|w| w.path.clone()).collect();
        let columns: Vec<ColumnBuilder> = table.columns.iter().map(ColumnBuilder::new).collect();
        Ok(Self {
            schema: table.arrow_schema(),
            row_bytes: columns.iter().map(ColumnBuilder::width).sum(),
            scratch: Scratch::new(columns.len()),
            columns,
            wanted,
            fields: Fields::new(&paths),
            time_column: table.time_column.and_then(|id| table.index_of(id)),
            time_unit,
            record_bytes,
            rows: 0,
            bytes: 0,
            unknown_fields: 0,
        })
    }

    /// Takes one record into the batch.
    ///
    /// # Errors
    /// Why it cannot be a row; the batch is then as it was before.
    pub fn push(&mut self, payload: Option<&[u8]>) -> Result<RowInfo, Poison> {
        let payload = payload.ok_or_else(|| Poison::new(PoisonReason::NullPayload, "the record has no payload"))?;
        if payload.len() > self.record_bytes {
            let detail = format!("{} bytes, more than record_bytes = {}", payload.len(), self.record_bytes);
            return Err(Poison::new(PoisonReason::TooLarge, detail));
        }
        if payload.is_empty() {
            return Err(Poison::new(PoisonReason::InvalidJson, "the payload is empty"));
        }
        match self.record(payload, false) {
            Ok(row) => Ok(row),
            Err(Refused::Poison(poison)) => Err(poison),
            Err(Refused::Tape(first)) => {
                // Sound JSON with numbers that the tape cannot hold is read again with its numbers hidden.
                if check::numbers(payload)?.is_empty() {
                    return Err(Poison::new(PoisonReason::InvalidJson, first));
                }
                self.record(payload, true).map_err(|refused| match refused {
                    Refused::Poison(poison) => poison,
                    Refused::Tape(why) => Poison::new(PoisonReason::InvalidJson, why),
                })
            }
        }
    }

    /// Reads and appends one record; `hide`: put 0 where the numbers are and read them from the text.
    fn record(&mut self, payload: &[u8], hide: bool) -> Result<RowInfo, Refused> {
        let Scratch { buffers, tape: kept, input, found, slots, text, bytes } = &mut self.scratch;
        input.clear();
        input.extend_from_slice(payload);
        if hide {
            for number in check::numbers(payload).map_err(Refused::Poison)? {
                if let Some([first, rest @ ..]) = input.get_mut(number) {
                    *first = b'0';
                    rest.fill(b' ');
                }
            }
        }
        input.resize(payload.len() + INPUT_PADDING, b' ');
        let base = input.as_ptr().addr();
        let mut tape = std::mem::replace(kept, Tape(Vec::new())).reset();
        if let Err(e) = simd_json::fill_tape_padded(input, payload.len(), buffers, &mut tape) {
            *kept = tape.reset();
            return Err(Refused::Tape(e.to_string()));
        }
        let nodes = tape.0.as_slice();
        let mut walk = Walk { fields: &mut self.fields, found, nodes, payload, base, unknown: 0 };
        let object = walk.document();
        let unknown = walk.unknown;
        slots.clear();
        text.clear();
        bytes.clear();
        let converted = if object {
            let unit = self.time_unit;
            let mut source = Source { nodes, payload, numbers_hidden: hide, time_unit: unit, text, bytes };
            let mut each = self.wanted.iter().zip(found.iter());
            each.try_for_each(|(wanted, found)| source.slot(wanted, *found).map(|slot| slots.push(slot)))
        } else {
            Err(not_an_object(nodes.first().copied(), payload))
        };
        if let Err(poison) = converted {
            *kept = tape.reset();
            return Err(Refused::Poison(poison));
        }
        let event_time = self.time_column.and_then(|i| Some((slots.get(i)?, self.wanted.get(i)?.ty)));
        let event_time = event_time.and_then(|(slot, ty)| match slot {
            Slot::Int(day) if ty == ColumnType::Date => Some(day * time::DAY),
            Slot::Int(micros) => Some(*micros),
            _ => None,
        });
        let row = Row { nodes, text, bytes };
        let outside: usize = self.columns.iter_mut().zip(slots.iter()).map(|(c, slot)| c.append(slot, row)).sum();
        self.rows += 1;
        self.bytes += self.row_bytes + outside;
        self.unknown_fields += unknown;
        *kept = tape.reset();
        Ok(RowInfo { event_time })
    }

    /// Rows taken since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes of memory the batch will hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Top-level fields that no column takes, in all rows ever taken.
    pub fn unknown_fields(&self) -> u64 {
        self.unknown_fields
    }

    /// The rows taken since the last batch, in the schema of [`TableDef::arrow_schema`], without spare capacity.
    ///
    /// # Errors
    /// `Internal` only.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        self.rows = 0;
        self.bytes = 0;
        if self.scratch.input.capacity() > RETAINED_BYTES {
            self.scratch = Scratch::new(self.columns.len());
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|e| Error::internal("decoded columns do not make a record batch").caused_by(e))
    }
}

impl fmt::Debug for JsonDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonDecoder").field("columns", &self.wanted).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Why a record was not appended.
enum Refused {
    /// simd-json does not take it, which may be its own limits.
    Tape(String),
    /// It cannot be a row.
    Poison(Poison),
}

#[cold]
fn not_an_object(node: Option<Node<'_>>, payload: &[u8]) -> Poison {
    let found = match node {
        Some(Node::Array { .. }) => "an array",
        Some(Node::String(_)) => "a string",
        Some(Node::Static(StaticNode::Null)) => "null",
        Some(Node::Static(StaticNode::Bool(_))) => "a boolean",
        _ => "a number",
    };
    Poison::new(PoisonReason::NotAnObject, format!("the record is {found}: {}", excerpt(payload)))
}
