//! A long embedding that is stopped and taken up again.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use tch::Device;
use unisono_jobs::output::items_path;
use unisono_jobs::{
    EmbedOptions, Embedder, Error, Flow, Item, Items, Job, Listing, Modality, ROUND, Result, Skip, embed,
    embed_to, partial,
};

/// A model of texts, and the folder that it came from.
fn embedder(dir: &Path) -> Embedder {
    let model = dir.join("model");
    support::model(7, &[Modality::Text]).save(&model).unwrap();
    Embedder::load(model, Device::Cpu).unwrap()
}

fn listing(n: usize) -> Listing {
    let mut items: Vec<Item> =
        (0..n).map(|i| Item::text(format!("t{i}"), format!("a red bus {i}"))).collect();
    // Texts that are far too long are left out, in the middle of a round and at its edges.
    for i in [0, 700, ROUND - 1, ROUND, n - 1] {
        items[i] = Item::text(format!("t{i}"), "x ".repeat(300_000));
    }
    Listing { items: items.into_iter().collect(), ..Listing::default() }
}

/// What a job wrote.
#[derive(Debug, PartialEq)]
struct Made {
    vectors: Vec<u8>,
    items: Vec<u8>,
    count: usize,
    skipped: Vec<Skip>,
}

/// Runs a job until `stop_at` items are done; how many were done before.
fn run_listing(
    embedder: &Embedder,
    listing: Listing,
    out: &Path,
    fresh: bool,
    stop_at: usize,
) -> (Result<Made>, usize) {
    let (mut from, options) = (0, EmbedOptions { workers: 2, ..EmbedOptions::default() });
    let mut progress =
        |p: unisono_jobs::Progress| if p.done >= stop_at { Flow::Stop } else { Flow::Continue };
    let job = Job { out, fresh };
    let made = embed_to(embedder, listing, &options, &job, &mut |done| from = done, &mut progress);
    let read = |path: &Path| fs::read(path).unwrap();
    let made = made.and_then(|stored| stored.place()).map(|written| Made {
        vectors: read(out),
        items: read(&items_path(out)),
        count: written.count,
        skipped: written.skipped,
    });
    (made, from)
}

fn run(embedder: &Embedder, n: usize, out: &Path, fresh: bool, stop_at: usize) -> (Result<Made>, usize) {
    run_listing(embedder, listing(n), out, fresh, stop_at)
}

#[test]
fn a_stopped_job_goes_on_and_ends_in_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = embedder(dir.path());
    let n = 2 * ROUND + 300;
    let whole = run(&embedder, n, &dir.path().join("whole.npy"), false, usize::MAX).0.unwrap();
    assert_eq!((whole.count, whole.skipped.len()), (n - 5, 5));
    let out = dir.path().join("v.npy");
    for (stop, expected) in [(ROUND / 2, 0), (ROUND + 100, 0), (2 * ROUND + 50, ROUND)] {
        let (stopped, from) = run(&embedder, n, &out, false, stop);
        assert!(matches!(stopped, Err(Error::Interrupted)));
        assert_eq!(from, expected, "stopped at {stop}");
    }
    // A round that was cut off between its rows and the line that counts them.
    let rows = partial(&out).join("rows.f32");
    let mut bytes = fs::read(&rows).unwrap();
    bytes.extend([7; 1000]);
    fs::write(&rows, bytes).unwrap();
    let mut other = Embedder::load(dir.path().join("model"), Device::Cpu).unwrap();
    other.set_normalize(false);
    let e = run(&other, n, &out, false, usize::MAX).0.unwrap_err().to_string();
    assert!(e.contains("holds the work of another command"), "{e}");
    let (again, from) = run(&embedder, n, &out, false, usize::MAX);
    assert_eq!(from, 2 * ROUND);
    assert_eq!(again.unwrap(), whole, "rows, items and skips are the same, bit by bit");
    assert!(!partial(&out).exists());
    // In memory they are the same, too, and each row is its item's.
    let mut options = EmbedOptions { workers: 3, ..EmbedOptions::default() };
    let held = embed(&embedder, listing(n), &options, &mut |_| Flow::Continue).unwrap();
    let bytes: Vec<u8> = held.vectors.data.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!((&whole.vectors[128..], &whole.skipped), (&bytes[..], &held.skipped));
    for (item, row) in held.items.iter().zip(held.vectors.rows()).step_by(97) {
        let alone = embedder.texts(&[item.text.clone().unwrap()]).unwrap();
        let difference = row.iter().zip(&alone.data).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(difference < 1e-5, "{}: no row belongs to another id", item.id);
    }
    // Batches are composed otherwise: other work.
    assert!(run(&embedder, n, &out, false, 2 * ROUND + 50).0.is_err());
    options.batch = 7;
    let job = Job { out: &out, fresh: false };
    let said =
        embed_to(&embedder, listing(n), &options, &job, &mut |_| (), &mut |_| Flow::Continue).unwrap_err();
    assert!(said.to_string().contains("another command"), "{said}");
    let (fresh, from) = run(&other, n, &out, true, usize::MAX);
    assert_eq!((fresh.unwrap().count, from), (n - 5, 0));
}

