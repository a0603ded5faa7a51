//! Everything that a file can be opened from, for tests: what is read of a part and of bytes is what is read of the file.

#![allow(clippy::unwrap_used)]

use crate::{Blob, Result};
use std::fmt::Debug;
use std::path::Path;

/// A file of these bytes, a part of a file that has others' bytes around it, and the bytes in memory; the names end in `name`.
pub(crate) fn forms(dir: &Path, name: &str, bytes: &[u8]) -> [Blob; 3] {
    let (file, shard) = (dir.join(name), dir.join("shard.tar"));
    std::fs::write(&file, bytes).unwrap();
    // What lies around it is of the same kind: whoever reads on finds more of it.
    let before = [bytes, b"ID3\x04 before"].concat();
    std::fs::write(&shard, [&before, bytes, bytes].concat()).unwrap();
    let part = Blob::part(shard, before.len() as u64, bytes.len() as u64, name);
    [file.into(), part, Blob::bytes(Path::new("memory").join(name), bytes)]
}

/// What `read` says of the file with these bytes; it must say the same of the two others, in the same words.
pub(crate) fn alike<T: PartialEq + Debug>(
    name: &str,
    bytes: &[u8],
    read: impl Fn(&Blob) -> Result<T>,
) -> Result<T> {
    let dir = tempfile::tempdir().unwrap();
    let [file, part, memory] = forms(dir.path(), name, bytes);
    let said = |blob: &Blob| {
        let words = |e: crate::Error| e.to_string().replace(&blob.name().display().to_string(), "NAME");
        read(blob).map_err(words)
    };
    let first = said(&file);
    // Without the values: they are long.
    assert!(said(&part) == first, "{part:?}: {:?}", said(&part).err());
    assert!(said(&memory) == first, "{memory:?}: {:?}", said(&memory).err());
    read(&file)
}
