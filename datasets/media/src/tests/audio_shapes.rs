//! Every shape of WAV that libsndfile writes or reads, held against what it reads, bit for bit: `fixtures/audio_shapes.py` made them.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::process::Command;

#[derive(Deserialize)]
pub(super) struct Shape {
    pub(super) name: String,
    channels: usize,
    rate: u32,
    pub(super) by: String,
    file: String,
    samples: String,
}

impl Shape {
    pub(super) fn all() -> Vec<Self> {
        let lines = include_str!("../../../../fixtures/audio/shapes.jsonl").lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(super) fn file(&self) -> Vec<u8> {
        STANDARD.decode(&self.file).unwrap()
    }

    /// Interleaved.
    fn samples(&self) -> Vec<f32> {
        let bytes = STANDARD.decode(&self.samples).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn mixed(&self) -> Vec<f32> {
        let mut mix = Mix::new(self.channels);
        mix.push(&self.samples());
        mix.finish().into_iter().map(|s| s.clamp(-1.0, 1.0)).collect()
    }
}

fn bits(samples: &[f32]) -> Vec<u32> {
    samples.iter().map(|s| s.to_bits()).collect()
}

#[test]
fn wav_is_what_libsndfile_reads() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for shape in Shape::all().iter().filter(|shape| shape.by == "kept") {
        count += 1;
        let file = shape.file();
        let mut found = Vec::new();
        let read = Wave::read(Path::new("a.wav"), &file).and_then(|wave| {
            assert_eq!((wave.channels, wave.rate), (shape.channels, shape.rate), "{}", shape.name);
            let take = &mut |samples: &[f32]| {
                found.extend_from_slice(samples);
                Ok(())
            };
            wave.samples(Path::new("a.wav"), take)
        });
        if let Err(e) = read {
            wrong.push(format!("{}: {e}", shape.name));
        } else if bits(&found) != bits(&shape.samples()) {
            wrong.push(format!("{}: {} samples {:?}", shape.name, found.len(), &found[..found.len().min(6)]));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 300, "{count} shapes");
}

#[test]
fn what_is_mixed_is_their_mean() {
    for shape in Shape::all().iter().filter(|shape| shape.by == "kept" && shape.channels > 1) {
        let audio = decode_bytes(&shape.file(), &Limits::default()).unwrap();
        assert_eq!(
            (bits(&audio.samples), audio.sample_rate),
            (bits(&shape.mixed()), shape.rate),
            "{}",
            shape.name
        );
    }
}

#[test]
fn other_containers_are_what_libsndfile_reads_from_them() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    for shape in Shape::all().iter().filter(|shape| shape.by == "ffmpeg") {
        let path = dir.path().join("sound");
        std::fs::write(&path, shape.file()).unwrap();
        let audio = audio_by(&path, &Limits::default(), Some(&ffmpeg)).unwrap();
        assert_eq!(
            (bits(&audio.samples), audio.sample_rate),
            (bits(&shape.mixed()), shape.rate),
            "{}",
            shape.name
        );
    }
}

/// The program, or a printed reason.
pub(super) fn some_ffmpeg() -> Option<Ffmpeg> {
    Ffmpeg::find(None).inspect_err(|e| eprintln!("skipped: {e}")).ok()
}

/// Whether it is older than FFmpeg 6, which ends some codecs' audio elsewhere.
pub(super) fn old(ffmpeg: &Ffmpeg) -> bool {
    let said = Command::new(ffmpeg.program()).arg("-version").output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said);
    let version = said.split_whitespace().nth(2).unwrap_or_default().trim_start_matches('n');
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 6)
}

#[test]
fn shapes_with_wrong_bytes_never_panic() {
    let limits = Limits { max_seconds: 10.0, ..Limits::default() };
    for shape in Shape::all() {
        let file = shape.file();
        let head = file.len().min(96);
        for at in 0..head {
            for byte in [0, 0x7f, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = byte;
                damaged.truncate(file.len() - at % 7);
                if let Ok(Some(audio)) = kept_audio(Blob::bytes("a.wav", damaged), &limits) {
                    assert!(!audio.samples.is_empty() && audio.seconds() <= 10.0, "{}", shape.name);
                }
            }
        }
    }
}
