//! `unisono embed`: what is written, what is refused, what an interruption leaves.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::PathBuf;
use support::{fails, json, outcome, s, succeeds, unisono};
use tiny::names;

struct Place {
    dir: tempfile::TempDir,
    model: PathBuf,
    media: PathBuf,
    manifest: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    let manifest = tiny::collection(&media, 5);
    Place { dir, model, media, manifest }
}

#[test]
fn a_folder_and_texts_become_vectors() {
    let p = place();
    let out = p.dir.path().join("v.npy");
    let report = json([
        "embed",
        "--model",
        s(&p.model),
        "--out",
        s(&out),
        "--batch",
        "3",
        "--threads",
        "2",
        "--text",
        "a red bus",
        "--json",
        s(&p.media),
    ]);
    assert_eq!((&report["count"], &report["dim"]), (&11.into(), &tiny::DIM.into()));
    assert_eq!(report["modalities"], serde_json::json!({ "audio": 5, "image": 5, "text": 1 }));
    assert_eq!(report["skipped"].as_array().unwrap().len(), 0);
    assert!(fs::read(&out).unwrap().starts_with(b"\x93NUMPY"));
    let ids = fs::read_to_string(p.dir.path().join("v.npy.jsonl")).unwrap();
    assert_eq!(ids.lines().count(), 11);
    assert!(ids.lines().next().unwrap().contains("media/p00.png"), "{ids}");
    assert_eq!(names(p.dir.path()), ["media", "model", "v.npy", "v.npy.jsonl", "v.npy.model.json"]);
}

#[test]
fn a_manifest_split_of_one_modality() {
    let p = place();
    let out = p.dir.path().join("v.safetensors");
    let args = ["embed", "--model", s(&p.model), "--out", s(&out), "--manifest", s(&p.manifest)];
    let text = succeeds(args.iter().chain(&["--split", "train", "--modality", "text"]));
    assert!(text.contains("5 embeddings of width 12"), "{text}");
    let (tensors, _) = unisono_nn::tensors::read(&out).unwrap();
    assert_eq!(tensors["vectors"].size(), [5, tiny::DIM as i64]);
    let e = fails(args.iter().chain(&["--split", "tset"]));
    assert!(e.contains("it has: test (5), train (5)"), "{e}");
}

#[test]
fn bad_files_are_named_and_counted() {
    let p = place();
    fs::write(p.media.join("empty.png"), "").unwrap();
    tiny::nan_audio(&p.media.join("nan.wav"));
    tiny::pixel_bomb(&p.media.join("bomb.png"));
    let out = p.dir.path().join("v.npy");
    let args = ["embed", "--model", s(&p.model), "--out", s(&out), s(&p.media)];
    let (code, stdout, stderr) = outcome(&mut unisono(args));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("10 embeddings") && stdout.contains("3 skipped"), "{stdout}");
    for part in
        ["empty.png: expected", "nan.wav: expected finite samples", "bomb.png: the image is 50000 x 50000"]
    {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    fs::remove_file(&out).unwrap();
    let e = fails(args.iter().chain(&["--max-skip", "2"]));
    assert!(e.contains("3 inputs could not be used, more than the 2 allowed"), "{e}");
    assert!(!out.exists());
}

#[test]
fn impossible_requests_are_one_line() {
    let p = place();
    let (model, media) = (s(&p.model), s(&p.media));
    let out = p.dir.path().join("v.npy");
    let out = s(&out);
    let cases: [(&[&str], &str); 7] = [
        (&["--model", "/no/model", "--out", out, media], "/no/model"),
        (&["--model", model, "--out", "/proc/such/folder/v.npy", media], "/proc/such/folder: cannot create"),
        (&["--model", model, "--out", out, "/no/such.png"], "/no/such.png: cannot read"),
        (&["--model", model, "--out", out, "--manifest", "/no/m.jsonl"], "/no/m.jsonl"),
        (&["--model", model, "--out", out, s(&p.manifest)], "neither an image nor an audio file"),
        (&["--model", model, "--out", out, model], "nothing to embed"),
        (&["--model", media, "--out", out, media], "config.json"),
    ];
    for (args, part) in cases {
        let e = fails(std::iter::once(&"embed").chain(args));
        assert!(e.contains(part), "{part}: {e}");
    }
    let weights = p.model.join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let e = fails(["embed", "--model", model, "--out", out, media]);
    assert!(e.contains("model.safetensors"), "{e}");
    assert_eq!(names(p.dir.path()), ["media", "model"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    let p = place();
    let out = p.dir.path().join("deep/v.npy");
    let mut child = unisono(["embed", "--model", s(&p.model), "--out", s(&out), "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // More lines than a pipe holds: writing them ends when the run has begun to read, its handler installed, and it waits for the end that
    // comes after the signal.
    let mut lines = child.stdin.take().unwrap();
    lines.write_all("a red bus\n".repeat(40_000).as_bytes()).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    drop(lines);
    let errors: Vec<String> =
        BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{errors:?}");
    assert!(errors.iter().any(|l| l.starts_with("error: interrupted; nothing was written")), "{errors:?}");
    assert_eq!(names(p.dir.path()), ["media", "model"]);
}
