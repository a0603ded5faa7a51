#![allow(clippy::unwrap_used, missing_docs)]

use super::{Ffmpeg, Span, Time, Video, VideoLimits};
use std::path::{Path, PathBuf};
use std::process::Command;

fn ffmpeg() -> Ffmpeg {
    Ffmpeg::find(None).unwrap()
}

fn limits() -> VideoLimits {
    VideoLimits::default()
}

const FRAMES: &str = "testsrc2=s=64x48:r=25:d=16";
/// Tones that move and a little noise: no two stretches are alike.
const TONES: &str =
    "aevalsrc=exprs='0.4*sin(2*PI*(200+40*t)*t)+0.02*random(0)|0.3*sin(2*PI*(900-30*t)*t)':s=44100:d=16";

fn make(dir: &Path, name: &str, words: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let mut command = Command::new(ffmpeg().program());
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"]);
    command.args(["-f", "lavfi", "-i", FRAMES, "-f", "lavfi", "-i", TONES]);
    let output =
        command.args(["-g", "25", "-bf", "2", "-strict", "-2"]).args(words).arg(&path).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

fn at(text: &str) -> Option<Time> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

/// Parts of a film: on its frames, between them and its samples, beyond its end.
fn parts() -> Vec<Span> {
    let sides = [
        ("6", "7"),
        ("8.04", "8.05"),
        ("9.123457", "12.3"),
        ("100001/10000", "11"),
        ("13.5", ""),
        ("7", "40"),
        ("15.9", "16.1"),
    ];
    sides.into_iter().map(|(start, end)| Span { start: at(start), end: at(end) }).collect()
}

/// As it was before any seek: the filters of FFmpeg cut what is decoded from the start.
fn from_the_start(video: &Video, span: &Span) -> Vec<f32> {
    let second =
        |t: Option<Time>, name: &str| t.map_or_else(String::new, |t| format!(":{name}={:.6}", t.seconds()));
    let trim =
        format!("atrim{}{}", second(span.start, "start"), second(span.end, "end")).replacen(':', "=", 1);
    let rate = video.sample_rate.unwrap().to_string();
    let mut command = Command::new(ffmpeg().program());
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-i"]).arg(video.blob.name());
    command.args(["-map", "0:a:0", "-copyts", "-af", &trim, "-ac", "1", "-ar", &rate]);
    let output = command.args(["-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"]).output().unwrap();
    let samples = output.stdout.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b).clamp(-1.0, 1.0));
    samples.collect()
}

/// How many of the parts were found behind a seek; each is, bit for bit, what decoding from the start gives.
fn sought(path: &Path) -> usize {
    let name = path.display();
    let video = ffmpeg().probe(path, &limits()).unwrap();
    let parts: Vec<(Span, Vec<f32>)> =
        parts().into_iter().map(|span| (span, from_the_start(&video, &span))).collect();
    // By the third of these more was decoded than the film is long.
    for (span, expected) in &parts[..3] {
        let audio = ffmpeg().audio_if_any(&video, span, &limits()).unwrap();
        assert!(audio.map_or_else(Vec::new, |audio| audio.samples) == *expected, "{name}: {span}");
    }
    let mut found = 0;
    for (span, expected) in &parts {
        if let Some(samples) = ffmpeg().sought(&video, span, &limits()).unwrap() {
            found += 1;
            assert!(samples == *expected, "{name}: {span} behind a seek");
        }
    }
    found
}

const X264: [&str; 4] = ["-c:v", "libx264", "-pix_fmt", "yuv420p"];

#[test]
fn audio_behind_a_seek_is_that_of_the_whole_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    for (name, codec) in [
        ("aac.mp4", &["aac", "-aac_pns", "0"][..]),
        ("aac.mkv", &["aac", "-aac_pns", "0"]),
        ("aac.ts", &["aac", "-aac_pns", "0"]),
        ("mp3.mp4", &["libmp3lame", "-b:a", "64k"]),
        ("mp3.mkv", &["libmp3lame", "-b:a", "64k"]),
        ("mp3.avi", &["libmp3lame", "-b:a", "64k"]),
        ("opus.mkv", &["libopus"]),
        ("opus.mp4", &["libopus"]),
        ("vorbis.mkv", &["libvorbis"]),
        ("flac.mkv", &["flac"]),
        ("flac.mp4", &["flac"]),
        ("alac.mov", &["alac"]),
        ("pcm.mov", &["pcm_s16le"]),
        ("pcm.mkv", &["pcm_s24le"]),
        ("pcm.avi", &["pcm_s16le"]),
        ("late.mkv", &["aac", "-aac_pns", "0", "-output_ts_offset", "2"]),
    ] {
        let path = make(dir.path(), name, &[&X264[..], &["-c:a"], codec].concat());
        assert_eq!(sought(&path), parts().len(), "{name}");
    }
}

