//! From a source's definition to librdkafka's settings: ours, the user's, and those nobody may change.
//!
//! What enters: brokers, topic, the user's properties (`env:NAME` and `file:PATH` resolved here). What leaves: a checked
//! `ClientConfig`. Values never appear in a message: they may be secrets.

use crate::suggest::closest;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::KafkaSource;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;

/// What exactly-once rests on; the user may repeat these values, not change them.
const FIXED: &[(&str, &str)] = &[
    // Positions live in our commit log alone.
    ("enable.auto.commit", "false"),
    ("auto.commit.enable", "false"),
    ("enable.auto.offset.store", "false"),
    // A position outside the log is an error that we answer, never a silent jump.
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("isolation.level", "read_committed"),
    ("allow.auto.create.topics", "false"),
];

/// What the user can set nowhere: the definition has it elsewhere, or it would break the wiring.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", "say it as brokers"),
    ("metadata.broker.list", "say it as brokers"),
    ("group.instance.id", "partitions are assigned by Millrace, not by a group"),
    ("group.protocol", "partitions are assigned by Millrace, not by a group"),
    ("plugin.library.paths", "a source cannot load code into the server"),
    ("log.queue", "it is used by Millrace"),
    ("enabled_events", "it is used by Millrace"),
    ("test.mock.num.brokers", "it is for tests of the client itself"),
];

/// What we set unless the user says otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "millrace"),
    ("check.crcs", "true"),
    ("fetch.wait.max.ms", "10"),
    // The default of 1000 would add a second of delay whenever the queue was full.
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "1000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("socket.nagle.disable", "true"),
    ("enable.metrics.push", "false"),
    ("statistics.interval.ms", "0"),
    ("log.connection.close", "false"),
];

/// Checks brokers, topic and properties of a Kafka source as far as possible without a broker.
///
/// # Errors
/// `InvalidValue` naming the setting, with a suggestion where a name is nearly one that librdkafka knows.
pub fn validate_kafka(kafka: &KafkaSource) -> Result<()> {
    client_config("t", kafka, 1 << 20)?.create_native_config().map(|_| ()).map_err(|e| refused(&e))
}

/// The settings of a consumer for `table`, queueing at most `queue_bytes`.
///
/// # Errors
/// `InvalidValue` naming the setting.
pub(super) fn client_config(table: &str, kafka: &KafkaSource, queue_bytes: u64) -> Result<ClientConfig> {
    check_brokers(&kafka.brokers)?;
    check_topic(&kafka.topic)?;
    let user = user_properties(&kafka.properties)?;
    let mut config = ClientConfig::new();
    for (key, value) in DEFAULTS.iter().chain(FIXED).filter(|(key, _)| *key != "auto.commit.enable") {
        config.set(*key, *value);
    }
    let queue_kib = (queue_bytes / 1024).clamp(1, 2_097_151);
    // One answer may not overrun the queue by much; 1 MiB is librdkafka's own least.
    let fetch_bytes = (queue_bytes / 4).clamp(1 << 20, 50 << 20);
    config
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", format!("millrace.{table}"))
        .set("queued.max.messages.kbytes", queue_kib.to_string())
        .set("fetch.max.bytes", fetch_bytes.to_string())
        .set("fetch.message.max.bytes", fetch_bytes.min(1 << 20).to_string());
    for (key, value) in user {
        if key == "queued.max.messages.kbytes" && value.parse::<u64>().is_ok_and(|wanted| wanted > queue_kib) {
            continue;
        }
        config.set(key, value);
    }
    // That a topic's id changed is told in this log alone; it is a few lines for each refresh of metadata.
    config.set("debug", "topic").set_log_level(RDKafkaLogLevel::Debug);
    Ok(config)
}

/// What librdkafka says about a setting, as an error that names it; with a suggestion for an unknown name.
pub(super) fn refused(error: &KafkaError) -> Error {
    let KafkaError::ClientConfig(_, text, key, _) = error else {
        return Error::new(ErrorKind::InvalidValue, format!("the Kafka client cannot be made: {error}"));
    };
    let known = millrace_sys::known_properties();
    if known.iter().any(|k| k == key) || !text.contains("No such configuration property") {
        // librdkafka repeats the value in its text: leave it out.
        let base = Error::new(ErrorKind::InvalidValue, format!("invalid value for Kafka property {key:?}"));
        return base.hint("see librdkafka's CONFIGURATION.md for the values it takes");
    }
    let base = Error::new(ErrorKind::InvalidValue, format!("unknown Kafka property {key:?}"));
    match closest(key, known.iter().map(String::as_str)) {
        Some(name) => base.hint(format!("did you mean {name:?}?")),
        None => base.hint("any property of librdkafka can be set; see its CONFIGURATION.md"),
    }
}

fn user_properties(properties: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    let mut user = Vec::with_capacity(properties.len());
    for (key, raw) in properties {
        if let Some((_, why)) = REFUSED.iter().find(|(name, _)| name == key) {
            let message = format!("Kafka property {key:?} cannot be set here");
            return Err(Error::new(ErrorKind::InvalidValue, message).hint(*why));
        }
        let value = resolved(key, raw)?;
        if let Some((_, fixed)) = FIXED.iter().find(|(name, _)| name == key) {
            if value != *fixed {
                let message = format!("Kafka property {key:?} is fixed to {fixed:?}: exactly once rests on it");
                return Err(Error::new(ErrorKind::InvalidValue, message).hint("leave it out"));
            }
            continue;
        }
        user.push((key.clone(), value));
    }
    Ok(user)
}

