//! Videos of `fixtures/scenes`, and what a job writes about them.
#![allow(dead_code)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").canonicalize().unwrap()
}

pub fn video(name: &str) -> PathBuf {
    fixtures().join("scenes").join(name)
}

pub fn golden(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(video(name)).unwrap()).unwrap()
}

/// Runs the program that decodes: makes a file of others.
pub fn ffmpeg<'a>(words: impl IntoIterator<Item = &'a str>, out: &Path) {
    let program = unisono_media::video::Ffmpeg::find(None).unwrap();
    let mut command = Command::new(program.program());
    command.args(["-loglevel", "error", "-nostdin", "-y"]).args(words).arg(out);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A fixture's image with an audio file's audio, or a tone.
pub fn with_audio(name: &str, audio: Option<&Path>, out: &Path) {
    let image = video(name);
    let image = image.to_str().unwrap();
    let tone = ["-f", "lavfi", "-i", "sine=frequency=500:sample_rate=16000:duration=6"];
    let file = ["-i", audio.map_or("", |s| s.to_str().unwrap())];
    let audio = if file[1].is_empty() { &tone[..] } else { &file[..] };
    let words = [&["-i", image], audio, &["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "pcm_s16le"]];
    ffmpeg(words.concat(), out);
}

/// Every file below `dir` by its name, with its bytes; the moment at which an index was built is taken out. What a killed run left under
/// a temporary name is none of it.
pub fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.file_name().unwrap().to_str().unwrap().starts_with(".unisono-") {
                continue;
            }
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if name.ends_with("index.json") {
                let mut header: Value = serde_json::from_slice(&bytes).unwrap();
                assert!(header["built"]["at"].take().is_string());
                bytes = header.to_string().into_bytes();
            }
            found.insert(name, bytes);
        }
    }
    found
}

/// Two folders hold the same files.
pub fn same(a: &Path, b: &Path) {
    let (one, two) = (tree(a), tree(b));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (name, bytes) in one {
        assert!(two[&name] == bytes, "{name} differs in {} and {}", a.display(), b.display());
    }
}

/// Names in a folder but those of temporary ones.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|n| !n.starts_with(".unisono-"));
    names.sort();
    names
}

/// Three shots of a second, 25 frames each: `words` are options of what is made.
pub fn recording(dir: &Path, name: &str, size: &str, words: &[&str]) -> PathBuf {
    let sources = ["testsrc2", "smptehdbars", "mandelbrot"].map(|s| format!("{s}=r=25:s={size}"));
    let mut all = Vec::new();
    for source in &sources {
        all.extend(["-f", "lavfi", "-t", "1", "-i", source]);
    }
    all.extend([
        "-filter_complex",
        "[0:v][1:v][2:v]concat=n=3:v=1,format=yuv420p[v]",
        "-map",
        "[v]",
        "-pix_fmt",
        "yuv420p",
    ]);
    all.extend(words);
    let path = dir.join(name);
    ffmpeg(all, &path);
    path
}

/// One file after another, as `cat` joins them.
pub fn joined(path: &Path, parts: &[&Path]) {
    let bytes: Vec<u8> = parts.iter().flat_map(|part| std::fs::read(part).unwrap()).collect();
    std::fs::write(path, bytes).unwrap();
}