#[test]
fn where_decoders_draw_or_times_break_decoding_begins_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    // AC-3 fills what was left out with noise, drawn on from frame to frame.
    let drawn = make(dir.path(), "ac3.mkv", &[&X264[..], &["-c:a", "ac3", "-b:a", "64k"]].concat());
    assert_eq!(sought(&drawn), 0);
    // Two recordings one after the other, each with its own clock: times run on where the second begins.
    let whole = make(dir.path(), "whole.ts", &[&X264[..], &["-c:a", "mp2"]].concat());
    let bytes = std::fs::read(&whole).unwrap();
    let twice = dir.path().join("twice.ts");
    std::fs::write(&twice, [&bytes[..], &bytes[..]].concat()).unwrap();
    let video = ffmpeg().probe(&twice, &limits()).unwrap();
    let part = Span { start: at("24"), end: at("25") };
    let mut found = (0..4).map(|_| ffmpeg().audio_if_any(&video, &part, &limits()).unwrap().unwrap());
    let first = found.next().unwrap();
    assert_eq!(first.samples.len(), 44_100);
    assert!(found.all(|other| other == first));
}

#[test]
fn frames_and_audio_of_one_decoding_are_those_of_two() {
    let dir = tempfile::tempdir().unwrap();
    for (name, words) in [
        ("a.mp4", &["-c:a", "aac", "-aac_pns", "0"][..]),
        ("o.mkv", &["-c:a", "libopus"]),
        // Drawn, without an index, without audio, and with audio that ends before the frames do.
        ("d.mkv", &["-c:a", "ac3"]),
        ("t.ts", &["-c:a", "mp2"]),
        ("s.mp4", &["-an"]),
        ("e.mp4", &["-c:a", "aac", "-af", "atrim=end=9"]),
    ] {
        let path = make(dir.path(), name, &[&X264[..], words].concat());
        let video = ffmpeg().probe(&path, &limits()).unwrap();
        for span in [parts(), vec![Span::WHOLE], parts()].concat() {
            let frames = ffmpeg().sample_span(&video, &span, 3, &limits());
            let both = ffmpeg().clip(&video, &span, 3, &limits());
            let (Ok(frames), Ok((found, audio))) = (&frames, &both) else {
                assert_eq!(frames.unwrap_err().to_string(), both.unwrap_err().to_string());
                continue;
            };
            assert!(*found == *frames, "{name}: {span}");
            let expected = match video.sample_rate {
                None => Vec::new(),
                Some(_) => from_the_start(&video, &span),
            };
            let audio = audio.as_ref().map_or(&[][..], |audio| &audio.samples);
            assert!(audio == expected, "{name}: {span}: {} and {}", audio.len(), expected.len());
        }
    }
}

/// A program before the program, that writes its runs down.
fn counted(dir: &Path) -> (Ffmpeg, impl Fn() -> Vec<String>) {
    let list = dir.join("runs");
    let program = ffmpeg().program().display().to_string();
    let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\nexec '{program}' \"$@\"\n", list.display());
    let counted = dir.join("counted");
    std::fs::write(&counted, script).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&counted, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let runs = move || {
        let runs = std::fs::read_to_string(&list).unwrap_or_default();
        runs.lines().map(str::to_owned).collect()
    };
    (Ffmpeg::find(Some(&counted)).unwrap(), runs)
}

#[test]
fn a_film_is_decoded_from_its_start_until_it_is_known_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (ffmpeg, runs) = counted(dir.path());
    let path = make(dir.path(), "film.mp4", &[&X264[..], &["-c:a", "aac", "-aac_pns", "0"]].concat());
    // Runs from the start on, and those that seek: one for a clip, or, where FFmpeg tears the lines of its log, two more.
    let clip = |start: &str, end: &str| {
        let video = ffmpeg.probe(&path, &limits()).unwrap();
        let span = Span { start: at(start), end: at(end) };
        let (frames, audio) = ffmpeg.clip(&video, &span, 2, &limits()).unwrap();
        assert_eq!((frames.len(), audio.unwrap().samples.len()), (2, 44_100));
        let (sought, whole): (Vec<_>, Vec<_>) = runs().into_iter().partition(|run| run.contains(" -ss "));
        (whole.len(), sought.len())
    };
    // The headers, the packets, and the audio from the start.
    assert_eq!(clip("9", "10"), (3, 1));
    // All audio, to know it again.
    assert_eq!(clip("10", "11").0, 4);
    for (start, end) in [("12", "13"), ("8", "9"), ("13.37", "14.37"), ("4", "5")] {
        assert_eq!(clip(start, end).0, 4);
    }
    let sought = runs().len() - 4;
    assert!((6..12).contains(&sought), "{sought} runs for six clips");
}

#[test]
fn who_meets_a_film_that_another_looks_at_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (ffmpeg, runs) = counted(dir.path());
    let path = make(dir.path(), "film.mkv", &[&X264[..], &["-c:a", "flac"]].concat());
    let all = std::sync::Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                all.wait();
                let video = ffmpeg.probe(&path, &limits()).unwrap();
                ffmpeg.index(&video, &limits()).unwrap().unwrap();
                ffmpeg.audio_start(&video, &limits()).unwrap().unwrap();
            });
        }
    });
    assert_eq!(runs().len(), 3, "headers, packets, and the first of the audio");
}
