//! DataFusion's errors as ours: kind, message, hint, and the position in the statement.
//!
//! What enters: a `DataFusionError` and the text it is about. What leaves: an [`Error`] whose kind alone decides the
//! SQLSTATE. Deliberately absent: SQLSTATEs (see `server`).

use crate::parse::{nearest, position_in, quoted};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Diagnostic, SchemaError, Span};
use datafusion::parquet::errors::ParquetError;
use millrace_error::{Error, ErrorKind};

/// The text that an error's positions are counted in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    /// The statement.
    pub(crate) text: &'a str,
    /// Characters before it in what the user sent.
    pub(crate) offset: usize,
}

impl Place<'_> {
    /// The 1-based character position of where a span starts.
    fn position(&self, span: Span) -> Option<usize> {
        position_in(self.text, self.offset, span.start.line, span.start.column)
    }
}

/// An error of planning, with the position where DataFusion knows it.
pub(crate) fn planning(error: DataFusionError, place: Place<'_>) -> Error {
    let position = span_of(&error).and_then(|span| place.position(span));
    let mapped = convert(error);
    match position {
        Some(position) if mapped.position().is_none() => mapped.at(position),
        _ => mapped,
    }
}

/// An error of execution.
pub(crate) fn execution(error: DataFusionError) -> Error {
    convert(error)
}

/// One of ours, to travel through DataFusion unchanged.
pub(crate) fn wrap(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The closest of `names` to a misspelt `wanted`, as a hint.
pub(crate) fn did_you_mean<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(wanted, names).map(|name| format!("perhaps you meant {}", shown(name)))
}

/// A name in quotes, with a word where the quotes must be written too.
pub(crate) fn shown(name: &str) -> String {
    let written = quoted(name);
    if written == name { format!("\"{name}\"") } else { format!("{written}, written with its double quotes") }
}

fn span_of(error: &DataFusionError) -> Option<Span> {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let Diagnostic { span, notes, .. } = diagnostic.as_ref();
            span.or_else(|| notes.iter().find_map(|n| n.span)).or_else(|| span_of(inner))
        }
        DataFusionError::Context(_, inner) => span_of(inner),
        DataFusionError::Collection(all) => all.iter().find_map(span_of),
        DataFusionError::Shared(inner) => span_of(inner),
        DataFusionError::SchemaError(inner, _) => match inner.as_ref() {
            SchemaError::FieldNotFound { field, .. } | SchemaError::AmbiguousReference { field } => field.spans.first(),
            _ => None,
        },
        _ => None,
    }
}

fn convert(error: DataFusionError) -> Error {
    match error {
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => convert(*inner),
        DataFusionError::Collection(mut all) if !all.is_empty() => convert(all.swap_remove(0)),
        DataFusionError::Shared(inner) => {
            std::sync::Arc::try_unwrap(inner).map_or_else(|shared| borrowed(&shared), convert)
        }
        DataFusionError::External(inner) => external(inner),
        DataFusionError::ArrowError(inner, _) => arrow(*inner),
        DataFusionError::ParquetError(inner) => parquet(*inner),
        DataFusionError::SQL(inner, _) => Error::new(ErrorKind::Syntax, inner.to_string()),
        DataFusionError::SchemaError(inner, _) => schema(&inner),
        DataFusionError::Plan(message) => plan(&message),
        DataFusionError::Execution(message) => executed(&message),
        DataFusionError::NotImplemented(message) => missing(&message),
        DataFusionError::Configuration(message) => Error::new(ErrorKind::InvalidValue, first_line(&message)),
        DataFusionError::ResourcesExhausted(message) => exhausted(&message),
        DataFusionError::IoError(inner) => Error::io("query", inner),
        DataFusionError::ObjectStore(inner) => Error::new(ErrorKind::Io, inner.to_string()).caused_by(*inner),
        DataFusionError::ExecutionJoin(inner) if inner.is_cancelled() => {
            Error::new(ErrorKind::Cancelled, "query was cancelled")
        }
        other => bug(&other.to_string()),
    }
}

/// A copy of what is shared with others.
fn borrowed(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(ours) => copy(ours),
            None => bug(&inner.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => borrowed(inner),
        DataFusionError::Shared(inner) => borrowed(inner),
        DataFusionError::ArrowError(inner, _) => arrow_kind(&inner.to_string(), inner),
        DataFusionError::ParquetError(inner) => match inner.as_ref() {
            ParquetError::External(inner) => {
                inner.downcast_ref::<Error>().map_or_else(|| bug(&inner.to_string()), copy)
            }
            other => Error::new(ErrorKind::Damage, other.to_string()),
        },
        DataFusionError::ResourcesExhausted(message) => exhausted(message),
        DataFusionError::Plan(message) => plan(message),
        DataFusionError::Execution(message) => executed(message),
        other => bug(&other.to_string()),
    }
}

