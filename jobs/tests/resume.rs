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

/// Copies the work on `from` to be the work on `to`.
fn copy_work(from: &Path, to: &Path) {
    fs::create_dir(partial(to)).unwrap();
    for name in ["ledger.jsonl", "rows.f32"] {
        fs::copy(partial(from).join(name), partial(to).join(name)).unwrap();
    }
}

#[test]
fn state_that_was_changed_gives_the_same_bytes_or_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &[Modality::Text]));
    let n = 2 * CHUNK + 40;
    let whole = run(&embedder, n, &dir.path().join("whole.npy"), "m", false, usize::MAX).0.unwrap();
    let kept = dir.path().join("kept.npy");
    assert!(run(&embedder, n, &kept, "m", false, 2 * CHUNK + 6).0.is_err());
    let (mut same, mut refused) = (0, 0);
    let mut random = 17u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize % below
    };
    for case in 0..48 {
        let out = dir.path().join(format!("v{case}.npy"));
        copy_work(&kept, &out);
        let path = partial(&out).join(["ledger.jsonl", "rows.f32"][case % 2]);
        let mut bytes = fs::read(&path).unwrap();
        let at = draw(bytes.len());
        match case / 2 % 6 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << draw(8),
            2 => bytes[at] = draw(256) as u8,
            3 => drop(bytes.remove(at)),
            4 => bytes.extend((0..1 + at % 50).map(|i| i as u8)),
            _ => {
                // A digit for another digit: what a wrong count would be.
                let digits: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i].is_ascii_digit()).collect();
                let at = digits[draw(digits.len())];
                bytes[at] = b'0' + (bytes[at] - b'0' + 1) % 10;
            }
        }
        fs::write(&path, bytes).unwrap();
        match run(&embedder, n, &out, "m", false, usize::MAX).0 {
            Ok(found) => {
                assert_eq!(found, whole, "case {case}");
                same += 1;
            }
            Err(e) => {
                let said = e.to_string();
                assert!(said.contains(".partial") && !said.contains('\n'), "case {case}: {said}");
                assert!(said.contains("--fresh") || said.contains("move it away"), "case {case}: {said}");
                refused += 1;
            }
        }
    }
    assert!(same > 4 && refused > 20, "{same} and {refused}");
}

#[test]
fn a_wrong_count_or_a_missing_part_is_refused_and_fresh_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &[Modality::Text]));
    let n = CHUNK + 8;
    let kept = dir.path().join("kept.npy");
    assert!(run(&embedder, n, &kept, "m", false, CHUNK + 2).0.is_err());
    for (i, name) in ["ledger.jsonl", "rows.f32"].into_iter().enumerate() {
        let out = dir.path().join(format!("{i}.npy"));
        copy_work(&kept, &out);
        fs::remove_file(partial(&out).join(name)).unwrap();
        let said = run(&embedder, n, &out, "m", false, usize::MAX).0.unwrap_err().to_string();
        assert!(said.contains("give --fresh"), "{said}");
        assert_eq!(run(&embedder, n, &out, "m", true, usize::MAX).0.unwrap().items.len(), n - 5);
    }
    // Not even --fresh takes a folder that holds something else.
    let out = dir.path().join("other.npy");
    copy_work(&kept, &out);
    fs::write(partial(&out).join("thesis.odt"), "years").unwrap();
    for fresh in [false, true] {
        let said = run(&embedder, n, &out, "m", fresh, usize::MAX).0.unwrap_err().to_string();
        assert!(said.contains("holds thesis.odt"), "{said}");
    }
    assert_eq!(fs::read_dir(partial(&out)).unwrap().count(), 3);
}

#[cfg(unix)]
#[test]
fn links_that_another_user_laid_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &[Modality::Text]));
    let (n, out) = (CHUNK + 8, dir.path().join("v.npy"));
    let target = dir.path().join("target");
    for name in ["ledger.jsonl", "rows.f32"] {
        fs::create_dir(partial(&out)).unwrap();
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, partial(&out).join(name)).unwrap();
        let said = run(&embedder, n, &out, "m", false, usize::MAX).0.unwrap_err().to_string();
        assert!(said.contains("found a link"), "{said}");
        assert_eq!(fs::read(&target).unwrap(), b"");
        fs::remove_dir_all(partial(&out)).unwrap();
    }
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), partial(&out)).unwrap();
    assert!(run(&embedder, n, &out, "m", false, usize::MAX).0.is_err());
    assert_eq!(fs::read_dir(dir.path().join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_job_stopped_before_anything_was_kept_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &[Modality::Text]));
    let out = dir.path().join("v.npy");
    assert!(matches!(run(&embedder, CHUNK + 8, &out, "m", false, 64).0, Err(Error::Interrupted)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_changed_is_embedded_again() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &support::TOWERS));
    let (media, out) = (dir.path().join("media"), dir.path().join("v.npy"));
    fs::create_dir(&media).unwrap();
    for i in 0..4 {
        support::picture(&media.join(format!("{i}.png")), i);
    }
    // Four files, many times: the second chunk begins after 1,024 of them.
    let listing = || {
        let item = |i: usize| Item::file(media.join(format!("{}.png", usize::from(i == 5))), Modality::Image);
        let mut items: Vec<Item> = (0..CHUNK + 40).map(item).collect();
        items[CHUNK + 1] = Item::file(media.join("2.png"), Modality::Image);
        Listing { items, ..Listing::default() }
    };
    let embed = |out: &Path, stop: usize| {
        let mut from = 0;
        let found = embed_resumable(
            &embedder,
            listing(),
            &EmbedOptions { workers: 2, ..EmbedOptions::default() },
            Job { out, settings: "m", fresh: false },
            &mut |done| from = done,
            &mut |p| if p.done >= stop { Flow::Stop } else { Flow::Continue },
        );
        (found, from)
    };
    assert!(embed(&out, CHUNK + 20).0.is_err());
    // Of another length, and in the first chunk.
    support::picture(&media.join("3.png"), 9);
    fs::rename(media.join("3.png"), media.join("1.png")).unwrap();
    let (again, from) = embed(&out, usize::MAX);
    let again = again.unwrap();
    assert_eq!(from, 0);
    assert_eq!(again, embed(&dir.path().join("anew.npy"), usize::MAX).0.unwrap());
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
