//! Which log a source reads and from where: the bound topic, first positions, gaps.
//!
//! Everything decided here is committed before a record is fetched, so that a restart decides the same.

use super::{ASK_TIMEOUT, End, Pipeline};
use crate::source::{LogSource, TopicInfo};
use millrace_schema::{OnGap, StartPosition, TopicKey};
use millrace_storage::FamilyView;
use millrace_storage::manifest::Op;

/// How often an end before our position must be told.
const BELIEVED: u32 = 4;

/// Records of one partition that are gone.
struct Gap {
    partition: i32,
    from: i64,
    to: i64,
}

impl Pipeline {
    /// The topic as the family knows it: bound, and with a first position for each partition.
    pub(super) fn bind(&mut self, source: &mut dyn LogSource, info: &TopicInfo) -> Result<TopicKey, End> {
        let topic = TopicKey {
            cluster: info.cluster.clone(),
            topic_uuid: info.topic_uuid,
            topic: self.def.kafka.topic.clone(),
        };
        let view = self.family.view();
        let mut ops = self.binding(&view, &topic)?;
        let known = view.manifest.positions.get(&topic);
        let missing: Vec<i32> =
            (0..info.partitions).filter(|p| known.is_none_or(|known| !known.contains_key(p))).collect();
        if !missing.is_empty() {
            // Later partitions, and the whole of a topic that took another's place, begin at their beginning.
            let rebound = self.bound(&view).is_some_and(|bound| *bound != topic);
            let start = if known.is_some_and(|k| !k.is_empty()) || rebound {
                &StartPosition::Earliest
            } else {
                &self.def.kafka.start
            };
            let offsets = source.resolve(&missing, start, ASK_TIMEOUT)?;
            ops.extend(offsets.into_iter().map(|(partition, offset)| Op::FirstPosition {
                topic: topic.clone(),
                partition,
                offset,
            }));
        }
        if !ops.is_empty() {
            let operation = if missing.is_empty() { "source" } else { "position" };
            self.runtime.block_on(self.family.commit(operation, ops))?;
        }
        self.told = false;
        Ok(topic)
    }

    fn bound<'a>(&self, view: &'a FamilyView) -> Option<&'a TopicKey> {
        view.manifest.sources.get(&self.def.name).and_then(|state| state.topic.as_ref())
    }

    /// The ops that bind the source to `topic`; none where it is bound already.
    fn binding(&self, view: &FamilyView, topic: &TopicKey) -> Result<Vec<Op>, End> {
        let sources = &view.manifest.sources;
        let Some(state) = sources.get(&self.def.name) else {
            return Err(End::Fail("the source was removed".into()));
        };
        if let Some((other, _)) = sources.iter().find(|(n, s)| **n != self.def.name && s.topic.as_ref() == Some(topic))
        {
            let name = &topic.topic;
            return Err(End::Fail(format!("source {other:?} reads topic {name:?} into this table already; drop one")));
        }
        let bind = Op::BindSource { source: self.def.name.clone(), topic: topic.clone() };
        match &state.topic {
            None => Ok(vec![bind]),
            Some(bound) if bound == topic => Ok(Vec::new()),
            // The new topic's positions are its own; the old one's stay with the table.
            Some(_) if self.told => Ok(vec![bind]),
            Some(bound) => Err(End::Fail(recreated(bound, topic))),
        }
    }

    /// Looks for positions outside their logs, with no shard open; records the gaps or fails, as the source says.
    pub(super) fn mend_gaps(
        &mut self,
        source: &mut dyn LogSource,
        topic: &TopicKey,
        partitions: i32,
    ) -> Result<(), End> {
        let view = self.family.view();
        let mut gaps = Vec::new();
        for partition in 0..partitions {
            let Some(next) = view.next_offset(topic, partition) else { continue };
            let marks = source.watermarks(partition, ASK_TIMEOUT)?;
            if next > marks.high {
                return Err(self.past_the_end(partition, next, marks.high));
            }
            if next < marks.low {
                gaps.push(Gap { partition, from: next, to: marks.low });
            }
        }
        self.beyond = 0;
        let Some(first) = gaps.first() else { return Ok(()) };
        if self.def.kafka.on_gap == OnGap::Fail {
            return Err(End::Fail(format!(
                "records {} to {} of partition {} were deleted before they were read; to go on without them, drop the \
                 source and create it again with on_gap = 'skip'",
                first.from,
                first.to.saturating_sub(1),
                first.partition
            )));
        }
        self.skip(topic, &gaps)
    }

    /// A broker that has just started may tell too low an end for a moment: only a repeated one is believed.
    fn past_the_end(&mut self, partition: i32, next: i64, end: i64) -> End {
        self.beyond += 1;
        let why = format!(
            "partition {partition} ends at {end} but was read up to {next}: the topic was truncated or restored"
        );
        if self.beyond < BELIEVED { End::Wait(why) } else { End::Fail(why) }
    }

    /// Commits the gaps; visible rows are sealed first, so that the committed position stands where the gap begins.
    fn skip(&self, topic: &TopicKey, gaps: &[Gap]) -> Result<(), End> {
        self.runtime.block_on(self.family.seal())?;
        let ops = gaps
            .iter()
            .map(|gap| Op::Gap {
                topic: topic.clone(),
                partition: gap.partition,
                from: gap.from,
                to: gap.to,
                reason: "deleted by the broker before they were read".into(),
            })
            .collect();
        self.runtime.block_on(self.family.commit("gap", ops))?;
        for gap in gaps {
            tracing::warn!(
                source = %self.def.name, partition = gap.partition, from = gap.from, to = gap.to,
                "records were deleted before they were read; the gap is in system.commits"
            );
        }
        Ok(())
    }
}

/// Why a topic is not the one the source was bound to.
pub(super) fn recreated(bound: &TopicKey, now: &TopicKey) -> String {
    let what = if bound.cluster == now.cluster {
        format!(
            "topic {:?} was deleted and created again (id {} is now {})",
            bound.topic, bound.topic_uuid, now.topic_uuid
        )
    } else {
        format!("the brokers belong to another cluster ({:?} is now {:?})", bound.cluster, now.cluster)
    };
    format!("{what}; ALTER SOURCE … RESUME reads the new one from its beginning")
}
