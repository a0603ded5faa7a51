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
    // A package of another version, or a folder without one, would be fetched all the same.
    let other = dir.path().join("emojibase-data-1.0.0.tgz");
    std::fs::write(&other, "x").unwrap();
    for given in [other.as_path(), dir.path()] {
        let (code, _, stderr) =
            outcome(&mut unisono(["data", "sample", "emoji", "--out", s(&out), "--archive", s(given)]));
        assert!(
            code == 2 && stderr.contains("none of this data set's packages") && !out.exists(),
            "{stderr}"
        );
    }
}

#[test]
fn inspect_counts_and_finds_problems() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = tiny::collection(dir.path(), 4);
    let text = succeeds(["data", "inspect", s(&manifest)]);
    for part in [
        "images",
        "train",
        "test",
        "all",
        "languages     (2): de 4, en 4",
        "modalities    text + image 4, text + image + audio 4",
        "labels        4 labels of 8 records; most frequent: r0 2",
        "captions      1 a record",
        "  words       2\n",
        "images        width 24\n",
        "audio         0.1 s to 0.2 s, median 0.1 s",
        "every file is there",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = dir.path().join("pages/page.html");
    let (code, stdout, stderr) =
        outcome(&mut unisono(["data", "inspect", s(&manifest), "--html", s(&page), "--samples", "3"]));
    assert!(code == 0 && stdout == text && stderr.contains("page: "), "{stdout}{stderr}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("<article").count(), 3);
    assert!(
        html.contains("3 records, drawn by lot (seed 0)")
            && !tiny::names(page.parent().unwrap()).iter().any(|n| n.contains("lock"))
    );
    let e = fails(["data", "inspect", s(&manifest), "--html", s(&manifest.join("page.html"))]);
    assert!(e.contains("manifest.jsonl"), "{e}");
    let report = json(["data", "inspect", s(&manifest), "--json"]);
    assert_eq!(report["total"]["records"], 8);
    assert_eq!(report["splits"]["test"]["audio"], 4);
    assert_eq!(report["problems"].as_array().unwrap().len(), 0);

    tiny::nan_audio(&dir.path().join("s01.wav"));
    tiny::pixel_bomb(&dir.path().join("p02.png"));
    std::fs::remove_file(dir.path().join("p03.png")).unwrap();
    let (code, stdout, stderr) = outcome(&mut unisono(["data", "inspect", s(&manifest)]));
    assert!(
        code == 1 && stderr.ends_with("1 problem\n") && stdout.contains("p03.png: No such file"),
        "{stdout}{stderr}"
    );
    let (code, stdout, stderr) = outcome(&mut unisono(["data", "check", s(&manifest)]));
    assert_eq!(code, 1);
    assert!(stderr.ends_with("3 problems\n"), "{stderr}");
    for part in
        ["s01.wav: expected finite samples", "p02.png: the image is 50000 x 50000", "p03.png: No such file"]
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

/// A small video of two seconds, with a tone or without.
fn video(path: &std::path::Path, audio: bool) {
    let program = unisono_media::video::Ffmpeg::find(None).unwrap();
    let mut command = std::process::Command::new(program.program());
    command.args(["-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2"]);
    if audio {
        command.args(["-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac"]);
    }
    assert!(command.args(["-pix_fmt", "yuv420p"]).arg(path).status().unwrap().success());
}

#[test]
fn checked_files_are_decoded_videos_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    video(&at("ok.mp4"), true);
    video(&at("mute.mkv"), false);
    std::fs::copy(at("ok.mp4"), at("renamed.mkv")).unwrap();
    std::fs::write(at("words.mp4"), "this is no video\n").unwrap();
    let whole = std::fs::read(at("mute.mkv")).unwrap();
    std::fs::write(at("cut.mkv"), &whole[..whole.len() / 10]).unwrap();
    tiny::image(&at("p.png"), 1);
    std::fs::copy(at("p.png"), at("p.jpg")).unwrap();
    let write = |lines: &[&str]| {
        let path = at("m.jsonl");
        std::fs::write(&path, lines.join("\n")).unwrap();
        path
    };
    let good = write(&[
        r#"{"id":"a","video":"ok.mp4","text":"x"}"#,
        r#"{"id":"b","video":"ok.mp4","start":0.5,"end":1}"#,
        r#"{"id":"c","video":"mute.mkv"}"#,
        r#"{"id":"d","video":"renamed.mkv"}"#,
        r#"{"id":"e","image":"p.jpg"}"#,
    ]);
    for (command, says) in [("check", "every file opens"), ("inspect", "every file is there")] {
        let text = succeeds(["data", command, s(&good)]);
        assert!(text.contains(says), "{text}");
        for part in ["p.jpg: is a PNG image, not", "renamed.mkv: is an MP4 or QuickTime file, not"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("note: ").count(), 2, "{text}");
        let report = json(["data", command, s(&good), "--json"]);
        let image = report["misnamed"].as_array().unwrap().iter().find(|m| m["content"] == "a PNG image");
        assert!(image.unwrap()["path"].as_str().unwrap().ends_with("p.jpg"), "{report}");
    }
    // One file is two's copy under another name.
    let report = json(["data", "check", s(&good), "--json"]);
    assert_eq!((&report["exact"]["groups"], &report["files"]), (&1.into(), &4.into()), "{report}");
    let seconds = json(["data", "inspect", s(&good), "--json"])["video"]["seconds"]["max"].as_f64().unwrap();
    assert!((seconds - 2.0).abs() < 0.1, "{seconds}");

    let bad = write(&[
        r#"{"id":"a","video":"words.mp4"}"#,
        r#"{"id":"b","video":"ok.mp4","start":7}"#,
        r#"{"id":"c","video":"p.png"}"#,
        r#"{"id":"d","video":"cut.mkv"}"#,
        r#"{"id":"e","image":"ok.mp4"}"#,
    ]);
    let (code, stdout, stderr) = outcome(&mut unisono(["data", "check", s(&bad)]));
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(!stdout.contains("every file opens") && stderr.ends_with("5 problems\n"), "{stdout}{stderr}");
    for part in
        ["words.mp4: expected a video", "ok.mp4: expected a part of the video", "p.png: ", "cut.mkv: "]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let mut none = unisono(["data", "check", s(&good), "--ffmpeg", "/no/such/ffmpeg"]);
    let (code, _, stderr) = outcome(&mut none);
    assert!(code == 3 && stderr.contains("/no/such/ffmpeg"), "{code} {stderr}");
    let images = write(&[r#"{"id":"a","image":"p.png"}"#]);
    let (code, _, stderr) = outcome(&mut unisono(["data", "check", s(&images), "--ffmpeg", "x"]));
    assert!(code == 2 && stderr.contains("the source names none"), "{stderr}");
}

#[test]
fn duplicates_are_named_and_refused_where_that_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    tiny::image(&at("a.png"), 1);
    std::fs::copy(at("a.png"), at("b.png")).unwrap();
    // The same pixels in another file.
    image::open(at("a.png")).unwrap().save(at("c.bmp")).unwrap();
    tiny::image(&at("d.png"), 90);
    let manifest = at("m.jsonl");
    let lines = [
        r#"{"id":"a","image":"a.png","split":"train"}"#,
        r#"{"id":"b","image":"b.png","split":"test"}"#,
        r#"{"id":"c","image":"c.bmp","split":"train"}"#,
        r#"{"id":"d","image":"d.png","split":"train"}"#,
    ];
    std::fs::write(&manifest, lines.join("\n")).unwrap();
    let text = succeeds(["data", "check", s(&manifest)]);
    for part in [
        "equal bytes: 1 group of 2, 1 across splits",
        "a.png [train] = ",
        "equal looks: 1 group of 3, 1 across splits",
        "(difference 0.0)",
        "leaks between splits: 2",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, _, stderr) = outcome(&mut unisono(["data", "check", s(&manifest), "--strict"]));
    assert!(
        code == 1 && stderr.contains("2 groups of duplicates, 2 leaks between splits"),
        "{code} {stderr}"
    );
    let model = tiny::model_dir(dir.path());
    let report = json(["data", "check", s(&manifest), "--model", s(&model), "--cosine", "0.99999", "--json"]);
    assert_eq!(
        (&report["vectors"]["groups"], &report["vectors"]["leaks"]),
        (&1.into(), &1.into()),
        "{report}"
    );
    assert_eq!(report["vectors"]["listed"][0]["count"], 3);
    let report = json(["data", "check", s(&manifest), "--difference", "0", "--json"]);
    assert_eq!((&report["alike"]["groups"], &report["vectors"]), (&0.into(), &serde_json::Value::Null));
    assert_eq!(outcome(&mut unisono(["data", "check", s(&manifest), "--cosine", "0.9"])).0, 2);
    assert_eq!(outcome(&mut unisono(["data", "check", s(&manifest), "--device", "cpu"])).0, 2);
    let (code, _, stderr) = outcome(&mut unisono(["data", "check", s(&manifest), "--columns", "text=x"]));
    assert!(code == 1 && stderr.contains("columns.text"), "{code} {stderr}");
}

#[test]
fn addresses_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m.jsonl");
    std::fs::write(
        &manifest,
        "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"image\":\"http://example.org/a.png\"}\n",
    )
    .unwrap();
    let e = fails(["data", "inspect", s(&manifest)]);
    assert!(e.contains("m.jsonl:2: \"image\"") && e.contains("download the file first"), "{e}");
    let e = fails(["data", "inspect", "https://example.org/m.jsonl"]);
    assert!(e.contains("https://example.org/m.jsonl: is a web address: download"), "{e}");
    let model = tiny::model_dir(dir.path());
    let out = dir.path().join("v.npy");
    for input in ["https://example.org/a.png", "s3://bucket/a.wav", "file:///tmp/a.mp4"] {
        let e = fails(["embed", "--model", s(&model), "--out", s(&out), input]);
        assert!(e.contains(&format!("{input}: is a")) && !out.exists(), "{e}");
    }
    let e = fails(["scenes", "--out", s(&dir.path().join("o")), "https://example.org/a.mp4"]);
    assert!(e.contains("is a web address"), "{e}");
}
