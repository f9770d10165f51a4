//! The frame around everything the commit logs write.
//!
//! ```text
//!  offset 0        4              8             8 + length
//!         ┌────────┬──────────────┬─────────────┬──────────────────────────┐
//!         │ magic  │ length u32 LE│ message     │ CRC32C u32 LE of all     │
//!         │ "MRC1" │              │ (protobuf)  │ before it                │
//!         └────────┴──────────────┴─────────────┴──────────────────────────┘
//! ```
//! What enters: a message. What leaves: bytes, or the message again when not one bit of them changed.

use bytes::{BufMut, Bytes, BytesMut};
use millrace_error::{Error, ErrorKind, Result};
use millrace_proto::Message;

/// The version of what we write; a message whose `min_reader` is greater is refused.
pub(crate) const FORMAT: u32 = 1;
const HEAD: usize = 8;
const TAIL: usize = 4;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A commit of a family.
    Commit,
    /// The root of a checkpoint.
    Checkpoint,
    /// Pages of a checkpoint.
    Pages,
    /// A commit of the catalog.
    Catalog,
}

impl Kind {
    fn magic(self) -> &'static [u8; 4] {
        match self {
            Self::Commit => b"MRC1",
            Self::Checkpoint => b"MRK1",
            Self::Pages => b"MRP1",
            Self::Catalog => b"MRG1",
        }
    }
}

/// Frames a message.
///
/// # Errors
/// `TooLarge` above 4 GiB.
pub(crate) fn seal(kind: Kind, message: &impl Message) -> Result<Bytes> {
    let length = message.encoded_len();
    let too_large = |_| Error::new(ErrorKind::TooLarge, format!("a message of {length} bytes does not fit its frame"));
    let mut bytes = BytesMut::with_capacity(HEAD + length + TAIL);
    bytes.put_slice(kind.magic());
    bytes.put_u32_le(u32::try_from(length).map_err(too_large)?);
    message.encode(&mut bytes).map_err(|e| Error::internal(format!("cannot encode: {e}")))?;
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    Ok(bytes.freeze())
}

/// Unframes a message that was read from `key`.
///
/// # Errors
/// `Damage` naming the key and the offset; `NotSupported` for a frame of a newer version.
pub(crate) fn open<M: Message + Default>(kind: Kind, key: &str, bytes: &Bytes) -> Result<M> {
    let magic = bytes.get(..4).ok_or_else(|| damage(key, bytes.len(), "file ends inside its magic"))?;
    if magic != kind.magic() {
        // A later frame keeps three letters and counts up the fourth.
        if magic.get(..3) == kind.magic().get(..3) && magic.get(3).is_some_and(|v| (b'2'..=b'9').contains(v)) {
            return Err(newer(key, "file has a newer frame"));
        }
        return Err(damage(key, 0, "file does not begin with its magic"));
    }
    let length = word(bytes, 4).ok_or_else(|| damage(key, bytes.len(), "file ends inside its length"))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let end = HEAD.saturating_add(length);
    if end.saturating_add(TAIL) != bytes.len() {
        return Err(damage(key, 4, "length does not agree with the file's").with("file_bytes", bytes.len()));
    }
    let (Some(covered), Some(stored)) = (bytes.get(..end), word(bytes, end)) else {
        return Err(damage(key, 4, "length does not agree with the file's"));
    };
    let computed = crc32c::crc32c(covered);
    if computed != stored {
        let sums = format!("stored {stored:08x}, computed {computed:08x}");
        return Err(damage(key, end, "checksum differs").detail(sums));
    }
    M::decode(bytes.slice(HEAD..end)).map_err(|e| damage(key, HEAD, &format!("not a message: {e}")))
}

/// Stored bytes of `key` are not what was written, seen at `offset`.
pub(crate) fn damage(key: &str, offset: usize, why: &str) -> Error {
    Error::new(ErrorKind::Damage, why).with("file", key).with("offset", offset).hint("restore this file from a backup")
}

/// Refuses a message that only a newer version may read.
pub(crate) fn check_reader(key: &str, min_reader: u32) -> Result<()> {
    if min_reader > FORMAT {
        return Err(newer(key, &format!("format {min_reader} is needed and this version reads {FORMAT}")));
    }
    Ok(())
}

/// What a newer version wrote.
pub(crate) fn newer(key: &str, what: &str) -> Error {
    Error::not_supported(format!("written by a newer version of Millrace: {what}"))
        .with("file", key)
        .hint("start the version that wrote it, or a later one")
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}
