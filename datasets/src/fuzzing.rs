//! Every reader of a stranger's file, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::{Manifest, Source, SourceConfig, SourceKind, msrvtt as msr, open};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads bytes, in a folder for those that take a path.
pub type Target = fn(&Path, &[u8]);

/// By their names.
pub const TARGETS: [(&str, Target); 7] = [
    ("manifest", manifest),
    ("msrvtt", msrvtt),
    ("published", published),
    ("table", table),
    ("shards", shards),
    ("parquet", parquet),
    ("arrow", arrow),
];

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
    let _ = msr::load(&written(dir, name, bytes), None);
}

/// The annotation files of named data sets, by the first byte.
pub fn published(dir: &Path, bytes: &[u8]) {
    const FILES: [(SourceKind, &str); 11] = [
        (SourceKind::Karpathy, "dataset_coco.json"),
        (SourceKind::CocoCaptions, "captions_val2017.json"),
        (SourceKind::VqaV2, "v2_OpenEnded_mscoco_test2015_questions.json"),
        (SourceKind::DiDeMo, "val_data.json"),
        (SourceKind::Esc50, "esc50.csv"),
        (SourceKind::Clotho, "clotho_captions_validation.csv"),
        (SourceKind::AudioCaps, "val.csv"),
        (SourceKind::AudioSet, "eval_segments.csv"),
        (SourceKind::Msvd, "AllVideoDescriptions.txt"),
        (SourceKind::ConceptualCaptions, "cc12m.tsv"),
        (SourceKind::ImageNet, "LOC_synset_mapping.txt"),
    ];
    let Some((which, bytes)) = bytes.split_first() else { return };
    let (kind, name) = FILES[usize::from(*which) % FILES.len()];
    // A folder each: what one target leaves is not another's.
    let folder = dir.join(name.replace('.', "-"));
    let media = folder.join("val/n01440764");
    drop(std::fs::create_dir_all(&media));
    for name in ["--PJHxphWEs.wav", "a.mp4", "ILSVRC2012_val_00000001.JPEG", "0_1234"] {
        written(&media, name, b"");
    }
    written(&folder, "class_labels_indices.csv", b"index,mid,display_name\n0,/m/09x0r,Speech\n");
    let path = written(&folder, name, bytes);
    let path = if kind == SourceKind::ImageNet { folder } else { path };
    let Ok(source) = open(&SourceConfig { kind: Some(kind), ..SourceConfig::new(path) }) else { return };
    for i in 0..source.len().min(100) {
        let key = source.record(i).map(|r| r.part_key() == source.key(i));
        assert!(key.unwrap_or(true), "a key is not its record's");
    }
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

/// A tar shard, or after a first byte of 1 the index of one.
pub fn shards(dir: &Path, bytes: &[u8]) {
    let path = dir.join("s.tar");
    let index = dir.join(".s.tar.index");
    match bytes.split_first() {
        // The index of a shard that is there is not believed further than its shard goes.
        Some((1, index_bytes)) if path.exists() => drop(std::fs::write(&index, index_bytes)),
        _ => {
            drop(std::fs::remove_file(&index));
            written(dir, "s.tar", bytes);
        }
    }
    let config = SourceConfig { kind: Some(SourceKind::Webdataset), ..SourceConfig::new(&path) };
    let Ok(source) = open(&config) else { return };
    for i in 0..source.len().min(100) {
        let _ = (source.key(i), source.record(i));
    }
}

/// A Parquet file: its rows and what they hold.
pub fn parquet(dir: &Path, bytes: &[u8]) {
    if let Ok(source) = open(&SourceConfig::new(written(dir, "t.parquet", bytes))) {
        records(&*source);
    }
}

/// An Arrow file: its messages and rows.
pub fn arrow(dir: &Path, bytes: &[u8]) {
    if let Ok(source) = open(&SourceConfig::new(written(dir, "t.arrow", bytes))) {
        records(&*source);
    }
}

/// Reads the first records with their media, and some further behind.
fn records(source: &dyn Source) {
    const FIRST: usize = 64;
    let rows = (0..source.len().min(FIRST)).chain([source.len() / 2, source.len() - 1]);
    for row in rows {
        let _ = source.key(row);
        let Ok(record) = source.record(row) else { continue };
        assert!(!record.id.is_empty());
        for blob in record.image.iter().chain(&record.audio).chain(&record.video) {
            // What lies beside the table is no business of its.
            if blob.path().is_none()
                && let Ok(opened) = blob.open()
            {
                let length = opened.len();
                let read = opened.take(1 << 24).read_to_end(&mut Vec::new());
                assert!(read.is_err() || read.is_ok_and(|n| n as u64 == length.min(1 << 24)));
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
