//! Files inside an npm package.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// No file of these packages is half as large.
const MAX_FILE: u64 = 64 << 20;

/// The files whose path below `package/` passes `wanted`, in the archive's order. Nothing is written to disk.
pub(super) fn read(archive: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>> {
    let broken = |e: std::io::Error| Error::archive(archive, format!("not a whole npm package: {e}"));
    let file = File::open(archive).map_err(Error::io(archive, "read"))?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(1 << 20, file)));
    let mut files = Vec::new();
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let Some(inside) = path.strip_prefix("package/").filter(|p| wanted(p)) else { continue };
        if entry.size() > MAX_FILE {
            return Err(Error::archive(
                archive,
                format!("{inside} has {} bytes, more than {MAX_FILE}", entry.size()),
            ));
        }
        let mut bytes = Vec::with_capacity(entry.size() as usize);
        entry.read_to_end(&mut bytes).map_err(broken)?;
        files.push((inside.to_owned(), bytes));
    }
    Ok(files)
}

/// Reads a JSON file of a package into its type.
pub(super) fn json<T: DeserializeOwned>(archive: &Path, name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::archive(archive, format!("{name} is not as expected: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_wanted_files_and_refuses_broken_archives() {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), Default::default()));
        for (name, data) in [("package/a.json", "{}"), ("package/b.txt", "no"), ("other/a.json", "no")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, data.as_bytes()).unwrap();
        }
        let bytes = builder.into_inner().unwrap().finish().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.tgz");
        std::fs::write(&path, &bytes).unwrap();
        let json = |p: &str| p.ends_with(".json");
        assert_eq!(read(&path, json).unwrap(), [("a.json".to_owned(), b"{}".to_vec())]);
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(read(&path, json).unwrap_err().to_string().contains("p.tgz: not a whole npm package"));
    }
}
