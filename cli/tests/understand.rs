//! `unisono caption`, `match`, `ask` and `transcribe` on checkpoints of other libraries.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use support::{fails, json, outcome, s, succeeds, unisono};

fn model(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion").join(name).display().to_string()
}

/// Five images and a broken one.
fn images(dir: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for n in 0..5 {
        paths.push(dir.join(format!("p{n}.png")));
        tiny::image(paths.last().unwrap(), n * 40);
    }
    fs::write(dir.join("p9.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    paths
}

#[test]
fn captions_are_printed_written_and_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    let paths = images(&media);
    // What nobody asked for is counted.
    fs::write(media.join("a.psd"), "x").unwrap();
    fs::write(media.join("a.md"), "x").unwrap();
    let m = model("blip-caption");
    let text = succeeds(["caption", "--model", &m, s(&paths[0]), s(&paths[1])]);
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with(&format!("{}: ", paths[0].display())), "{text}");
    let all = json(["caption", "--model", &m, "--json", "--beams", "3", "--prompt", "a red", s(&media)]);
    assert_eq!((all["files"].as_array().unwrap().len(), all["skipped"].as_array().unwrap().len()), (5, 1));
    assert_eq!((&all["left_out"], &all["left_out_kinds"][".psd"]), (&2.into(), &1.into()), "{all}");
    for file in all["files"].as_array().unwrap() {
        assert!(file["caption"].as_str().unwrap().starts_with("a red"), "{file}");
        assert!(file["score"].as_f64().unwrap() < 0.0);
    }
    // Lines, whole and in order; a job that was stopped ends in the same bytes.
    let (whole, again) = (dir.path().join("whole.jsonl"), dir.path().join("again.jsonl"));
    let args =
        |out: &Path| ["caption", "--model", &m, "--batch", "2", "--out", s(out), s(&media)].map(String::from);
    succeeds(args(&whole));
    assert!(!dir.path().join("whole.jsonl.partial").exists());
    let lines = fs::read_to_string(&whole).unwrap();
    assert_eq!(lines.lines().count(), 5);
    succeeds(args(&again));
    let kept = dir.path().join("half.jsonl.partial/ledger.jsonl");
    // What a stopped job leaves: some lines, the last one torn.
    let text = partial_of(&args(&dir.path().join("half.jsonl")), &kept, 1);
    let half = dir.path().join("half.jsonl");
    fs::write(&kept, text).unwrap();
    let (code, _, notes) = outcome(&mut unisono(args(&half)));
    assert!(code == 0 && notes.contains("resumed: 2 are done"), "{code} {notes}");
    assert_eq!(fs::read_to_string(&half).unwrap(), lines);
    // Other work is not mixed in.
    fs::create_dir(kept.parent().unwrap()).unwrap();
    fs::write(&kept, "{\"unisono\":\"lines\",\"version\":2,\"work\":\"other\"}\n").unwrap();
    let e = fails(args(&half));
    assert!(e.contains("holds the work of another command"), "{e}");
    let (code, _, _) = outcome(unisono(args(&half)).arg("--fresh"));
    assert_eq!(code, 0);
}

/// The lines of a failed job's file of work, of which only `n` remain and a torn one.
fn partial_of(args: &[String], kept: &Path, n: usize) -> String {
    // One unusable image is one too many; the batches before it stay done.
    let (code, _, _) = outcome(unisono(args).args(["--max-skip", "0"]));
    assert_eq!(code, 1);
    let text = fs::read_to_string(kept).unwrap();
    let lines: Vec<&str> = text.lines().take(1 + n).collect();
    format!("{}\n0123456789abcdef {{\"done\":{{\"capt", lines.join("\n"))
}

#[test]
fn draws_depend_on_the_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let paths = images(dir.path());
    let m = model("blip-caption");
    let run = |seed: &str, batch: &str| {
        let mut args =
            vec!["caption", "--model", &m, "--temperature", "1.0", "--top-p", "0.95", "--seed", seed];
        args.extend(["--batch", batch]);
        args.extend(paths.iter().map(|p| s(p)));
        succeeds(args)
    };
    assert_eq!(run("1", "4"), run("1", "4"));
    assert_ne!(run("1", "4"), run("2", "4"));
}