#[test]
fn every_format_is_written_from_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = embedder(dir.path());
    let n = ROUND + 9;
    let items: Items = (0..n).map(|i| Item::text(format!("t{i}"), "bus")).collect();
    let listing = || Listing { items: items.clone(), ..Listing::default() };
    let held = embed(&embedder, listing(), &EmbedOptions::default(), &mut |_| Flow::Continue).unwrap();
    for ending in ["npy", "safetensors", "parquet"] {
        let out = dir.path().join(format!("v.{ending}"));
        let made = run_listing(&embedder, listing(), &out, false, usize::MAX).0.unwrap();
        let beside = dir.path().join(format!("w.{ending}"));
        unisono_jobs::output::write(&beside, &held).unwrap();
        assert!(made.vectors == fs::read(&beside).unwrap(), "{ending}");
        assert!(made.items == fs::read(items_path(&beside)).unwrap(), "{ending}");
        assert!(!partial(&out).exists());
    }
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
    let embedder = embedder(dir.path());
    let n = 2 * ROUND + 40;
    let whole = run(&embedder, n, &dir.path().join("whole.npy"), false, usize::MAX).0.unwrap();
    let kept = dir.path().join("kept.npy");
    assert!(run(&embedder, n, &kept, false, 2 * ROUND + 6).0.is_err());
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
        match run(&embedder, n, &out, false, usize::MAX).0 {
            Ok(found) => {
                assert!(found == whole, "case {case}");
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
    let embedder = embedder(dir.path());
    let n = ROUND + 8;
    let kept = dir.path().join("kept.npy");
    assert!(run(&embedder, n, &kept, false, ROUND + 2).0.is_err());
    for (i, name) in ["ledger.jsonl", "rows.f32"].into_iter().enumerate() {
        let out = dir.path().join(format!("{i}.npy"));
        copy_work(&kept, &out);
        fs::remove_file(partial(&out).join(name)).unwrap();
        let said = run(&embedder, n, &out, false, usize::MAX).0.unwrap_err().to_string();
        assert!(said.contains("give --fresh"), "{said}");
        assert_eq!(run(&embedder, n, &out, true, usize::MAX).0.unwrap().count, n - 5);
    }
    // Not even --fresh takes a folder that holds something else.
    let out = dir.path().join("other.npy");
    copy_work(&kept, &out);
    fs::write(partial(&out).join("thesis.odt"), "years").unwrap();
    for fresh in [false, true] {
        let said = run(&embedder, n, &out, fresh, usize::MAX).0.unwrap_err().to_string();
        assert!(said.contains("holds thesis.odt"), "{said}");
    }
    assert_eq!(fs::read_dir(partial(&out)).unwrap().count(), 3);
}

#[cfg(unix)]
#[test]
fn links_that_another_user_laid_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = embedder(dir.path());
    let (n, out) = (ROUND + 8, dir.path().join("v.npy"));
    let target = dir.path().join("target");
    for name in ["ledger.jsonl", "rows.f32"] {
        fs::create_dir(partial(&out)).unwrap();
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, partial(&out).join(name)).unwrap();
        let said = run(&embedder, n, &out, false, usize::MAX).0.unwrap_err().to_string();
        assert!(said.contains("found a link"), "{said}");
        assert_eq!(fs::read(&target).unwrap(), b"");
        fs::remove_dir_all(partial(&out)).unwrap();
    }
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), partial(&out)).unwrap();
    assert!(run(&embedder, n, &out, false, usize::MAX).0.is_err());
    assert_eq!(fs::read_dir(dir.path().join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_job_stopped_before_anything_was_kept_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = embedder(dir.path());
    let out = dir.path().join("v.npy");
    assert!(matches!(run(&embedder, ROUND + 8, &out, false, 64).0, Err(Error::Interrupted)));
    assert_eq!(support::names(dir.path()), ["model"]);
}

#[test]
fn a_file_that_changed_is_embedded_again() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::load(support::model_dir(dir.path()), Device::Cpu).unwrap();
    let (media, out) = (dir.path().join("media"), dir.path().join("v.npy"));
    fs::create_dir(&media).unwrap();
    for i in 0..4 {
        support::image(&media.join(format!("{i}.png")), i);
    }
    // Three files, many times: the second round begins after 1,024 of them.
    let listing = || {
        let item = |i: usize| {
            let name = if i == ROUND + 1 { 2 } else { usize::from(i == 5) };
            Item::file(media.join(format!("{name}.png")), Modality::Image)
        };
        Listing { items: (0..2 * ROUND + 40).map(item).collect(), ..Listing::default() }
    };
    let embed = |out: &Path, stop: usize| run_listing(&embedder, listing(), out, false, stop);
    assert!(embed(&out, 2 * ROUND + 20).0.is_err());
    // Of another length, and in the second round: the first stays.
    support::image(&media.join("2.png"), 9);
    let (again, from) = embed(&out, usize::MAX);
    assert_eq!(from, ROUND);
    assert_eq!(again.unwrap(), embed(&dir.path().join("anew.npy"), usize::MAX).0.unwrap());
    // Of the same length and another time, in the first round.
    assert!(embed(&out, 2 * ROUND + 20).0.is_err());
    let file = fs::File::options().write(true).open(media.join("1.png")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(9)).unwrap();
    let (again, from) = embed(&out, usize::MAX);
    assert_eq!((from, again.unwrap().count), (0, 2 * ROUND + 40));
}