fn copy(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.to_string());
    if let Some(hint) = error.hint_text() {
        copy = copy.hint(hint);
    }
    if let Some(detail) = error.detail_text() {
        copy = copy.detail(detail);
    }
    copy
}

fn external(inner: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let inner = match inner.downcast::<Error>() {
        Ok(ours) => return *ours,
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<DataFusionError>() {
        Ok(theirs) => return convert(*theirs),
        Err(inner) => inner,
    };
    match inner.downcast::<ArrowError>() {
        Ok(theirs) => arrow(*theirs),
        Err(other) => bug(&other.to_string()),
    }
}

fn parquet(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => external(inner),
        other => Error::new(ErrorKind::Damage, other.to_string()),
    }
}

fn arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => external(inner),
        other => arrow_kind(&other.to_string(), &other),
    }
}

fn arrow_kind(message: &str, error: &ArrowError) -> Error {
    match error {
        ArrowError::DivideByZero => Error::new(ErrorKind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(what) => Error::new(ErrorKind::OutOfRange, format!("out of range: {what}")),
        ArrowError::CastError(what) | ArrowError::ParseError(what) | ArrowError::InvalidArgumentError(what) => {
            value(what)
        }
        ArrowError::ComputeError(what) => {
            Error::new(by_words(VALUE_WORDS, what, ErrorKind::InvalidValue), first_line(what))
        }
        ArrowError::OffsetOverflowError(_) | ArrowError::DictionaryKeyOverflowError => {
            Error::new(ErrorKind::OutOfRange, "a result is larger than an array can hold")
        }
        ArrowError::MemoryError(what) => Error::new(ErrorKind::OutOfMemory, what.clone()),
        ArrowError::NotYetImplemented(what) => Error::not_supported(what.clone()),
        _ => bug(message),
    }
}

/// Words in DataFusion's messages, and the kind they stand for; the first that is found decides.
type Words = [(&'static [&'static str], ErrorKind)];

/// A value that cannot be made another type's.
const VALUE_WORDS: &Words = &[
    (&["divide by zero"], ErrorKind::DivisionByZero),
    (&["overflow", "out of range", "too large", "can't cast value"], ErrorKind::OutOfRange),
    (&["timestamp", "date", "time"], ErrorKind::InvalidTime),
];

/// What planning refuses.
const PLAN_WORDS: &Words = &[
    (&["must be in group by", "must appear in the group by"], ErrorKind::Grouping),
    (&["table function"], ErrorKind::UnknownFunction),
    (&["cannot coerce", "cannot infer common", "incompatible type"], ErrorKind::TypeMismatch),
    (&["unexpected argument", "type mismatch", "must be boolean", "non-boolean"], ErrorKind::TypeMismatch),
    (&["common type", "only supports", "can only be applied to"], ErrorKind::TypeMismatch),
    (&["argument #", "must be an integer"], ErrorKind::TypeMismatch),
    (&["calls cannot be nested"], ErrorKind::Grouping),
    (&["cannot be zero", "must be >= 0", "must be between", "no built-in encoding"], ErrorKind::InvalidValue),
    (&["invalid escape", "invalid window frame"], ErrorKind::InvalidValue),
    (&["no field named"], ErrorKind::UnknownColumn),
    (&["not supported", "unsupported"], ErrorKind::NotSupported),
];

fn by_words(words: &Words, message: &str, otherwise: ErrorKind) -> ErrorKind {
    let lower = message.to_lowercase();
    let found = words.iter().find(|(some, _)| some.iter().any(|word| lower.contains(word)));
    found.map_or(otherwise, |(_, kind)| *kind)
}

fn value(message: &str) -> Error {
    Error::new(by_words(VALUE_WORDS, message, ErrorKind::InvalidText), first_line(message))
}

