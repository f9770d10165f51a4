//! The first packets of a connection: encryption requests, cancel requests, the start of a session.
//!
//! What enters: packets without a tag. What leaves: a [`Hello`]; then the greeting. Trust authentication only, and only
//! from loopback: whoever listens elsewhere is refused until there are passwords. Deliberately absent: TLS.

use crate::pg::reply::{Report, Trouble};
use crate::pg::wire::{Incoming, Outgoing};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use std::collections::BTreeMap;

/// As PostgreSQL: longer start-up packets are nonsense.
const PACKET_BYTES_MAX: usize = 10_000;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// Newest minor version of protocol 3 that is spoken.
const MINOR_MAX: u32 = 2;

/// What a connection is for.
#[derive(Debug)]
pub(crate) enum Hello {
    /// A session.
    Start(Start),
    /// Cancel what another connection runs.
    Cancel { pid: i32, secret: Bytes },
}

/// What the client said about its session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// Minor version of protocol 3 that both sides speak.
    pub(crate) minor: u32,
    /// The client asked for a newer one, or for protocol options nobody knows: tell it.
    pub(crate) negotiate: Option<Vec<String>>,
    pub(crate) user: String,
    pub(crate) database: String,
    /// Settings in the order in which they apply.
    pub(crate) settings: Vec<(String, String)>,
}

/// Reads until it is clear what the client wants. `None` when it left.
pub(crate) async fn hello(incoming: &mut Incoming, outgoing: &mut Outgoing) -> Result<Option<Hello>, Trouble> {
    // At most one request for each kind of encryption may come before.
    for _ in 0..3 {
        let Some(mut packet) = incoming.packet(PACKET_BYTES_MAX).await? else { return Ok(None) };
        match packet.get_u32() {
            SSL_REQUEST | GSS_REQUEST => {
                outgoing.buffer.put_u8(b'N');
                outgoing.flush().await?;
            }
            CANCEL_REQUEST => {
                let pid = packet.try_get_i32().map_err(|_| Trouble::Gone)?;
                return Ok(Some(Hello::Cancel { pid, secret: packet }));
            }
            version => return start(version, packet).map(|s| Some(Hello::Start(s))),
        }
    }
    Err(Trouble::Fatal(Report::new("08P01", "more than one request for encryption")))
}

fn start(version: u32, body: Bytes) -> Result<Start, Trouble> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{MINOR_MAX}");
        return Err(Trouble::Fatal(Report::new("0A000", message)));
    }
    let mut parameters = parameters(&body)?;
    let unknown: Vec<String> = parameters.keys().filter(|k| k.starts_with("_pq_.")).cloned().collect();
    parameters.retain(|name, _| !name.starts_with("_pq_."));
    let negotiate = (minor > MINOR_MAX || !unknown.is_empty()).then_some(unknown);
    // 3.1 was never used: it is 3.0 with another number.
    let minor = if minor >= MINOR_MAX { MINOR_MAX } else { 0 };
    let user = parameters.remove("user").filter(|u| !u.is_empty());
    let user = user
        .ok_or_else(|| Trouble::Fatal(Report::new("28000", "no PostgreSQL user name specified in startup packet")))?;
    let database = parameters.remove("database").filter(|d| !d.is_empty()).unwrap_or_else(|| user.clone());
    if parameters.remove("replication").is_some_and(|r| !matches!(r.as_str(), "false" | "off" | "no" | "0")) {
        return Err(Trouble::Fatal(Report::new("0A000", "replication connections are not supported")));
    }
    if database != "millrace" && database != user {
        let report = Report::new("3D000", format!("database \"{database}\" does not exist"));
        return Err(Trouble::Fatal(report.hint("the only database is called millrace")));
    }
    let mut settings = options(&parameters.remove("options").unwrap_or_default())?;
    settings.extend(parameters);
    Ok(Start { minor, negotiate, user, database, settings })
}

/// Pairs of zero-terminated strings, ended by an empty one.
fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, Trouble> {
    let bad =
        || Trouble::Fatal(Report::new("08P01", "invalid startup packet layout: expected terminator as last byte"));
    let body = body.strip_suffix(&[0]).ok_or_else(bad)?;
    let mut strings = body.split(|b| *b == 0);
    let mut parameters = BTreeMap::new();
    while let Some(name) = strings.next() {
        if name.is_empty() {
            return if strings.next().is_none() { Ok(parameters) } else { Err(bad()) };
        }
        let value = strings.next().ok_or_else(bad)?;
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .map_err(|_| Trouble::Fatal(Report::new("22021", "invalid byte sequence for encoding \"UTF8\"")))
        };
        parameters.insert(text(name)?, text(value)?);
    }
    Ok(parameters)
}

