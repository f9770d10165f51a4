//! The loop that reads: poll → decode → append, and what must be looked after meanwhile.
//!
//! A micro-batch is appended as soon as the queue is empty, but at most every [`SPACING`] while batches are small: a lone
//! record is visible at once, a stream costs a bounded number of publishes a second.

use super::bind::recreated;
use super::{ASK_TIMEOUT, End, Pipeline, described};
use crate::assemble::Assembler;
use crate::lag::State;
use crate::source::{Event, LogSource, PollLimits, SourceFault, TopicInfo};
use millrace_schema::{TableId, TopicKey};
use millrace_storage::ShardWriter;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows and bytes of one micro-batch.
const LIMITS: PollLimits = PollLimits { records: 8_192, bytes: 8 << 20 };
/// The least time between two appends of fewer than [`SMALL`] rows.
const SPACING: Duration = Duration::from_millis(2);
const SMALL: usize = 1_024;
/// What librdkafka can wait for at least.
const TICK: Duration = Duration::from_millis(1);
/// How long a poll waits for a first record: bounds how late a stop is noticed.
const IDLE: Duration = Duration::from_millis(50);
/// How often lag is brought up to date and answers are looked for.
const CHORES: Duration = Duration::from_millis(100);
/// How often lag tools hear of committed positions.
const PROGRESS: Duration = Duration::from_secs(1);
/// How often the topic is asked whether it is still itself; more often in trouble.
const RECHECK: Duration = Duration::from_secs(10);
const RECHECK_IN_TROUBLE: Duration = Duration::from_secs(1);

/// One session of reading.
struct Session<'a> {
    pipeline: &'a Pipeline,
    source: &'a mut dyn LogSource,
    topic: &'a TopicKey,
    info: &'a TopicInfo,
    writer: ShardWriter,
    assembler: Assembler,
    share: u64,
    /// Unknown fields counted by earlier sessions.
    unknown_before: u64,
    ends: BTreeMap<i32, i64>,
    fault: Option<SourceFault>,
    away: bool,
    /// The topic was not found when last asked: asked again before it counts as deleted.
    missed: bool,
    last_append: Duration,
    next_chores: Duration,
    next_progress: Duration,
    next_recheck: Duration,
    told_progress: BTreeMap<i32, i64>,
}

impl Pipeline {
    /// Opens the shard and reads until something ends it.
    pub(super) fn consume(&self, source: &mut dyn LogSource, topic: &TopicKey, info: &TopicInfo, share: u64) -> End {
        match self.open(source, topic, info, share) {
            Ok(mut session) => loop {
                if let Err(end) = session.turn() {
                    return end;
                }
            },
            Err(end) => end,
        }
    }

    fn open<'a>(
        &'a self,
        source: &'a mut dyn LogSource,
        topic: &'a TopicKey,
        info: &'a TopicInfo,
        share: u64,
    ) -> Result<Session<'a>, End> {
        let writer = self.family.open_shard(topic)?;
        let view = self.family.view();
        let positions: BTreeMap<i32, i64> =
            (0..info.partitions).filter_map(|p| view.next_offset(topic, p).map(|next| (p, next))).collect();
        let table = view.table(TableId::BASE).ok_or_else(|| End::Fail("the family has no base table".into()))?;
        let assembler =
            Assembler::new(table, &self.def, self.record_bytes, &positions).map_err(|e| End::Fail(described(&e)))?;
        source.assign(&positions)?;
        let now = self.clock.monotonic();
        let unknown_before = {
            let mut told = self.shared.lock();
            told.partitions.retain(|partition, _| positions.contains_key(partition));
            assembler.lags(&mut told.partitions, |_| None);
            told.unknown_fields
        };
        self.tell(State::Running, None);
        Ok(Session {
            pipeline: self,
            source,
            topic,
            info,
            writer,
            assembler,
            share,
            unknown_before,
            ends: BTreeMap::new(),
            fault: None,
            away: false,
            missed: false,
            last_append: now,
            next_chores: now,
            next_progress: now + PROGRESS,
            next_recheck: now + RECHECK,
            told_progress: BTreeMap::new(),
        })
    }
}

