//! The records of jobs, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::pipeline::work::Form;
use crate::pipeline::{SavedRows, partial};
use crate::transcripts::{self, Transcripts};
use crate::understand::lines;
use crate::{Index, Item, Items, Listing, Vectors, embed, output};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use unisono_encoders::Modality;
use unisono_files::signed;

/// An index's header, then its items and its file of vectors, each behind a zero byte. A header that is one gets the sums of these, which no
/// chance finds; without a file of vectors there is one that fits.
pub fn index(dir: &Path, bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |b| *b == 0);
    let mut next = || parts.next().unwrap_or_default();
    let (mut header, items, vectors) = (next().to_vec(), next(), next());
    let mut sum = String::new();
    let mut size = (0, 0);
    if let Ok(mut value) = serde_json::from_slice::<Value>(&header)
        && let Some(model) = value["model"]["sha256"].as_str()
    {
        sum = unisono_index::sum(items, model);
        let number = |name: &str| value[name].as_u64().map_or(0, |n| n.min(1 << 10) as usize);
        size = (number("count"), number("dim"));
        if let Some(fields) = value.as_object_mut() {
            fields.insert("sum".into(), sum.clone().into());
        }
        header = value.to_string().into_bytes();
    }
    drop(fs::write(dir.join(unisono_index::HEADER), header));
    drop(fs::write(dir.join(unisono_index::ITEMS), items));
    let path = dir.join(unisono_index::VECTORS);
    if vectors.is_empty() {
        let vectors = Vectors { dim: size.1, data: vec![0.5; size.0 * size.1] };
        let metadata = HashMap::from([(unisono_index::SUM.to_owned(), sum)]);
        drop(output::safetensors(&path, &vectors, metadata).and_then(|file| Ok(file.place()?)));
    } else {
        drop(fs::write(&path, vectors));
    }
    let Ok(found) = Index::open(dir) else { return };
    let query = vec![1.0; found.header().dim];
    assert!(found.segments().iter().all(|s| s.vectors().len() == s.len() * query.len()));
    let _ = (found.files(), found.search(&query, 3, &[]));
}

/// A record's lines behind a byte, as each kind of job takes them up: as they are where that is even, else with the sums that they need to be
/// believed, which no chance finds.
pub fn ledger(dir: &Path, bytes: &[u8]) {
    let Some((first, lines)) = bytes.split_first() else { return };
    let record = |kind: &str| match first % 2 {
        0 => lines.to_vec(),
        _ => signed(kind, WORK, &String::from_utf8_lossy(lines)).into_bytes(),
    };
    let items = three(dir);
    let texts = dir.join("texts");
    drop(fs::create_dir_all(&texts));
    for (form, rows) in [(embed::form(2, WORK), 24), (Form { round: 1, ..lines::form(1, WORK) }, 9)] {
        let folder = partial(&dir.join(form.kind));
        drop(fs::create_dir_all(&folder));
        drop(fs::write(folder.join("ledger.jsonl"), record(form.kind)));
        drop(fs::write(folder.join(form.name), vec![0; form.room as usize + rows]));
        if let Ok(work) = SavedRows::open(&folder, &items, &form) {
            assert!(work.done <= items.len() && work.count + work.skipped.len() == work.done);
        }
    }
    drop(fs::write(texts.join(transcripts::LEDGER), record("transcripts")));
    if let Ok(mut folder) = transcripts::claim(&texts).and_then(|lock| Transcripts::open(&texts, lock, "")) {
        let mut listing = Listing { items: items.clone(), ..Listing::default() };
        let done = folder.plan(&mut listing, &[], "txt", false);
        assert!(done.is_ok_and(|done| done + listing.items.len() == items.len()));
    }
}

/// Two texts and a file that is not there.
fn three(dir: &Path) -> Items {
    [Item::text("a", "a"), Item::text("b", "b"), Item::file(dir.join("gone.wav"), Modality::Audio)].into()
}

/// The work that the records are of.
const WORK: &str = "5f2a";

#[cfg(test)]
mod tests {
    use super::*;

    /// What the fuzzer found, and inputs of the kinds that were reported, once more.
    #[test]
    fn kept_finds_cost_nothing() {
        type Target = fn(&Path, &[u8]);
        for (target, run) in [("index", index as Target), ("ledger", ledger)] {
            let dir = tempfile::tempdir().unwrap();
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus-kept").join(target);
            for entry in fs::read_dir(kept).unwrap() {
                run(dir.path(), &fs::read(entry.unwrap().path()).unwrap());
            }
        }
    }

    /// The sums are put right: what they guard is reached.
    #[test]
    fn whole_ones_are_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let kept = |name: &str| {
            fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus-kept").join(name)).unwrap()
        };
        index(dir.path(), &kept("index/whole"));
        assert_eq!(Index::open(dir.path()).unwrap().len(), 1);
        ledger(dir.path(), &kept("ledger/chunk"));
        let form = embed::form(2, WORK);
        let folder = partial(&dir.path().join(form.kind));
        assert_eq!(SavedRows::open(&folder, &three(dir.path()), &form).unwrap().done, 3);
    }
}