/// `-c name=value`, `-cname=value`, `--name=value`; a backslash takes the next character as it is.
fn options(text: &str) -> Result<Vec<(String, String)>, Trouble> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(chars.next()),
            (c, Some(word)) if !c.is_ascii_whitespace() => word.push(c),
            _ => words.push(String::new()),
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter().filter(|w| !w.is_empty());
    while let Some(word) = words.next() {
        let bad = || {
            let report = Report::new("42601", format!("invalid command-line argument for server process: {word}"));
            Trouble::Fatal(report.hint("write -c name=value"))
        };
        let assignment = match word.strip_prefix("--") {
            Some(rest) => rest.to_owned(),
            None => match word.strip_prefix("-c").ok_or_else(bad)? {
                "" => words.next().ok_or_else(bad)?,
                rest => rest.to_owned(),
            },
        };
        let (name, value) = assignment.split_once('=').ok_or_else(bad)?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// AuthenticationOk and, where needed, the negotiated version in front of it.
pub(crate) fn put_welcome(start: &Start, out: &mut BytesMut) -> Result<(), Trouble> {
    let bug = |e: pgwire::error::PgWireError| Trouble::Fatal(Report::new("XX000", e.to_string()));
    if let Some(unknown) = &start.negotiate {
        let newest = i32::try_from((3 << 16) | start.minor).unwrap_or(3 << 16);
        NegotiateProtocolVersion::new(newest, unknown.clone()).encode(out).map_err(bug)?;
    }
    Authentication::Ok.encode(out).map_err(bug)
}

/// The key with which this connection can be cancelled.
pub(crate) fn put_key(pid: i32, secret: Bytes, out: &mut BytesMut) -> Result<(), Trouble> {
    let bug = |e: pgwire::error::PgWireError| Trouble::Fatal(Report::new("XX000", e.to_string()));
    BackendKeyData::new(pid, SecretKey::Bytes(secret)).encode(out).map_err(bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pairs: &[(&str, &str)]) -> Bytes {
        let mut body = BytesMut::new();
        for (name, value) in pairs {
            body.put_slice(name.as_bytes());
            body.put_u8(0);
            body.put_slice(value.as_bytes());
            body.put_u8(0);
        }
        body.put_u8(0);
        body.freeze()
    }

    fn code(result: Result<Start, Trouble>) -> &'static str {
        match result {
            Err(Trouble::Fatal(report)) => report.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn versions_are_negotiated() {
        let body = || packet(&[("user", "millrace"), ("_pq_.x", "1")]);
        let newer = start(3 << 16 | 9_999, body()).unwrap();
        assert_eq!((newer.minor, newer.negotiate), (2, Some(vec!["_pq_.x".to_owned()])));
        let plain = start(3 << 16, packet(&[("user", "millrace")])).unwrap();
        assert_eq!((plain.minor, plain.negotiate, plain.database.as_str()), (0, None, "millrace"));
        assert_eq!(code(start(2 << 16, body())), "0A000");
    }

    #[test]
    fn settings_come_from_options_and_parameters() {
        let body = packet(&[("user", "u"), ("options", r"-c a.b=1\ 2 --x-y=3 -cz=4"), ("TimeZone", "UTC")]);
        let settings = start(3 << 16, body).unwrap().settings;
        let expected = [("a.b", "1 2"), ("x_y", "3"), ("z", "4"), ("TimeZone", "UTC")];
        assert_eq!(settings, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(code(start(3 << 16, packet(&[]))), "28000");
        assert_eq!(code(start(3 << 16, packet(&[("user", "u"), ("database", "other")]))), "3D000");
        assert_eq!(code(start(3 << 16, packet(&[("user", "u"), ("replication", "database")]))), "0A000");
        assert_eq!(code(start(3 << 16, Bytes::from_static(b"user"))), "08P01");
        assert_eq!(code(start(3 << 16, packet(&[("user", "u"), ("options", "nonsense")]))), "42601");
    }
}
