//! Reading a part: every byte is verified by the checksum of its block on this process's first touch (S-9).

use super::blocks::{BLOCK, BLOCK_BYTES};
use super::{Resident, path};
use crate::manifest::PartMeta;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{ColumnId, TableDef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows of a batch that [`Part::batches`] decodes.
const BATCH_ROWS: usize = 8_192;

/// A part, opened when it is first read.
#[derive(Debug)]
pub struct Part {
    meta: Arc<PartMeta>,
    path: PathBuf,
    sums_path: PathBuf,
    opened: Mutex<Option<Arc<Opened>>>,
    metadata: Mutex<Option<Arc<ParquetMetaData>>>,
    resident: Mutex<Option<Arc<Resident>>>,
}

/// The open file, its checksums, and which blocks were compared with them.
#[derive(Debug)]
struct Opened {
    file: File,
    sums: Vec<u32>,
    verified: Vec<AtomicU64>,
}

impl Part {
    /// A part of the family whose `data` folder this is. Does no I/O.
    pub fn open(data: &Path, meta: Arc<PartMeta>) -> Self {
        Self {
            path: path::parquet(data, &meta.partition, meta.id),
            sums_path: path::checksums(data, &meta.partition, meta.id),
            meta,
            opened: Mutex::default(),
            metadata: Mutex::default(),
            resident: Mutex::default(),
        }
    }

    /// What the manifest says of it.
    pub fn meta(&self) -> &Arc<PartMeta> {
        &self.meta
    }

    /// Its Parquet file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// File size in bytes.
    pub fn bytes(&self) -> u64 {
        self.meta.bytes
    }

    /// The Parquet footer with page index, read and verified once. Blocks on local I/O at the first call.
    ///
    /// # Errors
    /// `Damage` naming file and offset; `Io`.
    pub fn metadata(&self) -> Result<Arc<ParquetMetaData>> {
        let mut slot = lock(&self.metadata);
        if let Some(metadata) = &*slot {
            return Ok(Arc::clone(metadata));
        }
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = Arc::new(reader.parse_and_finish(&Source(self)).map_err(|e| self.undecodable(e))?);
        *slot = Some(Arc::clone(&metadata));
        Ok(metadata)
    }

    /// Bytes of the file, verified (S-9). Blocks on local I/O.
    ///
    /// # Errors
    /// `Damage` naming file and offset; `Io`.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start > range.end || range.end > self.meta.bytes {
            return Err(self.damage("read past the end of the part", range.start));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let opened = self.opened()?;
        let blocks = range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES);
        if blocks.clone().all(|block| opened.is_verified(block)) {
            return self.read_file(&opened.file, range);
        }
        let whole = blocks.start * BLOCK_BYTES..(blocks.end * BLOCK_BYTES).min(self.meta.bytes);
        let bytes = self.read_file(&opened.file, whole.clone())?;
        for (block, content) in blocks.zip(bytes.chunks(BLOCK)) {
            let expected = usize::try_from(block).ok().and_then(|at| opened.sums.get(at));
            if expected != Some(&crc32c::crc32c(content)) {
                return Err(self.damage("checksum differs", block * BLOCK_BYTES));
            }
            opened.set_verified(block);
        }
        let skipped = length(range.start - whole.start)?;
        Ok(bytes.slice(skipped..skipped + length(range.end - range.start)?))
    }

    /// The decoded rows, where they are resident.
    pub fn resident(&self) -> Option<Arc<Resident>> {
        lock(&self.resident).clone()
    }

    /// Keeps decoded rows, or lets go of them; queries that hold them keep them a little longer.
    pub(crate) fn set_resident(&self, resident: Option<Arc<Resident>>) {
        *lock(&self.resident) = resident;
    }

    /// The Arrow schema to read the file by: its columns in its order, by its names; types, ids and SQL types are those
    /// of the table where the column still exists there.
    ///
    /// # Errors
    /// As [`Part::metadata`].
    pub fn arrow_schema(&self, table: &TableDef) -> Result<SchemaRef> {
        let metadata = self.metadata()?;
        let descriptor = metadata.file_metadata().schema_descr();
        let own = parquet_to_arrow_schema(descriptor, None).map_err(|e| self.undecodable(e))?;
        let ids = descriptor.root_schema().get_fields().iter().map(|field| field.get_basic_info());
        let fields = own.fields().iter().zip(ids).map(|(field, info)| {
            let column = info.has_id().then(|| table.column(ColumnId(info.id()))).flatten();
            column.map_or_else(
                || field.as_ref().clone(),
                |column| {
                    let wanted = column.field();
                    let ty = readable_as(field.data_type(), wanted.data_type());
                    Field::new(field.name(), ty, field.is_nullable()).with_metadata(wanted.metadata().clone())
                },
            )
        });
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    /// Decodes the whole part, in file order, with the schema of [`Part::arrow_schema`]. Blocks on local I/O.
    ///
    /// # Errors
    /// `Damage` naming the file; `Io`; also from the iterator.
    pub fn batches(self: &Arc<Self>, table: &TableDef) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let options = ArrowReaderOptions::new().with_schema(self.arrow_schema(table)?);
        let metadata = ArrowReaderMetadata::try_new(self.metadata()?, options).map_err(|e| self.undecodable(e))?;
        let part = Arc::clone(self);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(Source(Arc::clone(self)), metadata)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|e| self.undecodable(e))?;
        Ok(reader.map(move |batch| batch.map_err(|e| part.undecodable(e.into()))))
    }

    fn opened(&self) -> Result<Arc<Opened>> {
        let mut slot = lock(&self.opened);
        if let Some(opened) = &*slot {
            return Ok(Arc::clone(opened));
        }
        let sums = std::fs::read(&self.sums_path).map_err(|e| missing(&self.sums_path, e))?;
        let blocks = length(self.meta.bytes.div_ceil(BLOCK_BYTES))?;
        if sums.len() != blocks * 4 || crc32c::crc32c(&sums) != self.meta.crc {
            return Err(damage(&self.sums_path, "checksum differs", 0));
        }
        let file = File::open(&self.path).map_err(|e| missing(&self.path, e))?;
        let bytes = file.metadata().map_err(|e| Error::io(self.path.display(), e))?.len();
        if bytes != self.meta.bytes {
            let what = format!("it has {bytes} bytes, the manifest says {}", self.meta.bytes);
            return Err(self.damage(&what, bytes.min(self.meta.bytes)));
        }
        let sums = sums.chunks_exact(4).filter_map(|sum| sum.try_into().ok()).map(u32::from_le_bytes).collect();
        let verified = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let opened = Arc::new(Opened { file, sums, verified });
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn read_file(&self, file: &File, range: Range<u64>) -> Result<Bytes> {
        let mut bytes = vec![0; length(range.end - range.start)?];
        file.read_exact_at(&mut bytes, range.start).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.damage("the file is cut short", range.start),
            _ => Error::io(self.path.display(), e),
        })?;
        Ok(bytes.into())
    }

    fn damage(&self, what: &str, offset: u64) -> Error {
        damage(&self.path, what, offset)
    }

    /// An error of the Parquet library: one of ours that passed through it, or bytes that were damaged when written.
    fn undecodable(&self, error: ParquetError) -> Error {
        match error {
            ParquetError::External(inner) => match inner.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(other) => self.damage(&format!("cannot be decoded: {other}"), 0),
            },
            other => self.damage(&format!("cannot be decoded: {other}"), 0),
        }
    }
}

