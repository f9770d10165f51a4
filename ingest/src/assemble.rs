//! Records → one micro-batch: rows, dead letters and the offsets both cover.
//!
//! What enters: events of a source in order. What leaves: a [`MicroBatch`] whose ranges start where the last one ended.
//! The batch holds exactly what lies in its ranges: a record that may not be passed over (`on_error = fail`) ends the
//! assembly before itself.

use crate::decode::{DeadLetter, DeadLetterBuilder, DecoderConfig, JsonDecoder};
use crate::lag::PartitionLag;
use crate::source::Record;
use millrace_error::Result;
use millrace_schema::{OnError, SourceDef, TableDef};
use millrace_storage::{MicroBatch, OffsetRange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Builds micro-batches of one source.
#[derive(Debug)]
pub(crate) struct Assembler {
    decoder: JsonDecoder,
    dead: DeadLetterBuilder,
    source: String,
    topic: String,
    on_error: OnError,
    schema_version: u32,
    spans: BTreeMap<i32, Span>,
    passed_over: u64,
    refused: Option<String>,
}

/// One partition: what is visible, and what the batch under way adds.
#[derive(Debug, Default)]
struct Span {
    visible: i64,
    next: i64,
    rows: u64,
    dead_letters: u64,
    max_event_time: Option<i64>,
    newest_ms: Option<i64>,
    at_end: bool,
}

impl Assembler {
    /// An assembler for rows of `table` from these visible positions.
    ///
    /// # Errors
    /// `InvalidValue` where the source's mapping does not fit the table.
    pub(crate) fn new(
        table: &Arc<TableDef>,
        def: &SourceDef,
        record_bytes: u64,
        positions: &BTreeMap<i32, i64>,
    ) -> Result<Self> {
        let record_bytes = usize::try_from(record_bytes).unwrap_or(usize::MAX);
        let decoder = JsonDecoder::new(DecoderConfig {
            table: Arc::clone(table),
            mapping: def.mapping.clone(),
            time_unit: def.time_unit,
            record_bytes,
        })?;
        let span = |next: &i64| Span { visible: *next, next: *next, ..Span::default() };
        Ok(Self {
            decoder,
            dead: DeadLetterBuilder::new(record_bytes),
            source: def.name.clone(),
            topic: def.kafka.topic.clone(),
            on_error: def.on_error,
            schema_version: table.schema_version,
            spans: positions.iter().map(|(partition, next)| (*partition, span(next))).collect(),
            passed_over: 0,
            refused: None,
        })
    }

    /// Takes a record; one that lies before its partition's position, or comes after a refused one, is ignored.
    pub(crate) fn push(&mut self, record: &Record<'_>, now: i64) {
        if self.refused.is_some() {
            return;
        }
        let Some(span) = self.spans.get_mut(&record.partition) else { return };
        if record.offset < span.next {
            return;
        }
        match self.decoder.push(record.payload) {
            Ok(row) => {
                span.rows += 1;
                span.max_event_time = span.max_event_time.max(row.event_time);
            }
            Err(poison) => match self.on_error {
                OnError::DeadLetter => {
                    span.dead_letters += 1;
                    self.dead.push(DeadLetter {
                        source: &self.source,
                        topic: Some(&self.topic),
                        partition: Some(record.partition),
                        offset: Some(record.offset),
                        line: None,
                        record_time: record.timestamp_ms.and_then(|ms| ms.checked_mul(1_000)),
                        dead_at: now,
                        key: record.key,
                        payload: record.payload,
                        reason: poison.reason,
                        detail: &poison.detail,
                    });
                }
                OnError::Skip => self.passed_over += 1,
                OnError::Fail => {
                    self.refused = Some(format!(
                        "record {} of partition {} cannot be stored: {poison}",
                        record.offset, record.partition
                    ));
                    return;
                }
            },
        }
        span.next = record.offset.saturating_add(1);
        span.newest_ms = record.timestamp_ms.or(span.newest_ms);
        span.at_end = false;
    }

    /// The end was reached at `next`, past whatever is no record.
    pub(crate) fn at_end(&mut self, partition: i32, next: i64) {
        if self.refused.is_some() {
            return;
        }
        if let Some(span) = self.spans.get_mut(&partition) {
            span.next = span.next.max(next);
            span.at_end = true;
        }
    }

    /// The partitions whose position the batch under way moves.
    pub(crate) fn touched(&self) -> Vec<i32> {
        self.spans.iter().filter(|(_, span)| span.next > span.visible).map(|(partition, _)| *partition).collect()
    }

    /// Rows and dead letters of the batch under way.
    pub(crate) fn len(&self) -> usize {
        self.decoder.rows() + self.dead.rows()
    }

    /// Why a record may not be passed over (`on_error = fail`).
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Unknown fields since this assembler was made.
    pub(crate) fn unknown_fields(&self) -> u64 {
        self.decoder.unknown_fields()
    }

    /// Poison passed over under `on_error = skip` since the last call.
    pub(crate) fn take_passed_over(&mut self) -> u64 {
        std::mem::take(&mut self.passed_over)
    }

    /// The batch under way, or `None` where no position moved. Its ranges count as visible from now on.
    ///
    /// # Errors
    /// `Internal` only.
    pub(crate) fn take(&mut self) -> Result<Option<MicroBatch>> {
        let offsets: Vec<OffsetRange> = self
            .spans
            .iter_mut()
            .filter(|(_, span)| span.next > span.visible)
            .map(|(partition, span)| {
                let range = OffsetRange {
                    partition: *partition,
                    from: span.visible,
                    to: span.next,
                    rows: std::mem::take(&mut span.rows),
                    dead_letters: std::mem::take(&mut span.dead_letters),
                    max_event_time: span.max_event_time.take(),
                };
                span.visible = span.next;
                range
            })
            .collect();
        if offsets.is_empty() {
            return Ok(None);
        }
        let rows = if self.decoder.rows() > 0 { Some(self.decoder.finish()?) } else { None };
        let dead_letters = self.dead.finish()?;
        Ok(Some(MicroBatch { rows, dead_letters, offsets, schema_version: self.schema_version }))
    }

    /// Brings `lags` up to date; `end` tells the end of a partition's log as last heard.
    pub(crate) fn lags(&self, lags: &mut BTreeMap<i32, PartitionLag>, end: impl Fn(i32) -> Option<i64>) {
        for (partition, span) in &self.spans {
            let lag = lags.entry(*partition).or_default();
            lag.next = span.visible;
            lag.end = end(*partition).map(|end| end.max(span.visible)).or(lag.end);
            if span.at_end && span.visible == span.next {
                // What is left below the end is no record that may be read now: nothing is behind.
                lag.end = Some(span.visible);
            }
            lag.newest_ms = span.newest_ms.or(lag.newest_ms);
            lag.target = lag.target.or(lag.end);
            lag.caught_up |= span.at_end || lag.target.is_some_and(|target| span.visible >= target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_schema::{
        Column, ColumnId, ColumnType, KafkaSource, OnGap, PartitionUnit, Partitioning, SourceOrigin, StartPosition,
        TableOptions, TimeUnit,
    };

    fn assembler(on_error: OnError) -> Assembler {
        let column =
            Column { id: ColumnId(1), name: "id".into(), ty: ColumnType::BigInt, nullable: false, default: None };
        let table = TableDef {
            name: "t".into(),
            schema_version: 3,
            columns: vec![column],
            time_column: None,
            partitioning: Partitioning { unit: PartitionUnit::None, bucket: None },
            sort_key: vec![],
            options: TableOptions::default(),
        };
        let def = SourceDef {
            name: "s".into(),
            kafka: KafkaSource {
                brokers: "b:1".into(),
                topic: "topic".into(),
                start: StartPosition::Earliest,
                on_gap: OnGap::Fail,
                properties: BTreeMap::new(),
            },
            mapping: BTreeMap::new(),
            on_error,
            time_unit: TimeUnit::Auto,
            origin: SourceOrigin::Sql,
            paused: false,
        };
        Assembler::new(&Arc::new(table), &def, 1 << 20, &BTreeMap::from([(0, 10), (1, 0)])).unwrap()
    }

    fn record(offset: i64, payload: &str) -> Record<'_> {
        Record { partition: 0, offset, timestamp_ms: Some(7), key: None, payload: Some(payload.as_bytes()) }
    }

    #[test]
    fn ranges_cover_rows_poison_and_holes() {
        let mut a = assembler(OnError::DeadLetter);
        a.push(&record(9, r#"{"id":0}"#), 1);
        a.push(&record(12, r#"{"id":1,"more":2}"#), 1);
        a.push(&record(13, "nonsense"), 1);
        a.push(&record(13, r#"{"id":1}"#), 1);
        a.at_end(0, 16);
        let batch = a.take().unwrap().unwrap();
        let range = OffsetRange { partition: 0, from: 10, to: 16, rows: 1, dead_letters: 1, max_event_time: None };
        assert_eq!(batch.offsets, vec![range]);
        assert_eq!(batch.rows.unwrap().num_rows(), 1);
        assert_eq!(batch.dead_letters.unwrap().num_rows(), 1);
        assert_eq!((batch.schema_version, a.unknown_fields()), (3, 1));
        assert!(a.take().unwrap().is_none());
        a.push(&record(16, "null"), 1);
        assert_eq!(a.take().unwrap().unwrap().offsets[0].from, 16);
    }

    #[test]
    fn skipped_poison_moves_the_position_alone() {
        let mut a = assembler(OnError::Skip);
        a.push(&record(10, "nonsense"), 1);
        let batch = a.take().unwrap().unwrap();
        assert_eq!((batch.offsets[0].to, batch.rows.is_none(), batch.dead_letters.is_none()), (11, true, true));
        assert_eq!((a.take_passed_over(), a.take_passed_over()), (1, 0));
    }

    #[test]
    fn a_record_that_may_not_be_passed_over_ends_the_batch_before_itself() {
        let mut a = assembler(OnError::Fail);
        a.push(&record(10, r#"{"id":1}"#), 1);
        a.push(&record(11, "nonsense"), 1);
        a.push(&record(12, r#"{"id":2}"#), 1);
        a.at_end(0, 13);
        let batch = a.take().unwrap().unwrap();
        assert_eq!((batch.offsets[0].to, batch.rows.unwrap().num_rows()), (11, 1));
        assert!(a.refused().unwrap().contains("record 11 of partition 0"), "{:?}", a.refused());
    }

    #[test]
    fn an_end_short_of_the_high_watermark_is_an_end() {
        let mut a = assembler(OnError::Fail);
        let mut lags = BTreeMap::new();
        a.lags(&mut lags, |_| Some(20));
        assert_eq!((lags[&0].end, lags[&0].caught_up), (Some(20), false));
        a.at_end(0, 15);
        a.take().unwrap().unwrap();
        a.lags(&mut lags, |_| Some(20));
        assert_eq!((lags[&0].next, lags[&0].end, lags[&0].caught_up), (15, Some(15), true));
    }
}
