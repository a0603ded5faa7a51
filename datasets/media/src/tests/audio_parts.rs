//! Parts of audio files: sample by sample those of the whole.

use super::roads::made;
use super::shapes::{Shape, some_ffmpeg};
use super::*;
use std::ops::Range;

const FLAC: &[u8] = include_bytes!("../../fixtures/tone.flac");

fn bits(samples: &[f32]) -> Vec<u32> {
    samples.iter().map(|s| s.to_bits()).collect()
}

fn part(blob: &Blob, range: Range<u64>) -> Result<Excerpt> {
    excerpt(blob, &Limits::default(), None, Wanted::Range(&|_| range.clone()))
}

/// Places all over a file of so many samples, its ends among them.
fn ranges(samples: u64) -> Vec<Range<u64>> {
    let mut found = vec![0..samples, 0..0, 0..1, samples - 1..samples, samples..samples, 0..samples + 9];
    for k in 0..24 {
        let start = k * 7919 % samples;
        found.push(start..start + [1, 5, 576, 1152, 4096, 16_000][k as usize % 6]);
    }
    found
}

/// Holds parts of a blob against the whole.
fn holds(blob: &Blob, name: &str) {
    let whole = audio(blob, &Limits::default()).unwrap();
    let samples = whole.samples.len() as u64;
    let extent = Extent { samples, sample_rate: whole.sample_rate };
    for range in ranges(samples) {
        let found = part(blob, range.clone()).unwrap();
        let (start, end) = (range.start.min(samples), range.end.min(samples));
        assert_eq!((found.start, found.extent), (start, extent), "{name} {range:?}");
        let expected = &whole.samples[start as usize..end as usize];
        assert!(bits(&found.audio.samples) == bits(expected), "{name} {range:?}");
    }
    for count in [1, samples / 3, samples, samples + 1] {
        let found =
            excerpt(blob, &Limits::default(), None, Wanted::First(&|rate| count * u64::from(rate > 0)))
                .unwrap();
        let expected = &whole.samples[..count.min(samples) as usize];
        assert!(bits(&found.audio.samples) == bits(expected) && found.extent == extent, "{name} {count}");
    }
}

#[test]
fn parts_of_every_shape_are_those_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    for shape in Shape::all().iter().filter(|shape| shape.by == "kept") {
        let path = dir.path().join("sound");
        std::fs::write(&path, shape.file()).unwrap();
        let blob = Blob::file(&path);
        if audio(&blob, &Limits::default()).is_ok() {
            holds(&blob, &shape.name);
        }
    }
    let tones: [(&str, &[u8]); 3] = [
        ("flac", FLAC),
        ("ogg", include_bytes!("../../fixtures/tone.ogg")),
        ("mp3", include_bytes!("../../fixtures/tone.mp3")),
    ];
    for (name, bytes) in tones {
        for blob in crate::forms::forms(dir.path(), name, bytes) {
            holds(&blob, name);
        }
        // Files that were joined, tags before and a frame that is broken: by whichever way, the same samples.
        let tagged = [b"ID3\x04\0\0\0\0\0\x05xxxxx", bytes, bytes].concat();
        holds(&Blob::bytes(name, tagged), name);
        let mut broken = bytes.repeat(4);
        let middle = bytes.len() / 2;
        broken[middle..middle + 4].fill(0x55);
        if audio(Blob::bytes(name, broken.clone()), &Limits::default()).is_ok() {
            holds(&Blob::bytes(name, broken), name);
        }
    }
}