#[test]
fn a_small_job_and_one_of_a_model_without_a_folder_leave_nothing_beside() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::new(support::model(7, &[Modality::Text]));
    for n in [50, ROUND + 50] {
        let out = dir.path().join(format!("{n}.npy"));
        let items = (0..n).map(|i| Item::text(i.to_string(), "a")).collect();
        let listing = Listing { items, ..Listing::default() };
        assert!(run_listing(&embedder, listing.clone(), &out, false, n - 1).0.is_err());
        assert!(!support::names(dir.path()).iter().any(|name| name.contains("partial")));
        assert_eq!(run_listing(&embedder, listing, &out, false, usize::MAX).0.unwrap().count, n);
    }
    assert_eq!(support::names(dir.path()), ["1074.npy", "1074.npy.jsonl", "50.npy", "50.npy.jsonl"]);
}

#[test]
fn where_nothing_can_be_used_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::load(support::model_dir(dir.path()), Device::Cpu).unwrap();
    let gone = |i| Item::file(dir.path().join(format!("{i}.png")), Modality::Image);
    let listing = Listing { items: (0..ROUND + 3).map(gone).collect(), ..Listing::default() };
    let options = EmbedOptions { max_skip: usize::MAX, ..EmbedOptions::default() };
    let job = Job { out: &dir.path().join("v.npy"), fresh: false };
    let made = embed_to(&embedder, listing, &options, &job, &mut |_| (), &mut |_| Flow::Continue);
    let Err(Error::AllSkipped { count, id, .. }) = made else { panic!("something was made of nothing") };
    assert_eq!((count, id), (ROUND + 3, dir.path().join("0.png").display().to_string()));
    assert_eq!(support::names(dir.path()), ["model"]);
}
