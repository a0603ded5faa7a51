use super::*;
use unisono_encoders::Modality;

fn open(dir: &Path, settings: &str) -> Transcripts {
    Transcripts::open(dir, claim(dir).unwrap(), settings).unwrap()
}

fn listing(paths: &[&Path]) -> Listing {
    let items = paths.iter().map(|p| Item::file(p.to_path_buf(), Modality::Audio)).collect();
    Listing { items, ..Listing::default() }
}

/// Writes all that is to be done; how many were done already.
fn run(
    dir: &Path,
    settings: &str,
    mut listing: Listing,
    roots: &[PathBuf],
    fresh: bool,
) -> Result<(usize, Vec<Skip>)> {
    let mut transcripts = open(dir, settings);
    let done = transcripts.plan(&mut listing, roots, "txt", fresh)?;
    for item in &listing.items {
        transcripts.write(&item, &format!("of {} with {settings}", item.id))?;
    }
    assert_eq!(transcripts.written(), listing.items.len());
    Ok((done, listing.skipped))
}

fn tree(dir: &Path) -> Vec<String> {
    let files = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|e| e.unwrap());
    let names = files.filter(|e| e.file_type().is_file());
    let names = names.map(|e| e.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
    names.filter(|n| n != LEDGER).collect()
}

fn audios(dir: &Path, names: &[&str]) -> Vec<PathBuf> {
    for name in names {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        fs::write(dir.join(name), name).unwrap();
    }
    names.iter().map(|name| dir.join(name)).collect()
}

#[test]
fn folders_are_kept_and_names_are_never_shared() {
    let dir = tempfile::tempdir().unwrap();
    let (talks, out) = (dir.path().join("talks"), dir.path().join("out"));
    let paths = audios(&talks, &["a/x.wav", "b/x.wav", "y.wav", "Y.WAV", ".hidden.wav"]);
    let all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    run(&out, "s", listing(&all), std::slice::from_ref(&talks), false).unwrap();
    let found = tree(&out);
    assert_eq!(
        found[..3],
        ["%2Ehidden.wav.txt", "Y.WAV~2222222222.txt", "a/x.wav.txt"]
            .map(|n| n.replace("2222222222", &found[1][6..16]))
    );
    assert_eq!(found.len(), 5);
    assert!(found.iter().any(|n| n.starts_with("y.wav~")), "{found:?}");
    // Given by themselves they have no folder: those of one name are told apart, and again in the next run.
    let out = dir.path().join("flat");
    for done in [0, 2] {
        assert_eq!(run(&out, "s", listing(&all[..2]), &[], false).unwrap().0, done);
    }
    assert_eq!(tree(&out).len(), 2);
    // One at a time, too: the second is no other's.
    let out = dir.path().join("one by one");
    for path in &all[..2] {
        assert_eq!(run(&out, "s", listing(&[path]), &[], false).unwrap().0, 0);
        assert_eq!(run(&out, "s", listing(&[path]), &[], false).unwrap().0, 1);
    }
    assert_eq!(tree(&out).len(), 2);
    let text = fs::read_to_string(out.join("x.wav.txt")).unwrap();
    assert!(text.contains("a/x.wav"), "{text}");
}

#[test]
fn ids_of_any_kind_become_files() {
    let dir = tempfile::tempdir().unwrap();
    let audio = audios(dir.path(), &["s.wav"]).remove(0);
    let item = |id: &str, part| Item { id: id.into(), part, ..Item::file(audio.clone(), Modality::Audio) };
    let (long, longer) = ("l".repeat(300), "l".repeat(301));
    let ids = ["a\0b", "../../escape", "..", "talks/1", &long, &longer, "", "nul", "x.txt/y", "x"];
    let mut items: Vec<Item> = ids.iter().map(|id| item(id, 0)).collect();
    items.push(item("x", 1));
    let count = items.len();
    let out = dir.path().join("out");
    let all = Listing { items: items.into_iter().collect(), ..Listing::default() };
    run(&out, "s", all.clone(), &[], false).unwrap();
    assert_eq!(tree(&out).len(), count, "{:?}", tree(&out));
    assert_eq!(run(&out, "s", all, &[], false).unwrap().0, count);
    assert!(tree(&out).iter().all(|name| !name.starts_with('.') && !name.contains('/')));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn only_what_was_written_here_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let paths = audios(dir.path(), &["a.wav", "b.wav", "c.wav"]);
    let all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("c.wav.txt"), "a user's").unwrap();
    assert_eq!(run(&out, "s", listing(&all), &[], false).unwrap(), (1, vec![]));
    // Other settings are not mixed in.
    let said = run(&out, "t", listing(&all), &[], false).unwrap_err().to_string();
    assert!(said.contains("a.wav.txt: made by another model or with other options; give --fresh"), "{said}");
    // Corrected by hand, and never written here: both are left alone and named.
    fs::write(out.join("b.wav.txt"), "corrected").unwrap();
    let (done, skipped) = run(&out, "t", listing(&all), &[], true).unwrap();
    assert_eq!(done, 0);
    let reasons: Vec<_> = skipped.iter().map(|s| s.reason.as_str()).collect();
    assert!(reasons[0].contains("b.wav.txt was changed since it was written"), "{reasons:?}");
    assert!(reasons[1].contains("c.wav.txt was not written by this command"), "{reasons:?}");
    assert!(fs::read_to_string(out.join("a.wav.txt")).unwrap().ends_with("with t"));
    assert_eq!(fs::read_to_string(out.join("b.wav.txt")).unwrap(), "corrected");
    assert_eq!(fs::read_to_string(out.join("c.wav.txt")).unwrap(), "a user's");
    assert_eq!(run(&out, "t", listing(&all), &[], false).unwrap().0, 3);
    // An audio file that changed is done again.
    fs::write(&paths[0], "another audio file").unwrap();
    assert_eq!(run(&out, "t", listing(&all), &[], false).unwrap().0, 2);
}

#[test]
fn its_record_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = audios(dir.path(), &["a.wav"]).remove(0);
    let out = dir.path().join("out");
    run(&out, "s", listing(&[&path]), &[], false).unwrap();
    let whole = fs::read(out.join(LEDGER)).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(out.join(LEDGER), &bytes[..]).unwrap();
        // Done, to be done again, or refused; what lies there is whole whatever happens.
        drop(run(&out, "s", listing(&[&path]), &[], false));
        assert!(fs::read_to_string(out.join("a.wav.txt")).unwrap().ends_with("a.wav with s"));
        fs::write(out.join(LEDGER), &whole[..at]).unwrap();
        drop(run(&out, "s", listing(&[&path]), &[], false).unwrap());
    }
    let held = claim(&out).unwrap();
    assert!(claim(&out).unwrap_err().to_string().contains("is being written by another run"));
    drop(held);
}