impl Session<'_> {
    /// One round: wait for records, append them, do what is due.
    fn turn(&mut self) -> Result<(), End> {
        if self.pipeline.shared.stopping() {
            return Err(End::Stop);
        }
        if self.pipeline.store.memory().over_hard() {
            // Whatever librdkafka has queued waits there, within its own limit, until a seal has freed memory.
            self.pipeline.nap(Duration::from_millis(5));
            return self.chores();
        }
        self.fill(LIMITS.records, IDLE);
        self.linger();
        self.append()?;
        if let Some(why) = self.assembler.refused() {
            return Err(End::Fail(format!("{why}; mend the data or set on_error, then ALTER SOURCE … RESUME")));
        }
        self.answer_fault()?;
        self.chores()
    }

    /// Polls once into the assembler.
    fn fill(&mut self, records: usize, wait: Duration) {
        let now = self.pipeline.clock.now();
        let (assembler, fault) = (&mut self.assembler, &mut self.fault);
        let limits = PollLimits { records, ..LIMITS };
        let got = self.source.poll(limits, wait, &mut |event| match event {
            Event::Record(record) => assembler.push(&record, now),
            Event::AtEnd { partition, next } => assembler.at_end(partition, next),
            // Away and unknown pass by themselves; the others end the session and must not be forgotten.
            Event::Fault(met) => {
                if matches!(fault, None | Some(SourceFault::Away(_) | SourceFault::UnknownTopic)) {
                    *fault = Some(met);
                }
            }
        });
        if got > 0 && self.away {
            self.away = false;
            self.pipeline.tell(State::Running, None);
        }
    }

    /// While batches are small and frequent, waits for more, so that publishes are [`SPACING`] apart.
    fn linger(&mut self) {
        while self.fault.is_none() && (1..SMALL).contains(&self.assembler.len()) && self.assembler.refused().is_none() {
            let since = self.pipeline.clock.monotonic().saturating_sub(self.last_append);
            let left = SPACING.saturating_sub(since);
            if left < TICK {
                return;
            }
            self.fill(LIMITS.records - self.assembler.len(), left);
        }
    }

    /// Makes what was assembled visible.
    fn append(&mut self) -> Result<(), End> {
        self.distrust_shrinking()?;
        if let Some(batch) = self.assembler.take()? {
            self.writer.append(batch)?;
            self.last_append = self.pipeline.clock.monotonic();
        }
        Ok(())
    }

    /// A log that became shorter may be another topic of the same name, or truncated: ask before its records count.
    fn distrust_shrinking(&mut self) -> Result<(), End> {
        for partition in self.assembler.touched() {
            let Some(end) = self.source.known_end(partition) else { continue };
            let known = self.ends.entry(partition).or_insert(end);
            if end < *known {
                return Err(End::CheckGaps);
            }
            *known = end;
        }
        Ok(())
    }

    fn answer_fault(&mut self) -> Result<(), End> {
        match self.fault.take() {
            None => Ok(()),
            Some(SourceFault::Away(why)) => {
                self.trouble(SourceFault::Away(why).to_string());
                Ok(())
            }
            Some(SourceFault::UnknownTopic) => {
                self.next_recheck = self.pipeline.clock.monotonic();
                Ok(())
            }
            Some(fault) => Err(fault.into()),
        }
    }

    /// Reading stands still; librdkafka goes on trying, and we go on asking.
    fn trouble(&mut self, why: String) {
        if !self.away {
            self.next_recheck = self.pipeline.clock.monotonic() + RECHECK_IN_TROUBLE;
        }
        self.away = true;
        self.pipeline.tell(State::Waiting, Some(why));
    }

    fn chores(&mut self) -> Result<(), End> {
        let now = self.pipeline.clock.monotonic();
        if now < self.next_chores {
            return Ok(());
        }
        self.next_chores = now + CHORES;
        if self.pipeline.family.is_dropped() {
            return Err(End::Stop);
        }
        self.report();
        if let Some(answer) = self.source.described() {
            self.rechecked(answer)?;
        }
        if now >= self.next_recheck {
            self.source.ask(ASK_TIMEOUT);
            let calm = !self.away && !self.missed;
            self.next_recheck = now + if calm { RECHECK } else { RECHECK_IN_TROUBLE };
        }
        if now >= self.next_progress {
            self.next_progress = now + PROGRESS;
            self.progress();
        }
        if self.pipeline.queue_share() < self.share {
            return Err(End::Reconnect);
        }
        Ok(())
    }

    fn report(&mut self) {
        let skipped = self.assembler.take_passed_over();
        if skipped > 0 {
            tracing::warn!(source = %self.pipeline.def.name, skipped, "records that cannot be stored were passed over");
        }
        let mut told = self.pipeline.shared.lock();
        told.unknown_fields = self.unknown_before.saturating_add(self.assembler.unknown_fields());
        self.assembler.lags(&mut told.partitions, |partition| self.source.known_end(partition));
    }

    /// The broker said what the topic is now.
    fn rechecked(&mut self, answer: Result<TopicInfo, SourceFault>) -> Result<(), End> {
        match answer {
            Ok(info) if (&info.cluster, info.topic_uuid) != (&self.info.cluster, self.info.topic_uuid) => {
                let now = TopicKey { cluster: info.cluster, topic_uuid: info.topic_uuid, ..self.topic.clone() };
                Err(End::Fail(recreated(self.topic, &now)))
            }
            Ok(info) if info.partitions != self.info.partitions => Err(End::Again),
            Ok(_) => {
                self.missed = false;
                if self.away {
                    self.away = false;
                    self.pipeline.tell(State::Running, None);
                }
                Ok(())
            }
            Err(fault @ SourceFault::UnknownTopic) if self.missed => Err(fault.into()),
            Err(SourceFault::UnknownTopic) => {
                self.missed = true;
                Ok(())
            }
            Err(fault @ SourceFault::Denied(_)) => Err(fault.into()),
            Err(fault) => {
                self.trouble(fault.to_string());
                Ok(())
            }
        }
    }

    /// Tells lag tools what is durable.
    fn progress(&mut self) {
        let view = self.pipeline.family.view();
        let Some(positions) = view.manifest.positions.get(self.topic) else { return };
        let durable: BTreeMap<i32, i64> = positions.iter().map(|(partition, p)| (*partition, p.next)).collect();
        if !self.away && durable != self.told_progress {
            self.source.commit_progress(&durable);
            self.told_progress = durable;
        }
    }
}
