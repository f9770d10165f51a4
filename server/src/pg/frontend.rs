//! Bytes from the client → messages.
//!
//! What enters: the body of one message, already cut out by its length. What leaves: a [`Message`]. Every read is checked:
//! a malformed body is an error (`08P01`), never a panic, and never reaches into the next message, which is why pgwire's
//! own decoders are not used here (they index past a short body). Deliberately absent: the start-up packets (`startup`).

use bytes::{Buf, Bytes};
use millrace_error::{Error, ErrorKind, Result};

/// A message of the frontend, after start-up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Query(String),
    Parse(Parse),
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        max_rows: u32,
    },
    Close(Target),
    Flush,
    Sync,
    Terminate,
    /// COPY data outside of a COPY: passed over, as PostgreSQL does.
    Stray,
}

/// A prepared statement or a portal, by name; the empty name is the unnamed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parse {
    pub(crate) name: String,
    pub(crate) sql: String,
    /// 0 where the client leaves the type to us.
    pub(crate) types: Vec<u32>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    pub(crate) formats: Vec<i16>,
    pub(crate) values: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<i16>,
}

/// A checked reader over one body.
struct Body(Bytes);

impl Body {
    fn short() -> Error {
        Error::new(ErrorKind::Protocol, "insufficient data left in message")
    }

    fn byte(&mut self) -> Result<u8> {
        self.0.try_get_u8().map_err(|_| Self::short())
    }

    fn int16(&mut self) -> Result<i16> {
        self.0.try_get_i16().map_err(|_| Self::short())
    }

    fn count(&mut self) -> Result<usize> {
        self.0.try_get_u16().map(usize::from).map_err(|_| Self::short())
    }

    fn int32(&mut self) -> Result<i32> {
        self.0.try_get_i32().map_err(|_| Self::short())
    }

    fn string(&mut self) -> Result<String> {
        let end = self.0.iter().position(|b| *b == 0);
        let end = end.ok_or_else(|| Error::new(ErrorKind::Protocol, "invalid string in message"))?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.to_vec())
            .map_err(|_| Error::new(ErrorKind::InvalidText, "invalid byte sequence for encoding \"UTF8\""))
    }

    fn int16s(&mut self) -> Result<Vec<i16>> {
        let count = self.count()?;
        (0..count).map(|_| self.int16()).collect()
    }

    fn values(&mut self) -> Result<Vec<Option<Bytes>>> {
        let count = self.count()?;
        (0..count).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Result<Option<Bytes>> {
        let length = self.int32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok().filter(|n| *n <= self.0.len()).ok_or_else(Self::short)?;
        Ok(Some(self.0.split_to(length)))
    }

    fn target(&mut self) -> Result<Target> {
        let kind = self.byte()?;
        let name = self.string()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            other => Err(Error::new(ErrorKind::Protocol, format!("invalid target type {other} in message"))),
        }
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::new(ErrorKind::Protocol, "invalid message format")) }
    }
}

/// Whether `tag` begins a message that a client may send after start-up.
pub(crate) fn is_known(tag: u8) -> bool {
    matches!(tag, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'd' | b'c' | b'f' | b'F' | b'p')
}

/// Reads one message.
///
/// # Errors
/// `Protocol` for a malformed body, `InvalidText` for text that is not UTF-8, `NotSupported` for function calls.
pub(crate) fn decode(tag: u8, body: Bytes) -> Result<Message> {
    let mut body = Body(body);
    let message = match tag {
        b'Q' => Message::Query(body.string()?),
        b'P' => Message::Parse(Parse {
            name: body.string()?,
            sql: body.string()?,
            types: {
                let count = body.count()?;
                (0..count)
                    .map(|_| body.int32().map(|oid| u32::from_be_bytes(oid.to_be_bytes())))
                    .collect::<Result<_>>()?
            },
        }),
        b'B' => Message::Bind(Bind {
            portal: body.string()?,
            statement: body.string()?,
            formats: body.int16s()?,
            values: body.values()?,
            result_formats: body.int16s()?,
        }),
        b'D' => Message::Describe(body.target()?),
        b'E' => Message::Execute {
            portal: body.string()?,
            // 0 and less mean no limit.
            max_rows: u32::try_from(body.int32()?).unwrap_or(0),
        },
        b'C' => Message::Close(body.target()?),
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'd' | b'c' | b'f' => return Ok(Message::Stray),
        b'F' => return Err(Error::not_supported("the function call protocol is not supported").hint("use SELECT")),
        b'p' => {
            return Err(Error::new(ErrorKind::Protocol, "unexpected password message: no authentication is going on"));
        }
        other => return Err(Error::new(ErrorKind::Protocol, format!("invalid frontend message type {other}"))),
    };
    body.end()?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_bind() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x02ab\0\0";
        let Message::Bind(bind) = decode(b'B', Bytes::from_static(body)).unwrap() else { panic!("not a Bind") };
        assert_eq!((bind.portal.as_str(), bind.statement.as_str()), ("p", "s"));
        assert_eq!(bind.formats, [1]);
        assert_eq!(bind.values, [None, Some(Bytes::from_static(b"ab"))]);
    }

    #[test]
    fn a_short_or_long_body_is_a_protocol_error() {
        for (tag, body) in [
            (b'B', &b"\0\0\0\0\0\x05\0\0\0\x09"[..]),
            (b'P', b"\0select 1\0\0\x09"),
            (b'Q', b"select 1"),
            (b'S', b"x"),
            (b'D', b"Zx\0"),
            (b'E', b"\0\0"),
        ] {
            assert_eq!(decode(tag, Bytes::from_static(body)).unwrap_err().kind(), ErrorKind::Protocol, "{tag}");
        }
        assert_eq!(decode(b'Q', Bytes::from_static(b"\xff\0")).unwrap_err().kind(), ErrorKind::InvalidText);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(tag in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(tag, Bytes::from(body));
        }
    }
}
