//! Audio files that phones, browsers and recorders write, in every command that takes audio files.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{fails, json, outcome, s, succeeds, unisono};
use unisono_media::video::Ffmpeg;

fn speech_model() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion/whisper-speech").display().to_string()
}

/// Writes `name` from the audio files and images that FFmpeg's words name.
fn made(dir: &Path, name: &str, words: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let program = Ffmpeg::find(None).unwrap();
    let run = Command::new(program.program())
        .args(["-v", "error", "-nostdin", "-y"])
        .args(words)
        .arg(&path)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    path
}

/// The same audio as WAV, and losslessly in what others write.
fn alike(dir: &Path) -> (PathBuf, Vec<PathBuf>) {
    let wav = dir.join("plain.wav");
    tiny::audio(&wav, 3);
    let files = [
        ("a.m4a", vec!["-c:a", "alac"]),
        ("b.mp4", vec!["-c:a", "alac"]),
        ("c.aiff", vec![]),
        ("d.caf", vec!["-c:a", "pcm_s16le"]),
        ("e.mka", vec!["-c:a", "flac"]),
        ("f.w64", vec![]),
        ("g.wv", vec!["-c:a", "wavpack"]),
    ];
    let files = files.map(|(name, words)| made(dir, name, &[["-i", s(&wav)].as_slice(), &words].concat()));
    (wav, files.to_vec())
}

#[test]
fn every_command_hears_them() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    let m = s(&model);
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    let (wav, others) = alike(&media);
    // A video is one still, also in OGG.
    let shown = [
        "-f",
        "lavfi",
        "-i",
        "color=size=32x32:duration=1",
        "-i",
        s(&wav),
        "-c:v",
        "libtheora",
        "-c:a",
        "libvorbis",
    ];
    made(
        &media,
        "h.mp4",
        &["-f", "lavfi", "-i", "color=size=32x32:duration=1", "-i", s(&wav), "-c:v", "mpeg4", "-c:a", "aac"],
    );
    let theora = made(dir.path(), "v.ogg", &shown);
    let out = dir.path().join("v.npy");
    let report = json(["embed", "--model", m, "--out", s(&out), "--json", s(&media)]);
    assert_eq!(report["modalities"], serde_json::json!({ "audio": 8, "video": 1 }), "{report}");
    let bytes = fs::read(&out).unwrap();
    let row = tiny::DIM * 4;
    let floats =
        |row: &[u8]| -> Vec<f32> { row.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect() };
    let mut rows: Vec<Vec<f32>> = bytes[bytes.len() - 9 * row..].chunks(row).map(floats).collect();
    rows.remove(7);
    let apart = |a: &[f32]| a.iter().zip(&rows[0]).fold(0f32, |most, (x, y)| most.max((x - y).abs()));
    assert!(rows.iter().all(|r| apart(r) < 1e-5), "the same samples have the same vector");
    let report = json(["embed", "--model", m, "--out", s(&out), "--json", s(&theora)]);
    assert_eq!(report["modalities"], serde_json::json!({ "video": 1 }), "{report}");
    // Found, and searched with.
    let index = dir.path().join("index");
    succeeds(["index", "build", "--model", m, "--out", s(&index), s(&media)]);
    for other in &others {
        let hits = json(["search", "--index", s(&index), "--audio", s(other), "--json", "--top", "1"]);
        assert!(hits.to_string().contains("media"), "{hits}");
    }
    // A manifest's, checked and heard.
    let manifest = dir.path().join("m.jsonl");
    let line =
        |n: usize, path: &Path| format!("{{\"id\": \"{n}\", \"text\": \"x\", \"audio\": {:?}}}\n", s(path));
    fs::write(&manifest, others.iter().enumerate().map(|(n, p)| line(n, p)).collect::<String>()).unwrap();
    succeeds(["data", "check", s(&manifest)]);
    let report = json([
        "embed",
        "--model",
        m,
        "--out",
        s(&out),
        "--json",
        "--modality",
        "audio",
        "--manifest",
        s(&manifest),
    ]);
    assert_eq!(report["count"], others.len());
}

#[test]
fn without_ffmpeg_the_message_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (_, others) = alike(dir.path());
    let empty = dir.path().join("nothing");
    fs::create_dir(&empty).unwrap();
    let mut command = unisono([
        "transcribe",
        "--model",
        &speech_model(),
        "--no-fallback",
        "--max-length",
        "8",
        s(&others[0]),
    ]);
    command.env("PATH", &empty).env("UNISONO_CACHE", &empty).env_remove("UNISONO_FFMPEG");
    let (code, _, stderr) = outcome(&mut command);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("a.m4a: found an audio file or video in MP4 (AAC, ALAC or another), which FFmpeg has to read, and there is none: `cargo xtask setup` fetches it"),
        "{stderr}"
    );
}

#[test]
fn speech_is_told_on_the_clock_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("plain.wav");
    tiny::audio(&wav, 1);
    let image = [
        "-f",
        "lavfi",
        "-i",
        "color=size=32x32:duration=4",
        "-itsoffset",
        "1",
        "-i",
        s(&wav),
        "-c:v",
        "mpeg4",
        "-c:a",
        "pcm_s16le",
    ];
    let late = made(dir.path(), "late.mkv", &image);
    let mka = made(dir.path(), "late.mka", &["-i", s(&wav), "-output_ts_offset", "1", "-c:a", "pcm_s16le"]);
    let model = speech_model();
    let said = |file: &Path, more: &[&str]| {
        let mut args = vec!["transcribe", "--model", &model, "--json", "--no-fallback", "--max-length", "24"];
        args.extend(more);
        args.push(s(file));
        json(args)["files"][0].clone()
    };
    let plain = said(&wav, &[]);
    let times = |value: &serde_json::Value| -> Vec<(f64, f64)> {
        let of = |s: &serde_json::Value, key: &str| s[key].as_f64().unwrap();
        value["segments"].as_array().unwrap().iter().map(|s| (of(s, "start"), of(s, "end"))).collect()
    };
    // No segment ends after the audio.
    let reader = hound::WavReader::open(&wav).unwrap();
    let seconds = f64::from(reader.duration()) / f64::from(reader.spec().sample_rate);
    assert!(times(&plain).iter().all(|(start, end)| start <= end && *end <= seconds), "{plain}");
    for file in [&late, &mka] {
        let found = said(file, &["--audio-track", "1"]);
        assert_eq!(found["text"], plain["text"]);
        for ((a, b), (c, d)) in times(&plain).into_iter().zip(times(&found)) {
            assert!((c - a - 1.0).abs() < 2e-3 && (d - b - 1.0).abs() < 2e-3, "{plain} {found}");
        }
    }
    let e = fails(["transcribe", "--model", &model, "--audio-track", "2", s(&late)]);
    assert!(e.contains("expected audio track 2, found 1: 1 (pcm_s16le, mono"), "{e}");
}