/// The value itself, or what `env:NAME` or `file:PATH` holds (without a last line break).
fn resolved(key: &str, raw: &str) -> Result<String> {
    if let Some(name) = raw.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| {
            Error::new(ErrorKind::InvalidValue, format!("environment variable {name:?} is not set or not UTF-8"))
                .with("property", key)
        });
    }
    if let Some(path) = raw.strip_prefix("file:") {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::new(ErrorKind::InvalidValue, format!("cannot read {path:?}: {e}")).with("property", key)
        })?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    Ok(raw.to_owned())
}

fn check_brokers(brokers: &str) -> Result<()> {
    let fits = |broker: &str| {
        let address = broker.trim().rsplit_once("://").map_or(broker.trim(), |(_, rest)| rest);
        match address.rsplit_once(':') {
            // An IPv6 address without brackets has colons of its own; librdkafka judges those.
            Some((host, port)) => !host.is_empty() && port.trim_end_matches(']').parse::<u16>().is_ok_and(|p| p > 0),
            None => !address.is_empty(),
        }
    };
    if brokers.split(',').all(fits) {
        return Ok(());
    }
    let message = format!("invalid brokers {brokers:?}");
    Err(Error::new(ErrorKind::InvalidValue, message).hint("write host:port, several separated by commas"))
}

fn check_topic(topic: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=249).contains(&topic.len()) && topic.chars().all(legal) && topic != "." && topic != ".." {
        return Ok(());
    }
    let message = format!("invalid topic name {topic:?}");
    Err(Error::new(ErrorKind::InvalidValue, message).hint("letters, digits, '.', '_' and '-', at most 249 of them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_schema::{OnGap, StartPosition};

    fn kafka(properties: &[(&str, &str)]) -> KafkaSource {
        KafkaSource {
            brokers: "127.0.0.1:9092".into(),
            topic: "wiki.edits".into(),
            start: StartPosition::Earliest,
            on_gap: OnGap::Fail,
            properties: properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn our_own_settings_are_all_known_to_librdkafka() {
        validate_kafka(&kafka(&[])).unwrap();
    }

    #[test]
    fn what_exactly_once_rests_on_cannot_be_changed() {
        for (key, value) in [
            ("enable.auto.commit", "true"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_uncommitted"),
            ("bootstrap.servers", "elsewhere:9092"),
            ("plugin.library.paths", "/tmp/x.so"),
        ] {
            let error = validate_kafka(&kafka(&[(key, value)])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidValue);
            assert!(error.message().contains(key), "{error}");
        }
        validate_kafka(&kafka(&[("enable.auto.commit", "false")])).unwrap();
    }

    #[test]
    fn an_unknown_property_is_named_and_mended() {
        let error = validate_kafka(&kafka(&[("security.protocl", "ssl")])).unwrap_err();
        assert!(error.message().contains("security.protocl"), "{error}");
        assert!(error.hint_text().unwrap().contains("security.protocol"), "{error:?}");
        let error = validate_kafka(&kafka(&[("fetch.wait.max.ms", "s3cret")])).unwrap_err();
        assert!(error.message().contains("fetch.wait.max.ms") && !format!("{error:?}").contains("s3cret"), "{error:?}");
    }

    #[test]
    fn secrets_come_from_files_and_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "hush\n").unwrap();
        let file = format!("file:{}", path.display());
        let config = client_config("t", &kafka(&[("sasl.password", &file), ("sasl.username", "env:PATH")]), 1 << 20);
        let config = config.unwrap();
        assert_eq!(config.get("sasl.password"), Some("hush"));
        assert_eq!(config.get("sasl.username"), std::env::var("PATH").ok().as_deref());
        let error = client_config("t", &kafka(&[("sasl.password", "env:MILLRACE_NO_SUCH")]), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
    }

    #[test]
    fn queues_stay_within_their_share() {
        let config = client_config("t", &kafka(&[("queued.max.messages.kbytes", "999999")]), 8 << 20).unwrap();
        assert_eq!(config.get("queued.max.messages.kbytes"), Some("8192"));
        let config = client_config("t", &kafka(&[("queued.max.messages.kbytes", "64")]), 8 << 20).unwrap();
        assert_eq!(config.get("queued.max.messages.kbytes"), Some("64"));
    }

    #[test]
    fn brokers_and_topics_are_checked() {
        for brokers in ["", "host:", "host:x", "a:1,", ":9092"] {
            assert!(check_brokers(brokers).is_err(), "{brokers}");
        }
        for brokers in ["a:1", "a:1, b:2", "[::1]:9092", "SSL://a:1"] {
            assert!(check_brokers(brokers).is_ok(), "{brokers}");
        }
        assert!(check_topic("a b").is_err() && check_topic("").is_err() && check_topic("..").is_err());
    }
}
