//! The tables of `docs/audio.md`: what they say is tried.

use super::roads::made;
use super::shapes::{Shape, old, some_ffmpeg};
use super::*;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is written, the file's name, and FFmpeg's words for it.
const ROWS: [(&str, &str, &[&str]); 34] = [
    ("WAV, 16 bits", "a.wav", &[]),
    ("WAV, 24 bits", "b.wav", &["-c:a", "pcm_s24le"]),
    ("WAV, floats", "c.wav", &["-c:a", "pcm_f32le"]),
    ("WAV, RF64", "d.wav", &["-rf64", "always"]),
    ("WAV, A-law", "e.wav", &["-c:a", "pcm_alaw"]),
    ("WAV, IMA ADPCM", "f.wav", &["-c:a", "adpcm_ima_wav"]),
    ("WAV, Microsoft ADPCM", "g.wav", &["-c:a", "adpcm_ms"]),
    ("Wave64", "a.w64", &[]),
    ("FLAC", "a.flac", &["-c:a", "flac"]),
    ("FLAC in OGG", "flac.oga", &["-c:a", "flac"]),
    ("OGG Vorbis", "a.ogg", &["-c:a", "libvorbis"]),
    ("MP3", "a.mp3", &["-c:a", "libmp3lame"]),
    ("MP2", "a.mp2", &["-c:a", "mp2"]),
    ("AAC", "a.aac", &["-c:a", "aac"]),
    ("AAC in MP4", "a.m4a", &["-c:a", "aac"]),
    ("ALAC in MP4", "alac.m4a", &["-c:a", "alac"]),
    ("MP4 without video", "a.mp4", &["-c:a", "aac"]),
    ("3GPP without video", "a.3gp", &["-c:a", "aac"]),
    ("Opus in OGG", "a.opus", &["-c:a", "libopus"]),
    ("Opus in WebM", "a.webm", &["-c:a", "libopus"]),
    ("Matroska, 24 bits", "a.mka", &["-c:a", "pcm_s24le"]),
    ("Speex in OGG", "a.spx", &["-c:a", "libspeex"]),
    ("AIFF, 16 bits", "a.aiff", &[]),
    ("AIFF-C, floats", "b.aifc", &["-f", "aiff", "-c:a", "pcm_f32be"]),
    ("CAF, 16 bits", "a.caf", &["-c:a", "pcm_s16le"]),
    ("AU, mu-law", "a.au", &["-c:a", "pcm_mulaw"]),
    ("AU, 16 bits", "b.au", &[]),
    ("Windows Media", "a.wma", &["-c:a", "wmav2"]),
    ("AC-3", "a.ac3", &["-ar", "48000", "-c:a", "ac3"]),
    ("E-AC-3", "a.eac3", &["-ar", "48000", "-c:a", "eac3"]),
    ("DTS", "a.dts", &["-ar", "48000", "-c:a", "dca", "-strict", "-2"]),
    ("AMR", "a.amr", &["-ar", "8000", "-c:a", "libopencore_amrnb"]),
    ("WavPack", "a.wv", &["-c:a", "wavpack"]),
    ("True Audio", "a.tta", &["-c:a", "tta"]),
];