/// Eight seconds that are nowhere alike, in each kind of file that is read by parts.
#[test]
fn long_files_are_decoded_where_they_are_wanted_and_nowhere_else() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    let noise = "anoisesrc=d=8:c=pink:r=44100:a=0.3:seed=7[a];sine=f=300:r=44100:d=8,tremolo=f=0.3[b];\
                 [a][b]amerge=inputs=2";
    let files: [(&str, &[&str]); 12] = [
        ("a.mp3", &["-c:a", "libmp3lame", "-b:a", "128k"]),
        ("b.mp3", &["-c:a", "libmp3lame", "-q:a", "6"]),
        ("c.mp3", &["-c:a", "libmp3lame", "-b:a", "32k", "-ar", "22050", "-ac", "1"]),
        ("d.mp3", &["-c:a", "libmp3lame", "-b:a", "8k", "-ar", "8000", "-ac", "1"]),
        ("e.mp3", &["-c:a", "libmp3lame", "-b:a", "320k", "-write_xing", "0"]),
        ("a.mp2", &["-c:a", "mp2"]),
        ("a.ogg", &["-c:a", "libvorbis"]),
        ("b.ogg", &["-c:a", "libvorbis", "-q:a", "0", "-ac", "1", "-ar", "16000"]),
        ("a.oga", &["-c:a", "flac"]),
        ("a.flac", &["-c:a", "flac"]),
        ("b.flac", &["-c:a", "flac", "-frame_size", "960", "-ac", "1"]),
        ("a.wav", &["-c:a", "pcm_s24le"]),
    ];
    for (name, words) in files {
        let path = dir.path().join(name);
        let run = std::process::Command::new(ffmpeg.program())
            .args(["-v", "error", "-nostdin", "-y", "-filter_complex", noise])
            .args(words)
            .arg(&path)
            .status();
        if !run.unwrap().success() {
            eprintln!("not made by this FFmpeg: {name}");
            continue;
        }
        let blob = Blob::file(&path);
        holds(&blob, name);
        // It is not by the whole that its parts are what they are.
        let (limits, wanted) = (Limits::default(), Wanted::Range(&|_| 50_000..50_100));
        let bytes = std::fs::read(&path).unwrap();
        let found = match name.rsplit('.').next().unwrap() {
            "mp3" | "mp2" => {
                let parts = mpeg::parts(
                    &bytes,
                    mpeg::first(&bytes[mpeg::tags(&bytes)..]).unwrap() + mpeg::tags(&bytes),
                );
                assert_eq!(parts.len(), 1, "{name}");
                window::part(&path, &parts[0].bytes, Container::Mpeg { broken: 0 }, &limits, &wanted)
            }
            "ogg" | "oga" => window::part(&path, &bytes, Container::Ogg, &limits, &wanted),
            "flac" => flac::part(&path, blob.open().unwrap(), &limits, &wanted),
            _ => wave_part::part(&path, &mut blob.open().unwrap(), &limits, &wanted),
        };
        assert!(found.unwrap().is_some(), "{name}");
        // What is cut off is refused, wherever the part is that is wanted.
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let summary = !name.starts_with('e') && name != "a.mp2";
        for range in [0..100, 1_000_000..1_000_100] {
            assert!(part(&blob, range).is_err() == summary, "{name}");
        }
    }
}

#[test]
fn limits_and_broken_samples_are_met_where_they_are() {
    let mut samples = vec![0.25f32; 20_000];
    samples[15_000] = f32::NAN;
    let blob = Blob::bytes("sound.png", floats(&samples));
    assert_eq!(part(&blob, 0..15_000).unwrap().audio.samples.len(), 15_000);
    let said = part(&blob, 14_000..16_000).unwrap_err().to_string();
    assert!(said.ends_with("found NaN at sample 15000"), "{said}");
    let limits = Limits { max_seconds: 1.0, ..Limits::default() };
    let wanted = || Wanted::Range(&|_| 0..10);
    let long = excerpt(&blob, &limits, None, wanted()).unwrap_err();
    assert!(matches!(long, Error::Limit { option: "max_seconds", .. }), "{long}");
    let limits = Limits { max_file_bytes: 1000, ..Limits::default() };
    let large = excerpt(&blob, &limits, None, wanted()).unwrap_err();
    assert!(matches!(large, Error::Limit { option: "max_file_bytes", .. }), "{large}");
    let limits = Limits { max_seconds: 0.1, ..Limits::default() };
    let long = excerpt(Blob::bytes("a.flac", FLAC), &limits, None, wanted()).unwrap_err();
    assert!(matches!(long, Error::Limit { option: "max_seconds", .. }), "{long}");
    assert!(part(&Blob::bytes("a.wav", integers(1, 16, &[])), 0..1).is_err());
    assert!(is_kept(&blob).unwrap() && is_kept(Blob::bytes("a", FLAC)).unwrap());
    assert!(!is_kept(Blob::bytes("a", b"FORM\0\0\0\0AIFF".as_slice())).unwrap());
}

/// What FFmpeg reads is decoded from its start on, and no further than it is wanted.
#[test]
fn beginnings_of_what_ffmpeg_reads_are_those_of_the_whole() {
    let Some(ffmpeg) = some_ffmpeg() else { return };
    let dir = tempfile::tempdir().unwrap();
    for (name, words) in [("a.aiff", &[][..]), ("a.opus", &["-c:a", "libopus"]), ("a.wma", &[])] {
        let Some(path) = made(&ffmpeg, dir.path(), name, words) else { continue };
        let (limits, blob) = (Limits::default(), Blob::file(&path));
        assert!(!is_kept(&blob).unwrap(), "{name}");
        let whole = audio(&path, &limits).unwrap();
        let samples = whole.samples.len() as u64;
        for count in [1, 5000, samples - 1, samples, samples + 1000] {
            let found = excerpt(&blob, &limits, None, Wanted::First(&|_| count)).unwrap();
            let expected = &whole.samples[..count.min(samples) as usize];
            assert!(bits(&found.audio.samples) == bits(expected), "{name} {count}");
            let off = found.extent.samples.abs_diff(samples);
            assert!(off * 20 < samples && (count <= samples || off == 0), "{name} {count}: off by {off}");
        }
        let found = part(&blob, 7000..9000).unwrap();
        assert_eq!(bits(&found.audio.samples), bits(&whole.samples[7000..9000]), "{name}");
        assert_eq!(found.extent.samples, samples, "{name}");
    }
}
