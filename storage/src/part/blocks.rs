//! The checksummed block layer under a part (S-6, S-9).
//!
//! ```text
//!  file      ├─ 256 KiB ─┼─ 256 KiB ─┼─ rest ─┤
//!  .crc        u32 LE      u32 LE      u32 LE      CRC32C of each block, in order
//! ```
//! What enters: bytes in order. What leaves: a file under its temporary name, fsynced, and its checksums.

use super::path;
use crate::commit_store::FsyncFailed;
use millrace_error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many bytes one checksum covers.
pub(crate) const BLOCK: usize = 256 * 1024;

/// [`BLOCK`], as file offsets count.
pub(crate) const BLOCK_BYTES: u64 = 256 * 1024;

/// Writes a file in blocks and sums each up. Whatever is not published when it drops is removed.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    file: File,
    temporary: Unpublished,
    pending: Vec<u8>,
    sums: Vec<u8>,
    written: u64,
}

/// A finished file, fsynced, under its temporary name.
#[derive(Debug)]
pub(crate) struct Finished {
    temporary: Unpublished,
    /// Its size.
    pub(crate) bytes: u64,
    /// The content of its `.crc` file.
    pub(crate) sums: Vec<u8>,
}

/// Removes a temporary file on drop.
#[derive(Debug)]
struct Unpublished {
    path: Option<PathBuf>,
}

impl BlockWriter {
    /// Creates the file under its temporary name. Never writes over another.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub(crate) fn create(target: &Path) -> Result<Self> {
        let temporary = path::temporary(target);
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|e| Error::io(temporary.display(), e))?;
        Ok(Self {
            file,
            temporary: Unpublished { path: Some(temporary) },
            pending: Vec::with_capacity(BLOCK),
            sums: Vec::new(),
            written: 0,
        })
    }

    /// Writes what is left and fsyncs.
    ///
    /// # Errors
    /// `Io`, `DiskFull`; the file is removed.
    pub(crate) fn finish(mut self) -> Result<Finished> {
        self.write_block().map_err(|e| Error::io(self.temporary.display(), e))?;
        sync(&self.file, self.temporary.path.as_deref().unwrap_or(Path::new("")))?;
        Ok(Finished { temporary: self.temporary, bytes: self.written, sums: self.sums })
    }

    fn write_block(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.pending)?;
        self.sums.extend_from_slice(&crc32c::crc32c(&self.pending).to_le_bytes());
        self.written += u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        self.pending.clear();
        Ok(())
    }
}

impl Write for BlockWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.pending.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.pending.extend_from_slice(taken);
        if self.pending.len() == BLOCK {
            self.write_block()?;
        }
        Ok(taken.len())
    }

    /// Blocks go out when they are full; the rest with [`BlockWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Finished {
    /// Gives the file its name. The caller fsyncs the folder.
    ///
    /// # Errors
    /// `Io`; the file is removed.
    pub(crate) fn publish(mut self, target: &Path) -> Result<()> {
        if let Some(temporary) = &self.temporary.path {
            fs::rename(temporary, target).map_err(|e| Error::io(target.display(), e))?;
        }
        self.temporary.path = None;
        Ok(())
    }
}

impl Unpublished {
    fn display(&self) -> String {
        self.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // Best effort: recovery removes what is left.
            drop(fs::remove_file(path));
        }
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// `Io`.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let file = File::open(folder).map_err(|e| Error::io(folder.display(), e))?;
    sync(&file, folder)
}

/// A full disk is a full disk; any other failure leaves open what the disk holds (S-8).
fn sync(file: &File, path: &Path) -> Result<()> {
    file.sync_all().map_err(|e| match e.kind() {
        io::ErrorKind::StorageFull => Error::io(path.display(), e),
        _ => FsyncFailed::at(path, e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17] {
            let bytes: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut writer = BlockWriter::create(&target).unwrap();
            bytes.chunks(1000).for_each(|chunk| writer.write_all(chunk).unwrap());
            let finished = writer.finish().unwrap();
            let sums: Vec<u8> = bytes.chunks(BLOCK).flat_map(|block| crc32c::crc32c(block).to_le_bytes()).collect();
            assert_eq!((finished.bytes, &finished.sums), (u64::try_from(size).unwrap(), &sums));
            finished.publish(&target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_not_published_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        drop(BlockWriter::create(&target).unwrap());
        drop(BlockWriter::create(&target).unwrap().finish().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
