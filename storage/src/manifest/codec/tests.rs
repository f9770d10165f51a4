//! Commits read back as they were written; nothing else is taken for one.

use super::super::samples::{any_commit, commit, created, id, part, source, topic};
use super::*;
use millrace_schema::{TableDef, TableId};
use proptest::prelude::*;

const KEY: &str = "families/f/manifest/00000000000000000002.commit";

/// Frames a body by hand.
fn framed(body: &[u8]) -> Bytes {
    let mut bytes = b"MRC1".to_vec();
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes.into()
}

fn body(bytes: &Bytes) -> Vec<u8> {
    bytes[8..bytes.len() - 4].to_vec()
}

fn one() -> Commit {
    commit(&created(id(1)), vec![Op::AddPart(part(1)), Op::RemovePart(TableId::BASE, part(0).id)])
}

proptest! {
    #[test]
    fn what_was_written_is_read(commit in any_commit()) {
        let bytes = encode(&commit).unwrap();
        prop_assert_eq!(decode(KEY, &bytes).unwrap(), commit);
    }

    #[test]
    fn any_changed_bit_is_detected(commit in any_commit(), place in any::<prop::sample::Index>(), bit in 0u32..8) {
        let mut bytes = encode(&commit).unwrap().to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let error = decode(KEY, &bytes.into()).unwrap_err();
        let frame_version = place == 3;
        prop_assert!(error.kind() == ErrorKind::Damage || frame_version && error.kind() == ErrorKind::NotSupported, "{}", error);
    }

    #[test]
    fn any_cut_is_detected(commit in any_commit(), place in any::<prop::sample::Index>()) {
        let bytes = encode(&commit).unwrap();
        let error = decode(KEY, &bytes.slice(..place.index(bytes.len()))).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Damage);
    }

    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(KEY, &noise.clone().into()).is_err());
        // With a right frame around it, too, there is no panic.
        let _ = decode(KEY, &framed(&noise));
    }
}

#[test]
fn damage_names_file_and_offset() {
    let mut bytes = encode(&one()).unwrap().to_vec();
    let place = bytes.len() / 2;
    bytes[place] ^= 0x10;
    let end = bytes.len() - 4;
    let error = decode(KEY, &bytes.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage);
    assert_eq!(error.to_string(), format!("checksum differs (file={KEY}, offset={end})"));
}

#[test]
fn an_unknown_op_is_refused_and_not_dropped() {
    // Commit.ops = 8 (tag 0x42), an op of 2 bytes: field 11, empty.
    let mut body = body(&encode(&one()).unwrap());
    body.extend([0x42, 2, 0x5A, 0]);
    let error = decode(KEY, &framed(&body)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert!(error.message().contains("newer version"), "{error}");
    assert!(error.to_string().contains(KEY), "{error}");
}

#[test]
fn a_field_that_must_not_be_ignored_is_refused() {
    // Commit.min_reader = 15 (tag 0x78), the last one counts.
    let mut newer = body(&encode(&one()).unwrap());
    newer.extend([0x78, 2]);
    assert_eq!(decode(KEY, &framed(&newer)).unwrap_err().kind(), ErrorKind::NotSupported);
    // Other new fields may be ignored: field 100, varint 1.
    let mut more = body(&encode(&one()).unwrap());
    more.extend([0xA0, 0x06, 1]);
    assert_eq!(decode(KEY, &framed(&more)).unwrap(), one());
}

#[test]
fn a_source_of_another_table_is_of_a_later_version() {
    let op = pb::Op { table: 2, kind: Some(OpKind::RemoveSource(pb::RemoveSource { name: "s".into() })) };
    let message = pb::Commit { ops: vec![op], parent: vec![0; 16], uuid: vec![1; 16], ..Default::default() };
    let bytes = frame::seal(Kind::Commit, &message).unwrap();
    assert_eq!(decode(KEY, &bytes).unwrap_err().kind(), ErrorKind::NotSupported);
}

#[test]
fn impossible_messages_are_damage() {
    let op = |kind| pb::Op { table: 0, kind: Some(kind) };
    for bad in [
        op(OpKind::PutTable(pb::PutTable { definition: "{".into() })),
        op(OpKind::BindSource(pb::BindSource { source: "s".into(), topic: None })),
        op(OpKind::RemovePart(pb::RemovePart { part: vec![1, 2] })),
        op(OpKind::AddPart(pb::PartMeta::default())),
    ] {
        let message = pb::Commit { ops: vec![bad], parent: vec![0; 16], uuid: vec![1; 16], ..Default::default() };
        let error = decode(KEY, &frame::seal(Kind::Commit, &message).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
        assert!(error.to_string().contains(KEY), "{error}");
    }
}

#[test]
fn a_part_costs_at_most_256_bytes() {
    use millrace_proto::Message;
    assert!(part_out(&part(7)).encoded_len() <= 256, "{}", part_out(&part(7)).encoded_len());
}

/// These bytes are a promise: this test may only ever get more of them.
#[test]
fn bytes_of_the_first_version_are_still_read() {
    let kept = hex_bytes(include_str!("first_version.hex"));
    let written: String = encode(&every_op()).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!kept.is_empty(), "nothing kept; now written: {written}");
    let read = decode(KEY, &kept).unwrap();
    assert_eq!(read, every_op());
    assert_eq!(encode(&every_op()).unwrap(), kept);
}

fn hex_bytes(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn every_op() -> Commit {
    let (partition, topic) = (3, topic(1));
    let small: TableDef = TableDef { columns: Vec::new(), ..super::super::samples::table(2) };
    let t = || topic.clone();
    let ops = vec![
        Op::PutTable(TableId::BASE, small),
        Op::PutSource(source("s", "t")),
        Op::BindSource { source: "s".into(), topic: t() },
        Op::FirstPosition { topic: t(), partition, offset: 10 },
        Op::MoveOffset { topic: t(), partition, from: 10, to: 20, rows: 8, dead_letters: 1, max_event_time: Some(-5) },
        Op::Gap { topic: t(), partition, from: 20, to: 30, reason: "expired".into() },
        Op::AddPart(part(2)),
        Op::RemovePart(TableId::BASE, part(1).id),
        Op::RemoveSource("s".into()),
    ];
    commit(&created(id(1)), ops)
}
