//! Tar files for tests, also such as no program writes.

use std::path::{Path, PathBuf};
use tar::Header;

/// A member's blocks: its header with this type, then its data, filled up.
pub(crate) fn member(kind: u8, name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, name, data.len() as u64);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A header alone, whatever its size says.
pub(crate) fn header(kind: u8, name: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkflag = [kind];
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A file.
pub(crate) fn file(name: &str, data: &[u8]) -> Vec<u8> {
    member(b'0', name.as_bytes(), data)
}

/// POSIX' records before a member.
pub(crate) fn records(list: &[(&str, &str)]) -> Vec<u8> {
    let mut data = String::new();
    for (key, value) in list {
        let bare = format!(" {key}={value}\n").len();
        let mut length = bare + 1;
        while bare + length.to_string().len() != length {
            length += 1;
        }
        data += &format!("{length} {key}={value}\n");
    }
    member(b'x', b"records", data.as_bytes())
}

/// Files, and the archive's end.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    ended(files.iter().map(|(name, data)| file(name, data)))
}

/// Members, and the archive's end.
pub(crate) fn ended(members: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.into_iter().flatten().collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// Writes it into a folder.
pub(crate) fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