fn executed(message: &str) -> Error {
    let lower = message.to_lowercase();
    if lower.contains("divide by zero") || lower.contains("division by zero") {
        Error::new(ErrorKind::DivisionByZero, "division by zero")
    } else if lower.contains("overflow") || lower.contains("out of range") {
        Error::new(ErrorKind::OutOfRange, first_line(message))
    } else if lower.contains("placeholder") {
        Error::new(ErrorKind::Protocol, first_line(message))
    } else {
        Error::new(ErrorKind::InvalidValue, first_line(message))
    }
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let mapped =
                Error::new(ErrorKind::UnknownColumn, format!("column \"{}\" does not exist", field.flat_name()));
            match did_you_mean(&field.name, valid_fields.iter().map(|f| f.name.as_str())) {
                Some(hint) => mapped.hint(hint),
                None => mapped,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::new(ErrorKind::AmbiguousColumn, format!("column reference \"{}\" is ambiguous", field.name))
                .hint("put the table's name or alias before it")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(ErrorKind::AmbiguousColumn, format!("column \"{name}\" appears more than once"))
                .hint("give it an alias")
        }
    }
}

/// What DataFusion has not. It prints trees where it does not know a node: their first word is enough.
fn missing(message: &str) -> Error {
    let text = first_line(message);
    let node = text.split_once(" ast node").and_then(|(_, rest)| rest.split_once(": "));
    match node.and_then(|(_, tree)| tree.split([' ', '(', '{']).next()) {
        Some(node) => Error::not_supported(format!("{} is not supported in this version", node.to_uppercase())),
        None => Error::not_supported(text),
    }
}

/// What comes after the first line: functions that there are.
fn candidates(rest: &str) -> String {
    let (head, list) = rest.split_once('\n').unwrap_or((rest, ""));
    let list: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("{} {}", first_line(head), list.join(", ")).trim_end().to_owned()
}

fn plan(message: &str) -> Error {
    let text = first_line(message);
    let lower = message.to_lowercase();
    if let Some(name) = text.strip_prefix("invalid function '").and_then(|rest| rest.split('\'').next()) {
        let mapped = Error::new(ErrorKind::UnknownFunction, format!("function {name} does not exist"));
        // DataFusion always names one, however far.
        let guess = message.split_once("Did you mean '").and_then(|(_, rest)| rest.split('\'').next());
        return match did_you_mean(name, guess) {
            Some(hint) => mapped.hint(hint),
            None => mapped,
        };
    }
    let unknown = ["no function matches", "failed to coerce arguments"].iter().any(|words| lower.contains(words));
    if unknown {
        let start = text.find("No function matches").unwrap_or(0);
        let text = first_line(
            text.get(start..).unwrap_or(&text).trim_end_matches(". You might need to add explicit type casts"),
        );
        let mapped = Error::new(ErrorKind::UnknownFunction, text);
        return match message.split_once('\n') {
            Some((_, rest)) => mapped.hint(candidates(rest)),
            None => mapped.hint("cast the arguments to the types that the function takes"),
        };
    }
    Error::new(by_words(PLAN_WORDS, message, ErrorKind::Syntax), text)
}

/// What DataFusion's messages call those who hold memory, and what a user calls what they do.
const CONSUMERS: [(&str, &str); 8] = [
    ("ExternalSorter", "sorting (ORDER BY)"),
    ("TopK", "sorting (ORDER BY … LIMIT)"),
    ("SortPreservingMergeExec", "merging sorted rows (ORDER BY)"),
    ("GroupedHashAggregateStream", "grouping (GROUP BY)"),
    ("HashJoinInput", "joining (JOIN)"),
    ("NestedLoopJoinLoad", "joining (JOIN)"),
    ("CrossJoinExec", "joining (CROSS JOIN)"),
    ("RepartitionExec", "passing rows between partitions"),
];

/// `53200`, naming the operator that wanted more.
fn exhausted(message: &str) -> Error {
    let asked = ["allocation failed for ", "Failed to allocate additional "]
        .iter()
        .find_map(|before| message.split_once(before));
    let asked = asked.map_or(message, |(_, rest)| rest.lines().next().unwrap_or(rest));
    let found = |text: &str| CONSUMERS.into_iter().find(|(name, _)| text.contains(name));
    let (operator, doing) = match found(asked).or_else(|| found(message)) {
        Some(known) => known,
        None if message.contains("Sort") => ("ExternalSorter", "sorting (ORDER BY)"),
        None if message.contains("Agg") => ("GroupedHashAggregateStream", "grouping (GROUP BY)"),
        None => ("the plan", "running the query"),
    };
    Error::new(ErrorKind::OutOfMemory, format!("out of query memory while {doing}: {operator} needs more than is left"))
        .detail(message.to_owned())
        .hint("narrow the time range, select fewer columns, add a LIMIT, or raise memory_limit")
}

