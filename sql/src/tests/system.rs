//! Schema `system`: columns as the surface fixes them, and what is in them.

use super::*;
use crate::PartitionStatus;

#[tokio::test(flavor = "multi_thread")]
async fn system_tables_have_the_surfaces_columns() {
    let mut f = Fixture::fed(512 << 20).await;
    for (table, columns) in [
        ("tables", "name kind version rows parts bytes time_column partition_by sort_by"),
        ("columns", "table_name name id type nullable column_default"),
        ("parts", "table_name part partition rows bytes min_time max_time level location created_at path deleted_rows"),
        ("segments", "table_name segment state rows bytes age_ms"),
        ("sources", "name table_name kind topic state error rows dead_letters"),
        (
            "source_partitions",
            "source topic partition committed_offset visible_offset high_watermark lag lag_seconds last_event_time state error first_offset",
        ),
        ("commits", "table_name version at operation rows parts_added parts_removed offsets"),
    ] {
        let names = f.columns(&format!("SELECT * FROM system.{table}")).await;
        assert_eq!(names, columns.split(' ').collect::<Vec<_>>(), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn system_tables_tell_what_is_there() {
    let mut f = Fixture::fed(512 << 20).await;
    let partition = PartitionStatus {
        partition: 0,
        high_watermark: Some(500),
        lag_seconds: Some(1.5),
        state: "running",
        error: None,
    };
    f.paper.0.lock().unwrap().push(SourceStatus {
        name: "src".to_owned(),
        table: "t".to_owned(),
        state: "running",
        error: None,
        def: source(),
        unknown_fields: 0,
        partitions: vec![partition],
    });
    f.append(10, 0);
    f.family().seal().await.unwrap();
    f.append(5, 1);
    for (sql, expected) in [
        (
            "SELECT name, kind, rows, parts, time_column, partition_by, sort_by FROM system.tables ORDER BY 1",
            vec!["t|table|15|1|time|day|channel, time", "t_dead_letters|dead_letters|2|1|dead_at|day|dead_at"],
        ),
        (
            "SELECT name, id, type, nullable FROM system.columns WHERE table_name = 't' ORDER BY id",
            vec!["time|1|timestamp with time zone|true", "channel|2|text|true", "n|3|bigint|true", "id|4|uuid|true"],
        ),
        (
            "SELECT table_name, partition, rows, level, location, deleted_rows, min_time FROM system.parts WHERE table_name = 't'",
            vec!["t|2015-09-12|10|0|local|0|2015-09-12T00:00:00Z"],
        ),
        (
            "SELECT table_name, state, rows, age_ms >= 0 FROM system.segments ORDER BY 1",
            vec!["t|mutable|5|true", "t_dead_letters|mutable|1|true"],
        ),
        (
            "SELECT name, table_name, kind, topic, state, error, rows, dead_letters FROM system.sources",
            vec!["src|t|kafka|events|running||15|2"],
        ),
        (
            "SELECT partition, committed_offset, visible_offset, high_watermark, lag, first_offset FROM system.source_partitions",
            vec!["0|111|117|500|383|100"],
        ),
        (
            "SELECT rows, parts_added, offsets FROM system.commits WHERE table_name = 't' AND operation = 'seal'",
            vec!["11|2|{\"events\":{\"0\":{\"from\":100,\"to\":111}}}"],
        ),
    ] {
        assert_eq!(f.rows(sql).await, expected, "{sql}");
    }
    let path = f.rows("SELECT path FROM system.parts WHERE table_name = 't'").await.remove(0);
    assert!(std::path::Path::new(&path).is_file(), "{path}");
    assert!(f.answer("SELECT * FROM system.tables").await.unwrap().snapshot.is_empty());
}
