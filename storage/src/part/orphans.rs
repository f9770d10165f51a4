//! Files that no commit names: a crash came between the writing of parts and their commit.

use super::path;
use crate::manifest::Manifest;
use millrace_error::{Error, Result};
use millrace_schema::PartId;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Removes unfinished files and those of parts that are not live. Only at start-up, before any query or seal: later a
/// seal may have written parts that it has yet to commit, and a query may hold parts that are live no more.
///
/// # Errors
/// `Io`.
pub(crate) fn remove_orphans(data: &Path, manifest: &Manifest) -> Result<()> {
    let live: HashSet<PartId> = manifest.parts.values().flat_map(|page| page.iter()).map(|part| part.id).collect();
    for folder in entries(data)?.into_iter().filter(|entry| entry.is_dir()) {
        for file in entries(&folder)? {
            let orphan = path::is_temporary(&file) || path::owner(&file).is_some_and(|id| !live.contains(&id));
            if orphan {
                fs::remove_file(&file).map_err(|e| Error::io(file.display(), e))?;
            }
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => {
            listed.and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>())
        }
    };
    listed.map_err(|e| Error::io(folder.display(), e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{PartMeta, PartitionKey, PartitionTime};
    use millrace_schema::TableId;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use uuid::Uuid;

    fn part(id: u128) -> PartMeta {
        PartMeta {
            id: PartId(Uuid::from_u128(id)),
            table: TableId::BASE,
            partition: PartitionKey { time: PartitionTime::All, bucket: None },
            schema_version: 1,
            level: 0,
            rows: 1,
            bytes: 1,
            created_at: 0,
            min_time: None,
            max_time: None,
            key_bounds: Vec::new(),
            crc: 0,
        }
    }

    #[test]
    fn only_live_parts_and_foreign_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (live, dead) = (part(1), part(2));
        remove_orphans(&folder.path().join("absent"), &Manifest::empty(Uuid::nil())).unwrap();
        fs::create_dir(path::partition(folder.path(), &live.partition)).unwrap();
        let of = |part: &PartMeta| {
            [path::part_path(folder.path(), part), path::checksums(folder.path(), &part.partition, part.id)]
        };
        let foreign = of(&live)[0].with_file_name("README.txt");
        let kept: Vec<PathBuf> = of(&live).into_iter().chain([foreign]).collect();
        let gone: Vec<PathBuf> = of(&dead).into_iter().chain([path::temporary(&of(&live)[0])]).collect();
        kept.iter().chain(&gone).for_each(|file| fs::write(file, b"x").unwrap());
        let mut manifest = Manifest::empty(Uuid::nil());
        let page = (live.table, live.partition);
        manifest.parts = Arc::new(BTreeMap::from([(page, Arc::new(vec![Arc::new(live)]))]));
        remove_orphans(folder.path(), &manifest).unwrap();
        assert!(kept.iter().all(|file| file.exists()) && !gone.iter().any(|file| file.exists()));
    }
}