/// How a row is read, and what of the audio is in it.
fn row(
    ffmpeg: &Ffmpeg,
    dir: &Path,
    source: &Audio,
    (what, name, words): (&str, &str, &[&str]),
) -> Option<String> {
    let path = made(ffmpeg, dir, name, words)?;
    let limits = Limits::default();
    let blob = Blob::file(&path);
    let ears = Ears { blob: &blob, limits: &limits, ffmpeg: None, wanted: Wanted::Whole };
    let by = match ears.listen().unwrap() {
        Decoded::Audio(_) => "kept decoder",
        Decoded::Foreign(_) => "FFmpeg",
    };
    let found = audio(&path, &limits).unwrap();
    let (length, expected) = (found.seconds(), source.seconds());
    let got = match length - expected {
        _ if found == *source => "every sample",
        more if more.abs() < 0.001 => "as long",
        more if more > 0.0 => "longer",
        // FFmpeg's decoder leaves out a last, begun block.
        more if more > -0.05 => "shorter",
        more => panic!("{what}: {more} s are missing"),
    };
    // Whatever the codec did to it: it is the tone, and as loud.
    let middle = resample(&found, 16_000).unwrap().samples[8_000..16_000].to_vec();
    let part = |wave: fn(f64) -> f64| {
        let phase = |k: usize| std::f64::consts::TAU * 440.0 * k as f64 / 16_000.0;
        middle.iter().enumerate().map(|(k, s)| f64::from(*s) * wave(phase(k))).sum::<f64>() / 4_000.0
    };
    let loud = part(f64::sin).hypot(part(f64::cos));
    assert!((loud - 0.5).abs() < 0.1, "{what}: {loud}");
    let ending = name.rsplit('.').next().unwrap();
    Some(format!("| {what} | `.{ending}` | {by} | {got} |"))
}

/// Compares the lines between two marks of the page with those that are true, or writes them. Lines that could not be made here stay.
fn page(mark: &str, head: &str, lines: &[(String, Option<String>)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audio.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&format!("<!-- {mark} -->\n")).unwrap();
    let (table, after) = rest.split_once(&format!("<!-- /{mark} -->\n")).unwrap();
    let stays = |start: &String| table.lines().find(|line| line.starts_with(start)).map(str::to_owned);
    let mut now = format!("\n{head}\n");
    for (start, line) in lines {
        if let Some(line) = line.clone().or_else(|| stays(start)) {
            writeln!(now, "{line}").unwrap();
        }
    }
    now.push('\n');
    if std::env::var_os("UNISONO_RENEW").is_some() {
        std::fs::write(&path, format!("{before}<!-- {mark} -->\n{now}<!-- /{mark} -->\n{after}")).unwrap();
    } else {
        assert_eq!(
            table, now,
            "docs/audio.md is no longer true; UNISONO_RENEW=1 cargo test -p unisono-media --lib tables"
        );
    }
}

#[test]
fn both_are_true() {
    let mut counts: BTreeMap<String, [usize; 5]> = BTreeMap::new();
    for shape in Shape::all().iter().filter(|shape| shape.by == "kept") {
        let mut words = shape.name.split(' ');
        let column = match (words.next(), words.next()) {
            (Some("WAV"), Some("little")) => 0,
            (Some("WAV"), Some("big")) => 1,
            (Some("WAVEX"), _) => 2,
            (Some("RF64"), Some("little")) => 3,
            _ => 4,
        };
        let coding = if column < 4 { words.next().unwrap() } else { "odd ones, made by hand" };
        counts.entry(coding.to_owned()).or_default()[column] += 1;
    }
    let lines = counts.iter().map(|(coding, counts)| {
        let cells: Vec<String> =
            counts.iter().map(|n| if *n == 0 { String::new() } else { n.to_string() }).collect();
        let start = format!("| {coding} |");
        (start.clone(), Some(format!("{start} {} |", cells.join(" | "))))
    });
    page(
        "wav",
        "| coding | RIFF | RIFX | extensible | RF64 | other |\n|---|---|---|---|---|---|",
        &lines.collect::<Vec<_>>(),
    );
    let Some(ffmpeg) = some_ffmpeg() else { return };
    if old(&ffmpeg) {
        return eprintln!(
            "skipped: the table is of FFmpeg 6 and later, which end some codecs' audio elsewhere"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let source = audio(made(&ffmpeg, dir.path(), "source.wav", &[]).unwrap(), &Limits::default()).unwrap();
    let lines = ROWS.iter().map(|entry| {
        let line = row(&ffmpeg, dir.path(), &source, *entry);
        if line.is_none() {
            eprintln!("not made by this FFmpeg: {}", entry.0);
        }
        (format!("| {} |", entry.0), line)
    });
    page("audio", "| audio | ending | read by | samples |\n|---|---|---|---|", &lines.collect::<Vec<_>>());
}
