use super::*;
use proptest::prelude::*;

/// The record of the work `work` and its entries, of which four are too many.
fn open(path: &Path, work: &str) -> Result<(Ledger, Vec<usize>)> {
    let mut found = Vec::new();
    let ledger = Ledger::open(path, "count", work, &mut |entry| {
        found.push(entry);
        Ok(if found.len() > 4 { Verdict::Damaged } else { Verdict::Keep })
    })?;
    Ok((ledger, found))
}

/// Three entries.
fn three(path: &Path) -> Vec<u8> {
    let (mut ledger, none) = open(path, "w").unwrap();
    assert!(none.is_empty());
    for entry in [10usize, 20, 30] {
        ledger.append(&entry).unwrap();
    }
    drop(ledger);
    fs::read(path).unwrap()
}

#[test]
fn entries_come_back_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let whole = three(&path);
    assert_eq!(whole.iter().filter(|b| **b == b'\n').count(), 4);
    // What was torn is cut off, and the next entry stands where it stood.
    fs::write(&path, &whole[..whole.len() - 2]).unwrap();
    let (mut ledger, found) = open(&path, "w").unwrap();
    assert_eq!(found, [10, 20]);
    ledger.append(&30usize).unwrap();
    drop(ledger);
    assert_eq!(fs::read(&path).unwrap(), whole, "appended as if nothing had happened");
}

#[test]
fn from_what_is_to_be_done_again_on_all_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let whole = three(&path);
    let mut seen = Vec::new();
    let mut ledger = Ledger::open(&path, "count", "w", &mut |entry: usize| {
        seen.push(entry);
        Ok(if entry == 20 { Verdict::Redo } else { Verdict::Keep })
    })
    .unwrap();
    assert_eq!(seen, [10, 20]);
    ledger.append(&20usize).unwrap();
    ledger.append(&30usize).unwrap();
    drop(ledger);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn a_record_without_entries_vanishes_and_a_torn_head_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let (ledger, _) = open(&path, "w").unwrap();
    assert!(path.exists());
    drop(ledger);
    assert!(!path.exists());
    fs::write(&path, "{\"unisono\":\"cou").unwrap();
    let (mut ledger, found) = open(&path, "w").unwrap();
    assert!(found.is_empty());
    ledger.append(&1usize).unwrap();
    drop(ledger);
    assert_eq!(open(&path, "w").unwrap().1, [1]);
}

#[test]
fn what_is_other_work_or_nobodys_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    three(&path);
    let said = open(&path, "other").unwrap_err().to_string();
    assert!(said.contains("another command (other inputs, model or options)"), "{said}");
    let look = &mut |_: usize| Ok(Verdict::Keep);
    let said = Ledger::open(&path, "caption", "w", look).unwrap_err().to_string();
    assert!(said.contains("another kind of command"), "{said}");
    let said = Ledger::open(&path, "count", "w", &mut |n: usize| {
        Ok(if n == 30 { Verdict::Damaged } else { Verdict::Keep })
    })
    .unwrap_err()
    .to_string();
    assert!(said.contains("line 4 is damaged; give --fresh"), "{said}");
    // An entry of another form than is expected.
    let said = Ledger::open(&path, "count", "w", &mut |_: String| Ok(Verdict::Keep)).unwrap_err().to_string();
    assert!(said.contains("line 2 is damaged"), "{said}");
    let text = fs::read_to_string(&path).unwrap().replace("\"version\":2", "\"version\":1");
    fs::write(&path, text).unwrap();
    let said = open(&path, "w").unwrap_err().to_string();
    assert!(said.contains("another version of unisono"), "{said}");
    fs::write(&path, "a user's\n").unwrap();
    assert!(open(&path, "w").unwrap_err().to_string().ends_with("move it away"));
    assert_eq!(fs::read(&path).unwrap(), b"a user's\n");
}

#[test]
fn sums_tell_lists_of_parts_apart() {
    let of = |parts: &[&str]| {
        let mut sum = Sum::default();
        parts.iter().for_each(|p| sum.part(p.as_bytes()));
        sum.letters()
    };
    assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    assert_ne!(of(&["", "a"]), of(&["a", ""]));
    // SHA-256 of nothing.
    assert_eq!(Sum::of(b""), "e3b0c44298fc1c149afbf4c8996fb924");
}

proptest! {
    #[test]
    fn nothing_that_was_changed_is_believed(at in 0usize..200, cut in any::<bool>(), byte in any::<u8>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let mut bytes = three(&path);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        fs::write(&path, &bytes).unwrap();
        match open(&path, "w") {
            // What is found was written, from the first on.
            Ok((_, found)) => prop_assert!([10, 20, 30].starts_with(&found), "{found:?}"),
            Err(e) => prop_assert!(!e.to_string().contains('\n') && e.to_string().contains("ledger: "), "{e}"),
        }
    }
}
