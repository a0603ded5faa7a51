//! Every reader of a stranger's file, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::{Manifest, msrvtt as msr};
use std::path::{Path, PathBuf};

/// Reads bytes, in a folder for those that take a path.
pub type Target = fn(&Path, &[u8]);

/// By their names.
pub const TARGETS: [(&str, Target); 2] = [("manifest", manifest), ("msrvtt", msrvtt)];

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
