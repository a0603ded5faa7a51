//! `unisono data pack`.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use support::{fails, json, outcome, s, succeeds, unisono};

#[test]
fn a_manifest_becomes_shards_and_these_become_shards() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = tiny::collection(dir.path(), 4);
    let (out, again) = (dir.path().join("out"), dir.path().join("again"));
    let text = succeeds(["data", "pack", s(&manifest), s(&out), "--shard-size", "20kB"]);
    assert!(text.contains("out: 8 records in ") && text.contains(" shards, "), "{text}");
    let listed: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("index.json")).unwrap()).unwrap();
    let shards = listed["shards"].as_array().unwrap().len();
    assert!(shards > 1);
    // What is done is known, and what it is made of, too.
    let text = succeeds(["data", "pack", s(&manifest), s(&out), "--shard-size", "20kB"]);
    assert!(text.contains(&format!("; {shards} were there already")), "{text}");
    let report = json(["data", "pack", s(&out), s(&again), "--json"]);
    assert_eq!((&report["records"], report["shards"].as_array().unwrap().len()), (&8.into(), 1));
    let e = fails(["data", "pack", s(&manifest), s(&out)]);
    assert!(e.contains("index.json: holds another source's shards"), "{e}");
    let text = succeeds(["data", "pack", s(&manifest), s(&out), "--fresh", "--split", "test"]);
    assert!(text.contains("in 1 shard,"), "{text}");
    let e = fails(["data", "pack", s(&manifest), s(&again), "--split", "none"]);
    assert!(e.contains("no record of split \"none\"; it has: \"test\" (4), \"train\" (4)"), "{e}");
    // The same as tables, and from these the same shards.
    let (tables, back) = (dir.path().join("tables"), dir.path().join("back"));
    let text = succeeds(["data", "pack", s(&manifest), s(&tables), "--format", "parquet"]);
    assert!(
        text.contains("tables: 8 records in 1 shard, ") && tables.join("shard-00000.parquet").exists(),
        "{text}"
    );
    assert!(fails(["data", "pack", s(&manifest), s(&tables)]).contains("of another size or format"));
    let packed = json(["data", "pack", s(&tables), s(&back), "--json"]);
    assert_eq!(packed["shards"], report["shards"]);
    let inspected = json(["data", "inspect", s(&tables), "--json"]);
    assert_eq!(inspected["splits"], json(["data", "inspect", s(&manifest), "--json"])["splits"]);
    fs::write(out.join("notes.txt"), "").unwrap();
    assert!(fails(["data", "pack", s(&manifest), s(&out), "--fresh"]).contains("holds notes.txt"));
    let packed = tiny::names(&again);
    assert!(
        packed.contains(&"index.json".into()) && !packed.iter().any(|name| name.starts_with(".unisono")),
        "{packed:?}"
    );
}

#[test]
fn what_cannot_be_packed_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("m.jsonl"), "{\"id\": \"a\", \"image\": \"none.png\"}\n{\"id\": \"b\", \"text\": \"b\"}\n")
        .unwrap();
    let (code, stdout, stderr) = outcome(&mut unisono(["data", "pack", s(&at("m.jsonl")), s(&at("out"))]));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("out: 1 record in 1 shard") && stdout.contains("; 1 record left out"),
        "{stdout}"
    );
    assert!(stderr.contains("skipped: a: ") && stderr.contains("none.png"), "{stderr}");
    let e = fails(["data", "pack", s(&at("m.jsonl")), s(&at("none")), "--max-skip", "0"]);
    assert!(e.contains("more than the 0 allowed") && !at("none").exists(), "{e}");
    for (args, part) in [
        (&["--columns", "words=caption"][..], "a record has no such field"),
        (&["--columns", "text="], "expected a name behind the equals sign"),
        (&["--data-type", "zip"], "expected one of manifest"),
        (&["--format", "zip"], "expected tar or parquet"),
        (&["--key-ends", "x"], "expected first-dot or last-dot"),
        (&["--shard-size", "big"], "expected a size"),
    ] {
        let paths = [at("m.jsonl"), at("none")];
        let mut command = unisono(["data", "pack", s(&paths[0]), s(&paths[1])]);
        let (code, _, stderr) = outcome(command.args(args));
        assert!(code == 2 && stderr.contains(part), "{stderr}");
    }
}

#[test]
fn notes_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (shards, out) = (dir.path().join("shards"), dir.path().join("out"));
    fs::create_dir(&shards).unwrap();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/shards/written.tar");
    let whole = fs::read(golden).unwrap();
    fs::write(shards.join("cut.tar"), &whole[..3586]).unwrap();
    let (code, stdout, stderr) = outcome(&mut unisono(["data", "pack", s(&shards), s(&out)]));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("cut.tar: is cut off or damaged at byte ") && stdout.contains("1 record"),
        "{stdout}{stderr}"
    );
}
