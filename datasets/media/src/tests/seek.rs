#![allow(clippy::unwrap_used, missing_docs)]

use super::{Ffmpeg, Frame, FrameOptions, Span, Time, Video, VideoLimits, spread};
use std::path::{Path, PathBuf};
use std::process::Command;

fn ffmpeg() -> Ffmpeg {
    Ffmpeg::find(None).unwrap()
}

fn limits() -> VideoLimits {
    VideoLimits::default()
}

/// 120 frames, no two alike.
const SOURCE: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=4.8,noise=alls=30:allf=t"];

fn make(dir: &Path, name: &str, words: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let mut command = Command::new(ffmpeg().program());
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"]).args(words).arg(&path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

fn all(video: &Video) -> Vec<Frame> {
    let frames = ffmpeg().frames(video, &FrameOptions::default(), &limits()).unwrap();
    frames.map(|frame| frame.unwrap()).collect()
}

/// Parts of a video, each by its own look, are those of the whole; whether decoding began where they do.
fn agrees(path: &Path) -> bool {
    let name = path.display();
    let video = ffmpeg().probe(path, &limits()).unwrap();
    let whole = all(&video);
    let times: Vec<Time> = whole.iter().map(|frame| frame.time).collect();
    let mut sought = false;
    for (from, to) in [(0, 9), (30, 34), (61, 75), (70, 71), (whole.len() - 7, whole.len())] {
        let span = Span { start: Some(times[from]), end: times.get(to).copied() };
        let found = ffmpeg().sample_span(&video, &span, 3, &limits()).unwrap();
        let naive: Vec<&Frame> = spread(to - from, 3).into_iter().map(|i| &whole[from + i]).collect();
        assert!(found.iter().collect::<Vec<_>>() == naive, "{name}: {from} to {to}");
        // Also by itself: no second look has mended it.
        if let Some(index) = ffmpeg().times(&video, &limits()).unwrap()
            && let Some(begin) = index.begin(times[from])
        {
            assert!(begin < times[from], "{name}");
            let wanted: Vec<Time> = naive.iter().map(|frame| frame.time).collect();
            if let Some((found, _)) = ffmpeg().both(&video, &wanted, Some(begin), None, &limits()).unwrap() {
                sought = true;
                assert!(found.iter().collect::<Vec<_>>() == naive, "{name}: {from} to {to}, from {begin}");
            }
        }
    }
    sought
}

#[test]
fn frames_from_a_key_frame_on_are_those_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params"];
    let times = "settb=1/1000,setpts='N*40+floor(random(1)*30)'";
    let vary = ["-vf", times, "-fps_mode", "passthrough", "-enc_time_base", "1:1000"];
    for (name, options) in [
        ("closed.mp4", [&x264[..], &["keyint=12:bframes=3"]].concat()),
        ("closed.mkv", [&x264[..], &["keyint=12:bframes=3"]].concat()),
        ("open.mp4", [&x264[..], &["keyint=12:bframes=3:open-gop=1:b-pyramid=2"]].concat()),
        ("open.mkv", [&x264[..], &["keyint=12:bframes=3:open-gop=1:b-pyramid=2"]].concat()),
        // No frame is whole by itself: each refreshes a part.
        ("refreshed.mkv", [&x264[..], &["keyint=12:intra-refresh=1:bframes=0"]].concat()),
        ("varied.mp4", [&vary[..], &x264[..], &["keyint=12:bframes=2"]].concat()),
        ("late.mp4", [&["-output_ts_offset", "100"], &x264[..], &["keyint=12:bframes=2"]].concat()),
        ("simple.mp4", ["-c:v", "mpeg4", "-bf", "2", "-g", "12"].to_vec()),
        ("simple.mkv", ["-c:v", "mpeg4", "-bf", "2", "-g", "12"].to_vec()),
        ("pictures.mkv", ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"].to_vec()),
    ] {
        let path = make(dir.path(), name, &[&SOURCE[..], &options].concat());
        assert!(agrees(&path), "{name}: decoded from its first frame");
    }
}

#[test]
fn where_nothing_shows_that_seeking_is_exact_decoding_begins_at_the_first_frame() {
    let dir = tempfile::tempdir().unwrap();
    let x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "keyint=12:bframes=3"];
    let whole = make(dir.path(), "whole.mp4", &[&SOURCE[..], &x264].concat());
    // No index of key frames.
    let stream = make(dir.path(), "stream.ts", &[&SOURCE[..], &x264].concat());
    assert!(!agrees(&stream));
    // A list of edits leaves out frames that are stored.
    let words = ["-ss", "0.7", "-i", whole.to_str().unwrap(), "-c", "copy"];
    assert!(!agrees(&make(dir.path(), "cut.mp4", &words)));
    // A single key frame.
    let one = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "keyint=1000:scenecut=0"];
    assert!(!agrees(&make(dir.path(), "one.mp4", &[&SOURCE[..], &one].concat())));
    // What is damaged: all that comes is what comes of the whole.
    let mut bytes = std::fs::read(&whole).unwrap();
    let from = bytes.len() / 2;
    bytes[from..from + 3000].iter_mut().for_each(|b| *b ^= 0x5a);
    let broken = dir.path().join("broken.mp4");
    std::fs::write(&broken, bytes).unwrap();
    agrees(&broken);
}

#[test]
fn a_film_is_looked_at_once_and_again_when_it_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    // A program before the program, that counts.
    let count = dir.path().join("count");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{}'\nexec '{}' \"$@\"\n",
        count.display(),
        ffmpeg().program().display()
    );
    let program = dir.path().join("counted");
    std::fs::write(&program, script).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let runs = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
    let x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "keyint=12:bframes=3"];
    let path = make(dir.path(), "film.mp4", &[&SOURCE[..], &x264].concat());
    let clip = |start: i64| {
        // As callers do: the program is found anew for each clip.
        let ffmpeg = Ffmpeg::find(Some(&program)).unwrap();
        let second = |n: i64| Some(Time { pts: n, base: "1/1".parse().unwrap() });
        let span = Span { start: second(start), end: second(start + 1) };
        let video = ffmpeg.probe(&path, &limits()).unwrap();
        ffmpeg.sample_span(&video, &span, 2, &limits()).unwrap().len()
    };
    for start in 0..4 {
        assert_eq!(clip(start), 2);
    }
    // The headers, the packets, and each clip's frames.
    assert_eq!(runs(), 2 + 4);
    make(dir.path(), "film.mp4", &[&SOURCE[..], &["-t", "3"], &x264].concat());
    assert_eq!(clip(1), 2);
    assert_eq!(runs(), 6 + 3);
}