#[test]
fn matches_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let paths = images(dir.path());
    let m = model("blip-match");
    let found = json([
        "match",
        "--model",
        &m,
        "--json",
        "--text",
        "a red bus",
        "--text",
        "a cat",
        s(&paths[0]),
        s(&paths[1]),
    ]);
    let matches = found["files"][1]["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 2);
    assert!(matches.iter().all(|m| (0.0..=1.0).contains(&m["probability"].as_f64().unwrap())));
    let alone = json(["match", "--model", &m, "--json", "--text", "a cat", s(&paths[1])]);
    let difference = alone["files"][0]["matches"][0]["probability"].as_f64().unwrap()
        - matches[1]["probability"].as_f64().unwrap();
    assert!(difference.abs() < 1e-5);
    let m = model("blip-answer");
    let free = succeeds(["ask", "--model", &m, "--question", "what color is the bus?", s(&paths[0])]);
    assert!(free.starts_with(&format!("{}: ", paths[0].display())));
    let ranked = json([
        "ask",
        "--model",
        &m,
        "--json",
        "--question",
        "what?",
        "--answer",
        "red",
        "--answer",
        "a blue bus",
        s(&paths[0]),
    ]);
    let answers = ranked["files"][0]["answers"].as_array().unwrap();
    let sum: f64 = answers.iter().map(|a| a["probability"].as_f64().unwrap()).sum();
    assert!(answers.len() == 2 && (sum - 1.0).abs() < 1e-9);
}

#[test]
fn speech_becomes_text_and_subtitles() {
    let dir = tempfile::tempdir().unwrap();
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    for n in 0..2 {
        tiny::audio(&media.join(format!("s{n}.wav")), n);
    }
    let m = model("whisper-speech");
    let quick = ["--no-fallback", "--language", "de", "--max-length", "24"];
    let mut args = vec!["transcribe", "--model", &m, "--json"];
    args.extend(quick);
    args.push(s(&media));
    let found = json(args);
    for file in found["files"].as_array().unwrap() {
        assert_eq!(file["language"], "de");
        assert!(
            file["segments"].as_array().unwrap().iter().all(|s| s["end"].as_f64() >= s["start"].as_f64())
        );
    }
    let out = dir.path().join("subtitles");
    let mut args = vec!["transcribe", "--model", &m, "--format", "srt", "--out", s(&out)];
    args.extend(quick);
    args.push(s(&media));
    succeeds(args.clone());
    let first = out.join("s0.wav.srt");
    let text = fs::read_to_string(&first).unwrap();
    assert!(text.starts_with("1\n00:00:0") && text.contains(" --> "), "{text}");
    fs::write(&first, "mine").unwrap();
    let (code, _, notes) = outcome(&mut unisono(&args));
    assert!(code == 0 && notes.contains("2 audio files done already"), "{notes}");
    assert_eq!(fs::read_to_string(&first).unwrap(), "mine");
    // Not even --fresh replaces what somebody has corrected.
    let (code, _, notes) = outcome(unisono(&args).arg("--fresh"));
    assert!(code == 0 && notes.contains("s0.wav.srt was changed since it was written"), "{notes}");
    assert_eq!(fs::read_to_string(&first).unwrap(), "mine");
    fs::remove_file(&first).unwrap();
    // As many audio files at once as are asked for, and a summary where files are written.
    let (code, text, _) = outcome(unisono(&args).args(["--json", "--fresh", "--batch", "9"]));
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &summary["count"], &summary["done_before"]), (0, &2.into(), &0.into()), "{summary}");
    assert!(out.join("s1.wav.srt").exists() && !out.join("s1.wav.json").exists());
    let summary = succeeds(args.iter().copied().chain(["--json"]));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&summary).unwrap()["done_before"], 2);
    let (code, _, e) = outcome(&mut unisono(["transcribe", "--model", &m, "--language", "xx", s(&media)]));
    assert!(code == 2 && e.contains("--language xx: expected one of de, en, fr"), "{e}");
    // Of one name in different folders: they keep their folders.
    let talks = dir.path().join("talks");
    for (i, name) in ["monday/s.wav", "tuesday/s.wav"].into_iter().enumerate() {
        fs::create_dir_all(talks.join(name).parent().unwrap()).unwrap();
        tiny::audio(&talks.join(name), i as u32);
    }
    let out = dir.path().join("deep/texts");
    let mut args = vec!["transcribe", "--model", &m, "--format", "vtt", "--out", s(&out)];
    args.extend(quick);
    args.push(s(&talks));
    succeeds(&args);
    for name in ["monday/s.wav.vtt", "tuesday/s.wav.vtt"] {
        assert!(fs::read_to_string(out.join(name)).unwrap().starts_with("WEBVTT"), "{name}");
    }
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let pixel = dir.path().join("pixel.png");
    image::RgbImage::from_pixel(1, 1, image::Rgb([9, 9, 9])).save(&pixel).unwrap();
    succeeds(["caption", "--model", &model("blip-caption"), s(&pixel)]);
    let out = dir.path().join("out.jsonl");
    let question = "word ".repeat(10_000);
    let answer = model("blip-answer");
    let e = fails(["ask", "--model", &answer, "--question", &question, "--out", s(&out), s(&pixel)]);
    assert!(e.contains("tokens: this model takes at most 24; shorten it"), "{e}");
    let e = fails(["ask", "--model", &model("blip-match"), "--question", "x", "--out", s(&out), s(&pixel)]);
    assert!(e.contains("this model has no answering head; it has: match"), "{e}");
    let audio = dir.path().join("a.wav");
    tiny::audio(&audio, 1);
    let e = fails(["caption", "--model", &model("blip-caption"), "--out", s(&out), s(&audio)]);
    assert!(e.contains("image"), "{e}");
    let broken = dir.path().join("broken.png");
    fs::write(&broken, b"\x89PNG\r\n\x1a\nbroken").unwrap();
    let e = fails(["caption", "--model", &model("blip-caption"), "--out", s(&out), s(&broken)]);
    assert!(e.contains("broken.png"), "{e}");
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/checkpoints/clip-gelu");
    let e = fails(["caption", "--model", s(&clip), s(&pixel)]);
    assert!(e.contains("this clip model has towers only"), "{e}");
    let (code, _, e) = outcome(&mut unisono([
        "caption",
        "--model",
        &answer,
        "--beams",
        "2",
        "--temperature",
        "1",
        s(&pixel),
    ]));
    assert!(code != 0 && e.starts_with("error: "), "{e}");
    let mut left: Vec<String> = tiny::names(dir.path());
    left.sort();
    assert_eq!(left, ["a.wav", "broken.png", "pixel.png"]);
}

