//! CREATE, ALTER and DROP SOURCE.
//!
//! What enters: a cursor after the words. What leaves: a [`Command`], its options checked. Deliberately absent: whether table
//! and columns exist, and what librdkafka thinks of its settings.

use super::command::{Command, CreateSource};
use super::cursor::{Cursor, Name};
use super::options::{OptionItem, options, unknown};
use super::{fault, nearest, time};
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{JsonPath, KafkaSource, OnError, OnGap, StartPosition, TimeUnit};
use std::collections::BTreeMap;

const KAFKA_OPTIONS: &[&str] = &["brokers", "topic", "start", "on_gap"];
const FORMAT_OPTIONS: &[&str] = &["on_error", "time_unit", "max_lateness", "max_future"];
/// librdkafka's settings whose names hold no dot, as far as a consumer may use them.
const PLAIN_PROPERTIES: &[&str] = &["debug"];
const TOPIC_LEN_MAX: usize = 249;
/// Rows that were pushed are under this name where positions are shown.
const PUSH_NAME: &str = "_push";

/// Parses what follows `CREATE SOURCE`.
pub(super) fn create_source(c: &mut Cursor<'_>) -> Result<Command> {
    let if_not_exists = c.accept_all(&["if", "not", "exists"]);
    let name = c.name()?;
    if name.text == PUSH_NAME {
        return Err(fault::invalid(format!("a source cannot be called {PUSH_NAME}"), name.at));
    }
    c.expect("to")?;
    let table = c.relation()?;
    c.expect("from")?;
    if c.looks_at_any(&["kinesis", "pulsar", "nats", "file", "s3", "postgres", "mqtt", "redis"]) {
        return Err(fault::later("a source from anything but KAFKA", c.at()));
    }
    c.expect("kafka")?;
    let kafka_at = c.at();
    let kafka = kafka(&options(c)?, kafka_at)?;
    c.expect("format")?;
    if c.looks_at_any(&["avro", "protobuf", "csv", "arrow", "parquet", "raw"]) {
        return Err(fault::later("a source of another format than JSON", c.at()));
    }
    c.expect("json")?;
    let mapping = if c.peek().is_some_and(|t| t.token == Token::LParen) { mapping(c)? } else { Vec::new() };
    let items = if c.accept("with") { options(c)? } else { Vec::new() };
    let (on_error, time_unit) = format_options(&items)?;
    Ok(Command::CreateSource(Box::new(CreateSource {
        if_not_exists,
        name,
        table,
        kafka,
        mapping,
        on_error,
        time_unit,
    })))
}

fn kafka(items: &[OptionItem], at: usize) -> Result<KafkaSource> {
    let (mut brokers, mut topic) = (None, None);
    let (mut start, mut on_gap, mut properties) = (StartPosition::Earliest, OnGap::Fail, BTreeMap::new());
    for item in items {
        match item.name.as_str() {
            "brokers" if item.value.trim().is_empty() => {
                return Err(item.invalid("it is empty").hint("write brokers = 'host:9092'"));
            }
            "brokers" => brokers = Some(item.value.trim().to_owned()),
            "topic" => topic = Some(topic_name(item)?),
            "start" => start = start_position(item)?,
            "on_gap" => on_gap = item.one_of(&[("fail", OnGap::Fail), ("skip", OnGap::Skip)])?,
            "bootstrap.servers" | "metadata.broker.list" => {
                let message = format!("option \"{}\" is set by brokers", item.name);
                return Err(fault::invalid(message, item.name_at).hint("write brokers = 'host:9092'"));
            }
            name if name.contains('.') || PLAIN_PROPERTIES.contains(&name) => {
                properties.insert(item.name.clone(), item.value.clone());
            }
            _ => return Err(unknown_kafka(item)),
        }
    }
    let missing =
        |name: &str| fault::invalid(format!("option \"{name}\" is missing"), at).hint(format!("write {name} = '…'"));
    Ok(KafkaSource {
        brokers: brokers.ok_or_else(|| missing("brokers"))?,
        topic: topic.ok_or_else(|| missing("topic"))?,
        start,
        on_gap,
        properties,
    })
}

fn unknown_kafka(item: &OptionItem) -> Error {
    match nearest(&item.name, FORMAT_OPTIONS.iter().copied()) {
        Some(near) if nearest(&item.name, KAFKA_OPTIONS.iter().copied()).is_none() => {
            fault::invalid(format!("unknown option \"{}\" of KAFKA", fault::shorten(&item.name)), item.name_at)
                .hint(format!("{near} belongs in WITH (…), after FORMAT JSON"))
        }
        _ => unknown(item, KAFKA_OPTIONS),
    }
}

