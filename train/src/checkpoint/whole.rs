//! Whether a checkpoint is what was written: sizes and sums of its files, in its `training.json`.

use super::progress::{FORMAT_VERSION, Progress};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use unisono_files::{Budget, read_json, write_atomic};

/// A checkpoint that has it is whole: it is written last.
pub(crate) const PROGRESS: &str = "training.json";

/// What a file was when it was written.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Written {
    bytes: u64,
    crc32c: u32,
}

#[derive(Serialize)]
struct Sealed<'a> {
    #[serde(flatten)]
    progress: &'a Progress,
    files: BTreeMap<String, Written>,
}

/// Writes `progress` into the checkpoint `dir`, with sums over the files that are there.
pub(super) fn seal(dir: &Path, progress: &Progress) -> Result<()> {
    let path = dir.join(PROGRESS);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let entry = entry.map_err(|e| Error::io(dir, e))?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_file()) {
            files.insert(name, measured(&entry.path())?);
        }
    }
    let text = serde_json::to_string_pretty(&Sealed { progress, files })
        .map_err(|e| Error::Run { path: path.clone(), message: e.to_string() })?
        + "\n";
    Ok(write_atomic(&path, |w| w.write_all(text.as_bytes()))?)
}

/// The progress of the checkpoint `dir`, which is whole; `None` where there is none.
///
/// # Errors
/// [`Error::Damaged`]: a file is missing, cut or changed. [`Error::Run`]: of another version.
pub(super) fn open(dir: &Path) -> Result<Option<Progress>> {
    let path = dir.join(PROGRESS);
    if !path.exists() {
        return Ok(None);
    }
    let damaged = |path: &Path, message: String| Error::Damaged { path: path.to_owned(), message };
    let value: serde_json::Value =
        read_json(&path, &Budget::CONFIG).map_err(|e| damaged(&path, no_path(&path, &e.to_string())))?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != u64::from(FORMAT_VERSION) {
        return Err(Error::Run {
            path,
            message: format!(
                "training state of version {version}, this build reads {FORMAT_VERSION}; start again with --fresh"
            ),
        });
    }
    // Checkpoints of earlier versions have no sums.
    let files = value.get("files").cloned().unwrap_or_else(|| serde_json::json!({}));
    let files: BTreeMap<String, Written> =
        serde_json::from_value(files).map_err(|e| damaged(&path, e.to_string()))?;
    let progress = serde_json::from_value(value).map_err(|e| Error::Run { path, message: e.to_string() })?;
    for (name, was) in files {
        // Only names that were written: nothing leads out of the folder.
        let file = dir.join(Path::new(&name).file_name().unwrap_or_default());
        let length = std::fs::metadata(&file).map_or(0, |m| m.len());
        if length != was.bytes {
            return Err(damaged(&file, format!("no whole file: {length} bytes, expected {}", was.bytes)));
        }
        if measured(&file)? != was {
            return Err(damaged(&file, format!("its content is not what was written (sum in {PROGRESS})")));
        }
    }
    Ok(Some(progress))
}

/// A message that names its file already, without the name.
fn no_path(path: &Path, message: &str) -> String {
    message.strip_prefix(&format!("{}: ", path.display())).unwrap_or(message).to_owned()
}

fn measured(path: &Path) -> Result<Written> {
    let mut file = unisono_files::open(path)?;
    let mut buffer = vec![0u8; 1 << 20];
    let mut sum = Written { bytes: 0, crc32c: 0 };
    loop {
        let n = file.read(&mut buffer).map_err(|e| Error::io(path, e))?;
        if n == 0 {
            return Ok(sum);
        }
        sum.crc32c = crc32c::crc32c_append(sum.crc32c, buffer.get(..n).unwrap_or_default());
        sum.bytes += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recipe;

    fn progress() -> Progress {
        let text = "seed = 1\nsteps = 3\ninit = \"run\"\nobjective = [{ kind = \"contrastive\" }]\ndata = []\n[optimizer]\nlr = 1.0\n";
        Progress::going_on(None, &Recipe::parse(text, Path::new("r.toml")).unwrap(), BTreeMap::new())
    }

    #[test]
    fn what_is_cut_or_changed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("training.safetensors");
        assert!(open(dir.path()).unwrap().is_none());
        std::fs::write(&state, b"one two three").unwrap();
        seal(dir.path(), &progress()).unwrap();
        assert_eq!(open(dir.path()).unwrap(), Some(progress()));
        for (bytes, says) in [
            (&b"one two"[..], "no whole file: 7 bytes, expected 13"),
            (b"one twO three", "not what was written"),
        ] {
            std::fs::write(&state, bytes).unwrap();
            let said = open(dir.path()).unwrap_err().to_string();
            assert!(said.contains("training.safetensors: ") && said.contains(says), "{said}");
        }
        std::fs::write(&state, b"one two three").unwrap();
        let json = dir.path().join(PROGRESS);
        let text = std::fs::read_to_string(&json).unwrap();
        std::fs::write(&json, &text[..text.len() / 2]).unwrap();
        assert!(matches!(open(dir.path()), Err(Error::Damaged { .. })));
        std::fs::write(&json, text.replace("\"format_version\": 2", "\"format_version\": 1")).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("version 1, this build reads 2"));
    }
}
