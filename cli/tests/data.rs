//! `unisono data`.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use support::{fails, json, outcome, s, succeeds, unisono};

#[test]
fn a_missing_tool_is_3() {
    let dir = tempfile::tempdir().unwrap();
    for (set, tool) in [("emoji", "npm"), ("stamps", "apt-get")] {
        let out = dir.path().join(set);
        let mut command = unisono(["data", "sample", set, "--out", s(&out)]);
        command.env("PATH", dir.path()).env("UNISONO_CACHE", dir.path().join("cache"));
        let (code, stdout, stderr) = outcome(&mut command);
        assert_eq!(code, 3, "{stdout}{stderr}");
        assert!(stderr.contains(&format!("error: `{tool}` is not installed")), "{stderr}");
        assert!(!out.join("manifest.jsonl").exists());
    }
}

#[test]
fn an_archive_that_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let e = fails(["data", "sample", "emoji", "--out", s(&out), "--archive", "/no/such.tgz"]);
    assert!(e.contains("/no/such.tgz"), "{e}");
}

#[test]
fn inspect_counts_and_finds_problems() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = tiny::collection(dir.path(), 4);
    let text = succeeds(["data", "inspect", s(&manifest), "--check-files"]);
    for part in ["pictures", "train", "test", "all", "languages (2): de 4, en 4", "every file opens"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = json(["data", "inspect", s(&manifest), "--json"]);
    assert_eq!(report["total"]["records"], 8);
    assert_eq!(report["splits"]["test"]["audio"], 4);
    assert_eq!(report["problems"].as_array().unwrap().len(), 0);

    tiny::nan_sound(&dir.path().join("s01.wav"));
    tiny::pixel_bomb(&dir.path().join("p02.png"));
    std::fs::remove_file(dir.path().join("p03.png")).unwrap();
    let (code, stdout, stderr) = outcome(&mut unisono(["data", "inspect", s(&manifest), "--check-files"]));
    assert_eq!(code, 1);
    assert!(stderr.ends_with("3 problems\n"), "{stderr}");
    for part in
        ["s01.wav: expected finite samples", "p02.png: the picture is 50000 x 50000", "p03.png: No such file"]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[test]
fn a_broken_manifest_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m.jsonl");
    std::fs::write(&manifest, "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\"}\n").unwrap();
    let e = fails(["data", "inspect", s(&manifest)]);
    assert!(e.contains("m.jsonl:2: ") && e.contains("no usable modality"), "{e}");
    std::fs::write(&manifest, "").unwrap();
    fails(["data", "inspect", s(&manifest)]);
    fails(["data", "inspect", "/no/such/manifest.jsonl"]);
}
