//! Every reader of a stranger's file, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::{Manifest, SourceConfig, SourceKind, msrvtt as msr, open};
use std::path::{Path, PathBuf};

/// Reads bytes, in a folder for those that take a path.
pub type Target = fn(&Path, &[u8]);

/// By their names.
pub const TARGETS: [(&str, Target); 3] = [("manifest", manifest), ("msrvtt", msrvtt), ("table", table)];

fn written(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    drop(std::fs::write(&path, bytes));
    path
}

/// A manifest of JSON lines.
pub fn manifest(dir: &Path, bytes: &[u8]) {
    let _ = Manifest::load(&written(dir, "m.jsonl", bytes));
}

/// MSR-VTT's JSON or CSV, by the first byte.
pub fn msrvtt(dir: &Path, bytes: &[u8]) {
    let name = if bytes.first() == Some(&b'{') { "m.json" } else { "m.csv" };
    let _ = msr::load(&written(dir, name, bytes));
}

/// A table, by its first byte of tabs or of commas; every record of it.
pub fn table(dir: &Path, bytes: &[u8]) {
    let name = if bytes.first() == Some(&b'\t') { "t.tsv" } else { "t.csv" };
    for group_by in [None, Some("caption".to_owned())] {
        let kind = Some(SourceKind::Table);
        let config = SourceConfig { kind, group_by, ..SourceConfig::new(written(dir, name, bytes)) };
        if let Ok(source) = open(&config) {
            for i in 0..source.len() {
                let key = source.record(i).map(|r| r.part_key() == source.key(i));
                assert!(key.unwrap_or(true), "a key is not its record's");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What the fuzzer found, once more.
    #[test]
    fn kept_finds_cost_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for (target, run) in TARGETS {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus-kept").join(target);
            // Git keeps no empty folder.
            for entry in fs::read_dir(kept).into_iter().flatten() {
                run(dir.path(), &fs::read(entry.unwrap().path()).unwrap());
            }
        }
    }
}
