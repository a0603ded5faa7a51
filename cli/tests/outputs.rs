//! Outputs: one run at a time, folders made, nothing of anybody else replaced, nothing half written.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use support::{fails, json, outcome, s, succeeds, unisono};
use tiny::names;
use unisono_files::Lock;

fn fixture(name: &str) -> String {
    format!("{}/../fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_output_that_is_being_written_is_refused_before_a_model_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (vectors, lines, folder) = (at("v.npy"), at("lines.jsonl"), at("folder"));
    let _held = [Lock::make(&vectors).unwrap(), Lock::make(&lines).unwrap(), Lock::make(&folder).unwrap()];
    // No model: what is said is that the output is taken.
    let model = "/no/model";
    let clip = fixture("checkpoints/clip-gelu");
    let cases: [&[&str]; 7] = [
        &["embed", "--model", model, "--text", "bus", "--out", s(&vectors)],
        &["index", "build", "--model", model, "--text", "bus", "--out", s(&folder)],
        &["caption", "--model", model, "--out", s(&lines), "a.png"],
        &["match", "--model", model, "--text", "bus", "--out", s(&lines), "a.png"],
        &["ask", "--model", model, "--question", "what?", "--out", s(&lines), "a.png"],
        &["model", "convert", &clip, s(&folder), "--to", "unisono"],
        &["report", "--run", "/no/run", "--out", s(&lines)],
    ];
    for args in cases {
        let said = fails(args);
        let expected = format!("is being written by another run (process {})", std::process::id());
        assert!(said.contains(&expected), "{args:?}: {said}");
    }
    drop(_held);
    let _held = Lock::within(&folder).unwrap();
    let cases: [&[&str]; 2] = [
        &["transcribe", "--model", model, "--out", s(&folder), "a.wav"],
        &["data", "sample", "emoji", "--out", s(&folder)],
    ];
    for args in cases {
        let said = fails(args);
        assert!(said.contains("is being written by another run"), "{args:?}: {said}");
    }
}

#[test]
fn folders_are_made_and_vanish_when_the_job_fails() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let before = names(dir.path());
    let at = |name: &str| dir.path().join("deep/er").join(name);
    let (m, missing) = (s(&model), "/no/such.png");
    let (blip, whisper) = (fixture("fusion/blip-caption"), fixture("fusion/whisper-speech"));
    let out = at("v.npy");
    let out = s(&out);
    let cases: [&[&str]; 5] = [
        &["embed", "--model", m, "--out", out, missing],
        &["index", "build", "--model", m, "--out", out, missing],
        &["caption", "--model", &blip, "--out", out, missing],
        &["transcribe", "--model", &whisper, "--out", out, missing],
        // It hears, which that format has no place for.
        &["model", "convert", m, out, "--to", "hf-clip"],
    ];
    for args in cases {
        fails(args);
        assert_eq!(names(dir.path()), before, "{args:?}");
    }
    succeeds(["embed", "--model", m, "--out", s(&at("v.npy")), "--text", "bus"]);
    assert_eq!(names(&dir.path().join("deep/er")), ["v.npy", "v.npy.jsonl", "v.npy.model.json"]);
    succeeds(["model", "convert", m, s(&at("again")), "--to", "unisono"]);
    assert_eq!(names(&at("again")), names(&model));
    let said = fails(["model", "convert", m, s(&at("again")), "--to", "unisono"]);
    assert!(said.contains("expected a new or empty folder"), "{said}");
}

#[test]
fn an_input_is_never_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("v.npy.jsonl");
    fs::write(&manifest, "{\"id\":\"a\",\"text\":\"a\"}\n").unwrap();
    let (m, out) = (s(&manifest), dir.path().join("v.npy"));
    let cases: [&[&str]; 2] = [
        &["embed", "--model", "/no/model", "--manifest", m, "--out", s(&out)],
        &["caption", "--model", "/no/model", "--manifest", m, "--out", m],
    ];
    for args in cases {
        let (code, _, said) = outcome(&mut unisono(args));
        assert!(code == 2 && said.contains("is an input, too"), "{code} {said}");
    }
}

