//! A long embedding that is stopped and taken up again.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use unisono_jobs::resume::{CHUNK, Job, done, embed_resumable, partial};
use unisono_jobs::{EmbedOptions, Embedded, Embedder, Error, Flow, Item, Listing, Modality, Result};

fn listing(n: usize) -> Listing {
    let mut items: Vec<Item> =
        (0..n).map(|i| Item::text(format!("t{i}"), format!("a red bus {i}"))).collect();
    // Texts that are far too long are left out, in the middle of a chunk and at its edges.
    for i in [0, 700, CHUNK - 1, CHUNK, n - 1] {
        items[i] = Item::text(format!("t{i}"), "x ".repeat(300_000));
    }
    Listing { items, ..Listing::default() }
}

fn run(
    embedder: &Embedder,
    n: usize,
    out: &Path,
    settings: &str,
    fresh: bool,
    stop_at: usize,
) -> (Result<Embedded>, usize) {
    let (mut from, options) = (0, EmbedOptions { workers: 2, ..EmbedOptions::default() });
    let mut progress =
        |p: unisono_jobs::Progress| if p.done >= stop_at { Flow::Stop } else { Flow::Continue };
    let found = embed_resumable(
        embedder,
        listing(n),
        &options,
        Job { out, settings, fresh },
        &mut |done| from = done,
        &mut progress,
    );
    (found, from)
}

#[test]
fn a_stopped_job_goes_on_and_ends_in_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &[Modality::Text]));
    let n = 2 * CHUNK + 300;
    let whole = run(&embedder, n, &dir.path().join("whole.npy"), "m", false, usize::MAX).0.unwrap();
    assert_eq!((whole.items.len(), whole.skipped.len()), (n - 5, 5));
    let out = dir.path().join("v.npy");
    for (stop, expected) in [(CHUNK / 2, 0), (CHUNK + 100, 0), (2 * CHUNK + 50, CHUNK)] {
        let (stopped, from) = run(&embedder, n, &out, "m", false, stop);
        assert!(matches!(stopped, Err(Error::Interrupted)));
        assert_eq!(from, expected, "stopped at {stop}");
    }
    // A chunk that was cut off between its rows and the state that counts them.
    let rows = partial(&out).join("rows.f32");
    let mut bytes = fs::read(&rows).unwrap();
    bytes.extend([7; 1000]);
    fs::write(&rows, bytes).unwrap();
    let e = run(&embedder, n, &out, "other model", false, usize::MAX).0.unwrap_err().to_string();
    assert!(e.contains("holds the work of another command"), "{e}");
    let (again, from) = run(&embedder, n, &out, "m", false, usize::MAX);
    let again = again.unwrap();
    assert_eq!(from, 2 * CHUNK);
    assert_eq!(again, whole, "rows, items and skips are the same, bit by bit");
    for (item, row) in again.items.iter().zip(again.vectors.rows()).step_by(97) {
        let alone = embedder.texts(&[item.text.clone().unwrap()]).unwrap();
        let difference = row.iter().zip(&alone.data).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(difference < 1e-5, "{}: no row belongs to another id", item.id);
    }
    done(&out).unwrap();
    assert!(!partial(&out).exists());
    let (fresh, from) = run(&embedder, n, &out, "other model", true, usize::MAX);
    assert_eq!((fresh.unwrap().items.len(), from), (n - 5, 0));
}

#[test]
fn a_small_job_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &[Modality::Text]));
    let out = dir.path().join("v.npy");
    let options = EmbedOptions::default();
    let items = (0..50).map(|i| Item::text(i.to_string(), "a")).collect();
    let listing = Listing { items, ..Listing::default() };
    let found = embed_resumable(
        &embedder,
        listing,
        &options,
        Job { out: &out, settings: "m", fresh: false },
        &mut |_| (),
        &mut |_| Flow::Continue,
    )
    .unwrap();
    assert_eq!(found.items.len(), 50);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
