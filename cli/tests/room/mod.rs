//! A folder with one of everything that a command takes: tiny models, images, audio files, a film, a manifest, an index.
#![allow(dead_code, clippy::unwrap_used)]

use crate::support::{outcome, s, unisono};
use crate::tiny;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use unisono_encoders::Modality;
use unisono_media::video::Ffmpeg;

/// A fixture of the repository.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name).canonicalize().unwrap()
}

/// Fills `dir`:
///
/// | | |
/// |---|---|
/// | `model/`, `model2/` | three towers each, other weights |
/// | `sees/` | no audio tower |
/// | `captions/`, `matches/`, `answers/`, `speech/` | small checkpoints of BLIP and Whisper |
/// | `pairs/` | a small model that compares texts |
/// | `photos/`, `talks/`, `mixed/` | images; audio files; both, with a broken image and a text file |
/// | `media/manifest.jsonl` | pairs of them, splits `train` and `test` |
/// | `clip.mp4`, `videos/` | two seconds with one cut and a tone |
/// | `labels.txt`, `templates.txt` | for `classify` |
/// | `IDX/` | an index of the manifest and of `clip.mp4` |
pub fn fill(dir: &Path) {
    tiny::model(7, &tiny::TOWERS).save(&dir.join("model")).unwrap();
    tiny::model(8, &tiny::TOWERS).save(&dir.join("model2")).unwrap();
    tiny::model(7, &[Modality::Text, Modality::Image]).save(&dir.join("sees")).unwrap();
    for (name, from) in [("captions", "blip-caption"), ("matches", "blip-match"), ("answers", "blip-answer")]
    {
        link(&fixture(&format!("fusion/{from}")), &dir.join(name));
    }
    link(&fixture("pairs/bert"), &dir.join("pairs"));
    speech(&dir.join("speech"));
    for folder in ["photos", "talks", "mixed", "media", "videos"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    for n in 0..3 {
        tiny::image(&dir.join(format!("photos/p{n}.png")), 40 * n);
    }
    tiny::image(&dir.join("image.png"), 9);
    tiny::image(&dir.join("mixed/a.png"), 77);
    fs::write(dir.join("mixed/broken.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    fs::write(dir.join("mixed/note.txt"), "a note").unwrap();
    for (name, n) in [("talks/s0.wav", 0), ("talks/s1.wav", 3), ("mixed/z.wav", 5), ("audio.wav", 7)] {
        tiny::audio(&dir.join(name), n);
    }
    tiny::collection(&dir.join("media"), 4);
    film(&dir.join("clip.mp4"));
    fs::copy(dir.join("clip.mp4"), dir.join("videos/film.mp4")).unwrap();
    let records: String = (0..2)
        .map(|n| {
            format!("{{\"id\": \"f{n}\", \"text\": \"film {n}\", \"split\": \"test\", \"video\": \"clip.mp4\", \"start\": {n}, \"end\": {}}}\n", n + 1)
        })
        .collect();
    fs::write(dir.join("films.jsonl"), records).unwrap();
    fs::write(dir.join("labels.txt"), "red\nblue bus\nun chat\n").unwrap();
    fs::write(dir.join("labels2.txt"), "cat\ndog\n").unwrap();
    fs::write(dir.join("templates.txt"), "a drawing of {}\n{}, in a book\n").unwrap();
    let args = [
        "index",
        "build",
        "--model",
        "model",
        "--out",
        "IDX",
        "--manifest",
        "media/manifest.jsonl",
        "clip.mp4",
    ];
    let (code, _, stderr) = outcome(unisono(args).current_dir(dir));
    assert_eq!(code, 0, "{stderr}");
}

/// A copy of a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        match from.is_dir() {
            true => copy(&from, &to),
            false => assert!(fs::copy(&from, &to).is_ok()),
        }
    }
}

/// Whisper's checkpoint, told to write little: its weights are random, and such a model never ends by itself.
fn speech(to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(fixture("fusion/whisper-speech")).unwrap() {
        let from = entry.unwrap().path();
        link(&from, &to.join(from.file_name().unwrap()));
    }
    let config = to.join("generation_config.json");
    let mut value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    value["max_length"] = 12.into();
    fs::remove_file(&config).unwrap();
    fs::write(&config, value.to_string()).unwrap();
}

/// A second of red, a second of a test image, and a tone.
fn film(path: &Path) {
    // Where it is missing, `cargo xtask setup` fetches one.
    let ffmpeg = Ffmpeg::find(None).unwrap();
    let image = "color=red:s=96x64:r=10:d=1[a];testsrc=s=96x64:r=10:d=1[b];[a][b]concat=n=2,format=yuv420p";
    let tone = "sine=frequency=300:sample_rate=16000:duration=2";
    let output = Command::new(ffmpeg.program())
        .args([
            "-loglevel",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            image,
            "-f",
            "lavfi",
            "-i",
            tone,
            "-crf",
            "12",
        ])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A link, so that nothing is copied.
pub fn link(from: &Path, to: &Path) {
    std::os::unix::fs::symlink(from, to).unwrap();
}

/// Puts the files of a model's folder into the cache that Python's tools share, under a hub id.
pub fn cache(home: &Path, id: &str, model: &Path) {
    let repo = home.join("hub").join(format!("models--{}", id.replace('/', "--")));
    let snapshot = repo.join("snapshots/0123456789abcdef");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::write(repo.join("refs/main"), "0123456789abcdef").unwrap();
    for entry in fs::read_dir(model).unwrap() {
        let from = entry.unwrap().path().canonicalize().unwrap();
        link(&from, &snapshot.join(from.file_name().unwrap()));
    }
}

/// All files below a folder with their bytes, by their path in it; links are passed over, since they are the room's own.
pub fn written(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_file() {
                found.push((s(path.strip_prefix(dir).unwrap()).to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
