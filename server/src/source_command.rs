//! `millrace sources test FILE`: reads a source file and looks at its topic, without reading or committing anything.

use millrace_clock::Clock;
use millrace_error::{Error, Result};
use millrace_ingest::parse_source_file;
use millrace_ingest::source::{KafkaFactory, Probe, SourceFactory, probe};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// How long the broker may take with each answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the file says and what its broker answers. Blocks for as long as the broker takes.
///
/// # Errors
/// `InvalidValue` naming file and key; `UnknownObject` for the topic; `Denied`; `Io` where no broker answers.
pub(crate) fn test(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(file.display(), e))?;
    let source = parse_source_file(file, &text)?;
    let factory = KafkaFactory::new(Clock::system());
    factory.validate(&source.def)?;
    let mut report = format!("{} is valid: source {} feeds table {}\n", file.display(), source.def.name, source.table);
    let probe = probe(&factory, &source.table, &source.def, TIMEOUT)?;
    describe(&mut report, &source.def.kafka.topic, &probe);
    Ok(report)
}

fn describe(report: &mut String, name: &str, probe: &Probe) {
    let Probe { topic, partitions } = probe;
    let _ = writeln!(
        report,
        "topic {name}: id {}, cluster {}, {} partitions",
        topic.topic_uuid, topic.cluster, topic.partitions
    );
    for (partition, bounds) in partitions {
        let _ = writeln!(report, "  partition {partition}: offsets {} to {} (not included)", bounds.low, bounds.high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_valid() {
        let text = include_str!("../../deploy/sources.d/wikipedia.toml");
        let source = parse_source_file(Path::new("wikipedia.toml"), text).unwrap();
        assert_eq!((source.def.name.as_str(), source.table.as_str()), ("wiki", "wikipedia"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = test(Path::new("/nowhere/x.toml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/x.toml"), "{error}");
    }
}