fn topic_name(item: &OptionItem) -> Result<String> {
    let name = item.value.as_str();
    if name.starts_with('^') {
        return Err(fault::later("a pattern of topics", item.value_at).hint("a source reads one topic"));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > TOPIC_LEN_MAX || name == "." || name == ".." || !name.chars().all(fits) {
        return Err(item
            .invalid("it is not a topic's name")
            .hint(format!("a topic's name is 1 to {TOPIC_LEN_MAX} of a-z, A-Z, 0-9, '.', '_' and '-'")));
    }
    Ok(name.to_owned())
}

fn start_position(item: &OptionItem) -> Result<StartPosition> {
    match item.value.trim().to_ascii_lowercase().as_str() {
        "earliest" => Ok(StartPosition::Earliest),
        "latest" => Ok(StartPosition::Latest),
        word => time::timestamptz(&item.value).map(StartPosition::Timestamp).map_err(|_| {
            let error = item.invalid(format!("\"{}\"", fault::shorten(&item.value)));
            match nearest(word, ["earliest", "latest"]) {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint("it is 'earliest', 'latest' or a time such as '2026-01-31T12:00:00Z'"),
            }
        }),
    }
}

/// `(column = '$.path', …)`
fn mapping(c: &mut Cursor<'_>) -> Result<Vec<(Name, String)>> {
    c.expect_token(&Token::LParen)?;
    let mut all: Vec<(Name, String)> = Vec::new();
    loop {
        let column = c.name()?;
        c.expect_token(&Token::Eq)?;
        let (path, at) = c.expect_string()?;
        JsonPath::parse(&path).map_err(|error| error.at(at))?;
        if all.iter().any(|(other, _)| other.text == column.text) {
            let message = format!("column \"{}\" is mapped more than once", fault::shorten(&column.text));
            return Err(Error::new(ErrorKind::DuplicateColumn, message).at(column.at));
        }
        all.push((column, path));
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)?;
    Ok(all)
}

fn format_options(items: &[OptionItem]) -> Result<(OnError, TimeUnit)> {
    let (mut on_error, mut time_unit) = (OnError::DeadLetter, TimeUnit::Auto);
    for item in items {
        match item.name.as_str() {
            "on_error" => {
                let words = [("dead_letter", OnError::DeadLetter), ("skip", OnError::Skip), ("fail", OnError::Fail)];
                on_error = item.one_of(&words)?;
            }
            "time_unit" => {
                let words = [
                    ("auto", TimeUnit::Auto),
                    ("s", TimeUnit::S),
                    ("ms", TimeUnit::Ms),
                    ("us", TimeUnit::Us),
                    ("ns", TimeUnit::Ns),
                ];
                time_unit = item.one_of(&words)?;
            }
            "max_lateness" | "max_future" if item.value.eq_ignore_ascii_case("off") => {}
            "max_lateness" | "max_future" => return Err(fault::later(&format!("option {}", item.name), item.name_at)),
            name if KAFKA_OPTIONS.contains(&name) => {
                return Err(fault::invalid(format!("option \"{name}\" belongs in KAFKA (…)"), item.name_at));
            }
            _ => return Err(unknown(item, FORMAT_OPTIONS)),
        }
    }
    Ok((on_error, time_unit))
}

/// Parses what follows `ALTER SOURCE`.
pub(super) fn alter_source(c: &mut Cursor<'_>) -> Result<Command> {
    let name = c.name()?;
    if c.accept("pause") {
        return Ok(Command::PauseSource(name));
    }
    if c.accept("resume") {
        return Ok(Command::ResumeSource(name));
    }
    if let Some(what) = ["seek", "set", "rename", "owner"].iter().find(|w| c.looks_at(&[w])) {
        return Err(fault::later(&format!("ALTER SOURCE … {}", what.to_uppercase()), c.at()));
    }
    let error = c.error();
    Err(match c.word().and_then(|w| nearest(&w, ["pause", "resume"])) {
        Some(word) => error.hint(format!("did you mean {}?", word.to_uppercase())),
        None => error.detail("expected PAUSE or RESUME"),
    })
}

/// Parses what follows `DROP SOURCE`.
pub(super) fn drop_source(c: &mut Cursor<'_>) -> Result<Command> {
    let if_exists = c.accept_all(&["if", "exists"]);
    let name = c.name()?;
    if !c.accept("restrict") {
        c.accept("cascade");
    }
    Ok(Command::DropSource { if_exists, name })
}