#[test]
fn a_converted_model_writes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let pixel = dir.path().join("p.png");
    tiny::image(&pixel, 90);
    for (name, command) in [("blip-caption", "caption"), ("whisper-speech", "transcribe")] {
        let to = dir.path().join(name);
        let text = succeeds(["model", "convert", &model(name), s(&to), "--to", "unisono"]);
        assert!(text.contains("with its fusion part"), "{text}");
        let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/audio/speech.wav");
        let file = if command == "caption" { &pixel } else { &speech };
        let write = |m: &str| {
            let mut args = vec![command, "--model", m, s(file)];
            if command == "transcribe" {
                args.extend(["--no-fallback", "--max-length", "16"]);
            }
            succeeds(args)
        };
        assert_eq!(write(s(&to)), write(&model(name)));
        let text = succeeds(["model", "inspect", s(&to)]);
        assert!(text.contains(&format!("understands: {command}")), "{text}");
    }
}

/// A video of the given images, losslessly, at 5 frames a second; `audio` seconds of a tone with it.
fn video(path: &Path, pattern: &Path, audio: u32) {
    let ffmpeg = unisono_media::video::Ffmpeg::find(None).unwrap();
    let mut command = std::process::Command::new(ffmpeg.program());
    command.args(["-loglevel", "error", "-y", "-framerate", "5", "-i"]).arg(pattern);
    if audio > 0 {
        let tone = format!("sine=frequency=300:sample_rate=16000:duration={audio}");
        command.args(["-f", "lavfi", "-i", &tone, "-c:a", "pcm_s16le"]);
    }
    let output = command.args(["-c:v", "png"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn videos_are_seen_and_heard() {
    let dir = tempfile::tempdir().unwrap();
    let paths = images(dir.path());
    let folder = dir.path().join("videos");
    fs::create_dir(&folder).unwrap();
    let (still, moving) = (folder.join("still one's.mkv"), folder.join("moving.mkv"));
    video(&still, &paths[0], 0);
    video(&moving, &dir.path().join("p%d.png"), 4);
    fs::write(folder.join("page.mp4"), "<!doctype html><title>404</title>").unwrap();
    // One frame is an image; the same frame again and again adds nothing.
    let m = model("blip-caption");
    let image = json(["caption", "--model", &m, "--json", s(&paths[0])]);
    let seen = json(["caption", "--model", &m, "--json", s(&still)]);
    assert_eq!(seen["files"][0]["caption"], image["files"][0]["caption"]);
    assert_eq!(
        (&seen["files"][0]["modality"], &image["files"][0]["modality"]),
        (&"video".into(), &"image".into())
    );
    // A folder's videos are found; the page that calls itself one is named.
    let all = json(["caption", "--model", &m, "--json", "--frames", "3", s(&folder)]);
    assert_eq!(all["files"].as_array().unwrap().len(), 2, "{all}");
    let reason = all["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("expected a video that FFmpeg reads, found"), "{reason}");
    // Which frames are looked at matters: the middle one alone is its image.
    let middle = json(["caption", "--model", &m, "--json", "--frames", "1", s(&moving)]);
    let image = json(["caption", "--model", &m, "--json", s(&paths[2])]);
    assert_eq!(middle["files"][0]["score"], image["files"][0]["score"]);
    let of = |frames: &str| {
        let found = json([
            "match",
            "--model",
            &model("blip-match"),
            "--text",
            "red",
            "--json",
            "--frames",
            frames,
            s(&moving),
        ]);
        found["files"][0].clone()
    };
    assert_ne!(of("1"), of("5"));
    let answer = ["ask", "--model", &model("blip-answer"), "--question", "what is red", "--json", s(&moving)];
    assert!(json(answer)["files"][0]["answer"].is_string());
    // A record's video, and a speech model hears the audio track.
    let manifest = dir.path().join("m.jsonl");
    fs::write(&manifest, "{\"id\": \"a\", \"text\": [\"x\"], \"video\": \"videos/moving.mkv\"}\n").unwrap();
    let found = json(["caption", "--model", &m, "--json", "--manifest", s(&manifest)]);
    assert_eq!(found["files"][0]["id"], "a");
    let speech = model("whisper-speech");
    let heard = json(["transcribe", "--model", &speech, "--format", "json", "--json", s(&moving)]);
    assert_eq!(heard["files"].as_array().unwrap().len(), 1, "{heard}");
    let e = fails(["transcribe", "--model", &speech, s(&still)]);
    assert!(e.contains("expected an audio track, found none"), "{e}");
    let (code, _, e) =
        outcome(&mut unisono(["caption", "--model", &m, "--ffmpeg", "/nonexistent/ffmpeg", s(&moving)]));
    assert!(code == 3 && e.contains("`/nonexistent/ffmpeg` is not installed"), "{e}");
    let (code, _, e) = outcome(&mut unisono(["caption", "--model", &m, "--frames", "2", s(&paths[0])]));
    assert!(code == 0 && e.contains("--frames changes nothing"), "{e}");
}

/// Texts beside texts, by a model that compares them: what sentence-transformers' `CrossEncoder` says.
#[test]
fn texts_are_matched_with_texts() {
    let pairs = |name: &str| format!("{}/../fixtures/pairs/{name}", env!("CARGO_MANIFEST_DIR"));
    for (name, key) in [("bert", "probability"), ("bert-old", "score"), ("roberta", "probability")] {
        let dir = pairs(name);
        let golden = fs::read(format!("{dir}/pairs.json")).unwrap();
        let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
        for (pair, score) in
            golden["pairs"].as_array().unwrap().iter().zip(golden["scores"].as_array().unwrap())
        {
            let [a, b] = [&pair[0], &pair[1]].map(|text| text.as_str().unwrap());
            if a.is_empty() || b.is_empty() {
                continue;
            }
            let found = json(["match", "--model", &dir, "--json", "--text", a, "--with", b]);
            let file = &found["files"][0];
            assert_eq!((&file["id"], &file["modality"]), (&b.into(), &"text".into()), "{found}");
            let number = file["matches"][0][key].as_f64().unwrap();
            assert!((number - score.as_f64().unwrap()).abs() < 1e-5, "{name} {a} {b}: {number} {score}");
        }
    }
    let text =
        succeeds(["match", "--model", &pairs("bert-old"), "--text", "a", "--with", "b", "--with", "c"]);
    assert!(text.lines().count() == 2 && !text.contains('%') && text.lines().all(|l| l.len() > 8), "{text}");
    let e = fails(["match", "--model", &pairs("several"), "--text", "a", "--with", "b"]);
    assert!(
        e.contains("by 3 labels (contradiction, entailment, neutral); expected one number a pair"),
        "{e}"
    );
    let dir = tempfile::tempdir().unwrap();
    let args = ["embed", "--model", &pairs("bert"), "--text", "a", "--out"];
    let e = fails(args.into_iter().chain([s(&dir.path().join("a.npy"))]));
    assert!(e.contains("this model compares texts (match, search --rerank) and makes no embeddings"), "{e}");
    let said = succeeds(["model", "inspect", &pairs("roberta")]);
    assert!(said.contains("understands: match\n  looks at: text"), "{said}");
    // A manifest's texts, in lines.
    let manifest = tiny::collection(dir.path(), 2);
    let (own, out) = (dir.path().join("own"), dir.path().join("m.jsonl"));
    succeeds(["model", "convert", &pairs("bert"), s(&own), "--to", "unisono"]);
    let args = ["match", "--model", s(&own), "--text", "number 1", "--manifest", s(&manifest), "--out"];
    let said = succeeds(args.into_iter().chain([s(&out)]));
    assert!(said.contains("m.jsonl: 4 files"), "{said}");
    assert!(fs::read_to_string(&out).unwrap().lines().all(|l| l.contains("\"probability\":0.")));
}