/// All that lies in a folder, with its bytes.
fn everything(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for name in names(dir) {
        let path = dir.join(name);
        if path.is_dir() {
            found.extend(everything(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found
}

#[test]
fn a_folder_that_is_no_index_of_ours_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let out = dir.path().join("site");
    let build = ["index", "build", "--model", s(&model), "--text", "bus", "--out", s(&out)];
    for (name, text) in [
        ("index.json", "{\"pages\": 7}"),
        ("index.json", "not even JSON"),
        ("index.json", "{\"format_version\": 1}"),
        ("items.jsonl", "mine"),
    ] {
        fs::create_dir(&out).unwrap();
        fs::write(out.join(name), text).unwrap();
        fs::create_dir(out.join("photos")).unwrap();
        fs::write(out.join("photos/1.jpg"), "the only one").unwrap();
        let before = everything(&out);
        let said = fails(build);
        assert!(said.contains("no index stands there") && said.contains("nothing is replaced"), "{said}");
        assert_eq!(everything(&out), before);
        fs::remove_dir_all(&out).unwrap();
    }
    // An index of ours, with something beside it.
    succeeds(build);
    succeeds(build);
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let before = everything(&out);
    let said = fails(build);
    assert!(said.contains("holds notes.txt"), "{said}");
    assert_eq!(everything(&out), before);
    fs::remove_file(out.join("notes.txt")).unwrap();
    fs::create_dir(out.join("items.jsonl.old")).unwrap();
    assert!(fails(build).contains("holds items.jsonl.old"));
    // A link to an index means that index.
    #[cfg(unix)]
    {
        fs::remove_dir(out.join("items.jsonl.old")).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&out, &link).unwrap();
        succeeds(["index", "build", "--model", s(&model), "--text", "cat", "--out", s(&link)]);
        assert!(link.is_symlink());
        assert!(fs::read_to_string(out.join("segments/000000/items.jsonl")).unwrap().contains("cat"));
    }
    let header = fs::read_to_string(out.join("index.json")).unwrap();
    assert!(
        !header.contains("cat") && header.contains("\"count\": 1"),
        "texts stand in the items alone: {header}"
    );
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_not_waited_for() {
    use std::process::Command;
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let at = |name: &str| dir.path().join(name);
    tiny::image(&at("a.png"), 1);
    assert!(Command::new("mkfifo").arg(at("pipe.png")).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", at("zero.png")).unwrap();
    let lines = ["a.png", "pipe.png", "zero.png"].map(|n| format!("{{\"id\":\"{n}\",\"image\":\"{n}\"}}"));
    fs::write(at("m.jsonl"), lines.join("\n")).unwrap();
    let out = at("v.npy");
    let found =
        json(["embed", "--model", s(&model), "--out", s(&out), "--manifest", s(&at("m.jsonl")), "--json"]);
    let skipped: Vec<_> =
        found["skipped"].as_array().unwrap().iter().map(|s| s["reason"].to_string()).collect();
    assert!(
        skipped[0].contains("found a named pipe") && skipped[1].contains("found a device"),
        "{skipped:?}"
    );
    assert_eq!(found["count"], 1);
    // In a folder they are counted, not opened.
    let found = json(["embed", "--model", s(&model), "--out", s(&out), "--json", s(dir.path())]);
    assert_eq!(found["left_out_kinds"]["pipe or device"], 2, "{found}");
    // A model's file, an index's.
    fs::remove_file(model.join("model.safetensors")).unwrap();
    let index = at("idx");
    fs::create_dir(&index).unwrap();
    for path in [index.join("index.json"), index.join("items.jsonl")] {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let said = fails(["search", "--index", s(&index), "bus"]);
    assert!(said.contains("index.json: expected a regular file, found a named pipe"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_file_and_keeps_the_work() {
    use std::process::Command;
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let texts: String = (0..1500).map(|i| format!("a red bus {i}\n")).collect();
    fs::write(dir.path().join("texts"), texts).unwrap();
    for ending in ["npy", "safetensors", "parquet"] {
        let out = dir.path().join(format!("v.{ending}"));
        // 144 blocks: the rows (72,000 bytes) fit, the finished file does not where it holds more; the items' list never does.
        let run = |limit: &str| {
            let line = format!(
                "trap '' XFSZ; ulimit -f {limit}; exec \"$0\" embed --model \"$1\" --out \"$2\" - < \"$3\""
            );
            let mut command = Command::new("sh");
            command.args(["-c", &line, env!("CARGO_BIN_EXE_unisono"), s(&model), s(&out)]);
            outcome(command.arg(dir.path().join("texts")))
        };
        let (code, _, said) = run("144");
        assert!(
            code == 1 && said.contains("cannot write: ") && !said.contains("panicked"),
            "{ending}: {said}"
        );
        assert!(said.contains("the embeddings are kept in"), "{said}");
        let left: Vec<_> =
            names(dir.path()).into_iter().filter(|n| n.starts_with("v.") || n.starts_with('.')).collect();
        assert_eq!(left, [format!("v.{ending}.partial")]);
        let (code, stdout, said) = run("unlimited");
        assert!(code == 0 && said.contains("resumed: 1500 are done"), "{said}");
        assert!(stdout.contains("1500 embeddings"), "{stdout}");
        fs::remove_file(&out).unwrap();
        for beside in ["jsonl", "model.json"] {
            fs::remove_file(dir.path().join(format!("v.{ending}.{beside}"))).unwrap();
        }
        assert!(!names(dir.path()).iter().any(|n| n.starts_with("v.")));
    }
}
