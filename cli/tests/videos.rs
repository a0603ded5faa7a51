//! Videos through the built command: vectors, an index, recalls on MSR-VTT's own files.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::{json, outcome, s, succeeds, unisono};

fn video(path: &Path, plane: &str) {
    let source = format!("nullsrc=s=64x48:r=10,geq={plane},format=yuv420p");
    let program = unisono_media::video::Ffmpeg::find(None).unwrap();
    let words = ["-loglevel", "error", "-y", "-f", "lavfi", "-i", &source, "-frames:v", "12", "-crf", "10"];
    assert!(Command::new(program.program()).args(words).arg(path).status().unwrap().success());
}

#[test]
fn videos_are_embedded_found_and_measured() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let model = tiny::model_dir(dir.path());
    fs::create_dir(at("videos")).unwrap();
    video(&at("videos/video1.mp4"), "lum='16+N*15':cb=128:cr=128");
    video(&at("videos/video2.mkv"), "lum='if(lt(mod(X+4*N,16),8),40,200)':cb=60:cr=200");
    let csv = at("MSRVTT_JSFUSION_test.csv");
    fs::write(
        &csv,
        "key,vid_key,video_id,sentence\nret0,msr1,video1,it grows light\nret1,msr2,video2,\"stripes, running\"\nret2,msr3,video3,gone\n",
    )
    .unwrap();

    let out = at("v.npy");
    let made = json(["embed", "--model", s(&model), "--out", s(&out), "--json", s(&at("videos"))]);
    assert_eq!((&made["count"], &made["modalities"]["video"]), (&2.into(), &2.into()), "{made}");

    let index = at("idx");
    let built =
        json(["index", "build", "--model", s(&model), "--out", s(&index), "--data", s(&csv), "--json"]);
    assert_eq!(built["header"]["modalities"], serde_json::json!({"text": 3, "video": 2}), "{built}");
    assert!(built["skipped"][0]["reason"].as_str().unwrap().contains("video3.mp4"), "{built}");
    let hits = json(["search", "--index", s(&index), "--video", s(&at("videos/video2.mkv")), "--json"]);
    assert_eq!(
        (&hits["hits"][0]["id"], &hits["query"]["modality"]),
        (&"ret1".into(), &"video".into()),
        "{hits}"
    );
    let only = json(["search", "--index", s(&index), "stripes", "--modality", "video", "--json"]);
    assert_eq!(only["hits"].as_array().unwrap().len(), 2);

    let rows = json(["eval", "retrieval", "--model", s(&model), "--data", s(&csv), "--json"]);
    let rows = rows.as_array().unwrap();
    let pairs: Vec<(&str, &str)> = rows
        .iter()
        .map(|r| (r["protocol"]["from"].as_str().unwrap(), r["protocol"]["to"].as_str().unwrap()))
        .collect();
    assert_eq!(pairs, [("text", "video"), ("video", "text")]);
    for row in rows {
        let m = &row["metrics"];
        assert_eq!((&row["skipped"], &m["queries"]), (&1.into(), &2.into()), "{row}");
        for key in ["r1", "r5", "r10", "median_rank"] {
            assert!(m.get(key).is_some(), "{key}: {row}");
        }
    }
    let table = succeeds([
        "eval",
        "retrieval",
        "--model",
        s(&model),
        "--data",
        s(&csv),
        "--from",
        "text",
        "--to",
        "video",
    ]);
    assert!(table.contains("R@1") && table.contains("text"), "{table}");

    let (code, _, none) = outcome(&mut unisono([
        "search",
        "--index",
        s(&index),
        "--video",
        s(&at("videos/video2.mkv")),
        "--ffmpeg",
        "/nonexistent",
    ]));
    assert_eq!(code, 3, "{none}");
    assert!(none.contains("/nonexistent") && none.contains("--ffmpeg"), "{none}");
    // Nor is there a vector of films alone.
    let (out, film) = (at("none.npy"), at("videos/video2.mkv"));
    let words = ["embed", "--model", s(&model), "--out", s(&out), s(&film), "--ffmpeg", "/nonexistent"];
    let (code, _, none) = outcome(&mut unisono(words));
    assert!(code == 3 && none.contains("/nonexistent") && !out.exists(), "{code} {none}");
}
