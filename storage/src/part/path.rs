//! Where a part's files are: the only code that forms their paths.

use crate::manifest::{PartMeta, PartitionKey};
use millrace_schema::PartId;
use std::path::{Path, PathBuf};

/// The folder of one partition in a family's `data` folder.
pub(crate) fn partition(data: &Path, partition: &PartitionKey) -> PathBuf {
    data.join(partition.to_string())
}

/// The Parquet file of a part.
pub(crate) fn parquet(data: &Path, key: &PartitionKey, id: PartId) -> PathBuf {
    partition(data, key).join(format!("{id}.parquet"))
}

/// The Parquet file of a part.
pub(crate) fn part_path(data: &Path, part: &PartMeta) -> PathBuf {
    parquet(data, &part.partition, part.id)
}

/// The block checksums of a part.
pub(crate) fn checksums(data: &Path, key: &PartitionKey, id: PartId) -> PathBuf {
    partition(data, key).join(format!("{id}.crc"))
}

/// What a file is called until it is whole: recovery removes what it finds under such a name.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// The part that a file of a partition's folder belongs to; `None` for temporary and foreign files.
pub(crate) fn owner(file: &Path) -> Option<PartId> {
    let known = file.extension().is_some_and(|extension| extension == "parquet" || extension == "crc");
    known.then(|| file.file_stem()?.to_str()?.parse().ok().map(PartId)).flatten()
}

/// Whether a file was never finished.
pub(crate) fn is_temporary(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "tmp")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::PartitionTime;

    #[test]
    fn names() {
        let key = PartitionKey { time: PartitionTime::Hour(400_000), bucket: Some(3) };
        let id = PartId("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap());
        let path = parquet(Path::new("/d"), &key, id);
        assert_eq!(path, Path::new("/d/2015-08-19T16+3/01890a5d-ac96-774b-bcce-b302099a8057.parquet"));
        assert_eq!(checksums(Path::new("/d"), &key, id), path.with_extension("crc"));
        assert!(is_temporary(&temporary(&path)) && !is_temporary(&path));
        assert_eq!((owner(&path), owner(&temporary(&path))), (Some(id), None));
    }
}