impl Opened {
    fn is_verified(&self, block: u64) -> bool {
        self.word(block).is_some_and(|word| word.load(Ordering::Acquire) & (1 << (block % 64)) != 0)
    }

    fn set_verified(&self, block: u64) {
        if let Some(word) = self.word(block) {
            word.fetch_or(1 << (block % 64), Ordering::Release);
        }
    }

    fn word(&self, block: u64) -> Option<&AtomicU64> {
        self.verified.get(usize::try_from(block / 64).ok()?)
    }
}

/// A part as the Parquet library reads it.
struct Source<P>(P);

/// Reads on from an offset.
struct Tail<P> {
    part: P,
    at: u64,
}

impl<P: Deref<Target = Part>> Length for Source<P> {
    fn len(&self) -> u64 {
        self.0.bytes()
    }
}

impl<P: Deref<Target = Part> + Clone + Send + Sync> ChunkReader for Source<P> {
    type T = BufReader<Tail<P>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Tail { part: self.0.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = u64::try_from(length).ok().and_then(|length| start.checked_add(length)).unwrap_or(u64::MAX);
        self.0.read(start..end).map_err(|e| ParquetError::External(Box::new(e)))
    }
}

impl<P: Deref<Target = Part>> Read for Tail<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let end = self.at.saturating_add(wanted).min(self.part.bytes());
        if self.at >= end {
            return Ok(0);
        }
        let mut bytes = self.part.read(self.at..end).map_err(io::Error::other)?;
        let count = bytes.len().min(buffer.len());
        self.at += u64::try_from(count).unwrap_or(0);
        if let Some(target) = buffer.get_mut(..count) {
            bytes.copy_to_slice(target);
        }
        Ok(count)
    }
}

/// The type to decode a column to: what the table wants, where the reader offers it for the file's own type.
fn readable_as(own: &DataType, wanted: &DataType) -> DataType {
    match (own, wanted) {
        (DataType::Utf8, DataType::Utf8View) | (DataType::Binary, DataType::BinaryView) => wanted.clone(),
        (DataType::Timestamp(own, _), DataType::Timestamp(other, Some(_))) if own == other => wanted.clone(),
        // A column that was dropped and whose id is unknown keeps its own type, as does one that was widened since.
        _ => own.clone(),
    }
}

fn missing(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => damage(path, "a file of a live part is missing", 0),
        _ => Error::io(path.display(), error),
    }
}

fn damage(path: &Path, what: &str, offset: u64) -> Error {
    Error::new(ErrorKind::Damage, what)
        .with("file", path.display())
        .with("offset", offset)
        .hint("restore this file from a backup of the data directory; nothing was answered from it")
}

fn length(bytes: u64) -> Result<usize> {
    usize::try_from(bytes).map_err(|_| Error::internal("a part is larger than memory addresses"))
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