/// What DataFusion and Arrow put before a message to say which of them it is from.
const PREFIXES: [&str; 12] = [
    "Internal error: ",
    "External error: ",
    "Arrow error: ",
    "Parquet error: ",
    "Compute error: ",
    "Cast error: ",
    "Parser error: ",
    "Schema error: ",
    "Invalid argument error: ",
    "Execution error: ",
    "Optimizer error: ",
    "Error during planning: ",
];

/// A bug of ours, or of DataFusion: which of them is no matter of the user's, nor whom DataFusion would have told.
fn bug(message: &str) -> Error {
    if message.contains("regex parse error") {
        let why = message.lines().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or("it cannot be parsed");
        return Error::new(ErrorKind::InvalidValue, format!("invalid regular expression: {why}"));
    }
    Error::internal(first_line(message))
}

/// The message alone, begun in lower case.
fn first_line(message: &str) -> String {
    let mut line = message.lines().next().unwrap_or(message).trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| line.strip_prefix(prefix)) {
        line = rest.trim_start();
    }
    let line = line.split("This issue was likely caused by").next().unwrap_or(line).trim_end();
    let line = line.strip_suffix('.').unwrap_or(line);
    let mut chars = line.chars();
    match (chars.next(), chars.next()) {
        (Some(a), Some(b)) if a.is_uppercase() && b.is_lowercase() => {
            format!("{}{}", a.to_lowercase(), &line[a.len_utf8()..])
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::Location;

    #[test]
    fn positions_count_characters_from_one() {
        let place = Place { text: "SELECT é,\n  x\nFROM t", offset: 10 };
        let at = |line, column| {
            let start = Location { line, column };
            place.position(Span { start, end: start })
        };
        assert_eq!(at(1, 1), Some(11));
        assert_eq!(at(2, 3), Some(10 + 10 + 3));
        assert_eq!(at(0, 0), None);
    }

    #[test]
    fn ours_pass_unchanged() {
        let error = execution(DataFusionError::Context(
            "reading".to_owned(),
            Box::new(wrap(Error::new(ErrorKind::Damage, "bad block").with("file", "x.parquet"))),
        ));
        assert_eq!((error.kind(), error.message()), (ErrorKind::Damage, "bad block"));
        let parquet = DataFusionError::ParquetError(Box::new(ParquetError::External(Box::new(Error::new(
            ErrorKind::Io,
            "gone",
        )))));
        assert_eq!(execution(parquet).kind(), ErrorKind::Io);
    }

    #[test]
    fn memory_errors_name_the_operator() {
        for (message, operator) in [
            (
                "Additional allocation failed for TopK[0] with top memory consumers (across reservations) as:\n  ExternalSorter[0]",
                "TopK",
            ),
            (
                "Failed to allocate additional 1 MB for GroupedHashAggregateStream[1] (count(1)) with 0 B already",
                "GroupedHash",
            ),
            ("Memory Exhausted while Sorting (DiskManager is disabled)", "ExternalSorter"),
        ] {
            let error = execution(DataFusionError::ResourcesExhausted(message.to_owned()));
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert!(error.message().contains(operator), "{error}");
        }
    }

    #[test]
    fn texts_of_datafusion_stay_inside() {
        let internal = execution(DataFusionError::Internal("oddness".to_owned()));
        assert_eq!((internal.kind(), internal.message()), (ErrorKind::Internal, "oddness"));
        let arrow = |error| execution(DataFusionError::ArrowError(Box::new(error), None));
        let compute = arrow(ArrowError::ComputeError("Unsupported month".to_owned()));
        assert_eq!((compute.kind(), compute.message()), (ErrorKind::InvalidValue, "unsupported month"));
        assert_eq!(arrow(ArrowError::ComputeError("Overflow happened".to_owned())).kind(), ErrorKind::OutOfRange);
        let nested = DataFusionError::External(
            "Arrow error: Compute error: odd.\nThis issue was likely caused by a bug, file a bug report".into(),
        );
        assert_eq!(execution(nested).message(), "odd");
    }

    #[test]
    fn near_names_are_hinted() {
        assert_eq!(
            did_you_mean("isrobot", ["isRobot"]).unwrap(),
            "perhaps you meant \"isRobot\", written with its double quotes"
        );
        assert_eq!(did_you_mean("wikipdia", ["wikipedia", "t"]).unwrap(), "perhaps you meant \"wikipedia\"");
        assert_eq!(did_you_mean("zzz", ["wikipedia", "t"]), None);
    }
}
