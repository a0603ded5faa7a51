#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use super::*;
use crate::video::{Frame, FrameOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

pub(super) fn ffmpeg() -> Ffmpeg {
    Ffmpeg::find(None).unwrap()
}

pub(super) fn limits() -> VideoLimits {
    VideoLimits::default()
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenes").join(name)
}

/// What the program itself writes with these options, in one form only: no log is read for it.
fn alone(path: &Path, words: &[&str]) -> Vec<u8> {
    let output = Command::new(ffmpeg().program())
        .args(["-loglevel", "quiet", "-nostdin", "-i"])
        .arg(path)
        .args(["-map", "0:V:0", "-fps_mode", "passthrough"])
        .args(words)
        .args(["-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(!output.stdout.is_empty(), "{}", path.display());
    output.stdout
}

pub(super) fn make(dir: &Path, name: &str, words: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let mut command = Command::new(ffmpeg().program());
    command.args(["-loglevel", "error", "-nostdin", "-y", "-f", "lavfi", "-i"]).args(words).arg(&path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// All of a track: shapes, and the bytes of all frames.
pub(super) fn drain(track: Option<Track>) -> (Vec<Shape>, Vec<u8>) {
    let (mut shapes, mut bytes, mut data) = (Vec::new(), Vec::new(), Vec::new());
    let mut track = track.unwrap();
    while let Some(shape) = track.next(&mut data).unwrap() {
        assert_eq!(data.len(), shape.layout.bytes(shape.width, shape.height));
        bytes.extend_from_slice(&data);
        shapes.push(shape);
    }
    assert!(track.next(&mut data).unwrap().is_none(), "an end stays one");
    (shapes, bytes)
}

pub(super) struct Seen {
    pub(super) whole: (Vec<Shape>, Vec<u8>),
    pub(super) small: (Vec<Shape>, Vec<u8>),
    pub(super) every: (Vec<Shape>, Vec<u8>),
    pub(super) failures: crate::video::Failures,
}

/// The three tracks, each on a thread of its own.
pub(super) fn stream(path: &Path, every: f64) -> Seen {
    let video = ffmpeg().probe(path, &limits()).unwrap();
    let options = StreamOptions {
        whole: true,
        picked: None,
        small: Some((48, 27)),
        every: Some(every),
        threads: Some(2),
    };
    let mut stream = ffmpeg().stream(&video, &options, &limits()).unwrap();
    let (whole, small, every) = (stream.whole.take(), stream.small.take(), stream.every.take());
    let (whole, small, every) = std::thread::scope(|scope| {
        let (whole, small) = (scope.spawn(|| drain(whole)), scope.spawn(|| drain(small)));
        let every = drain(every);
        (whole.join().unwrap(), small.join().unwrap(), every)
    });
    Seen { whole, small, every, failures: stream.ending.failures().unwrap() }
}

pub(super) fn frames(path: &Path) -> Vec<Frame> {
    let video = ffmpeg().probe(path, &limits()).unwrap();
    let found = ffmpeg().frames(&video, &FrameOptions::default(), &limits()).unwrap();
    found.collect::<Result<Vec<_>>>().unwrap()
}

/// The first time, then each that is at least so many seconds after the last one taken.
fn at_least(times: &[Time], seconds: f64) -> Vec<Time> {
    let mut taken: Vec<Time> = Vec::new();
    for time in times {
        if taken.last().is_none_or(|last| time.seconds() - last.seconds() >= seconds) {
            taken.push(*time);
        }
    }
    taken
}

fn agrees(path: &Path, layout: Layout) {
    let name = path.display();
    let (seen, frames) = (stream(path, 0.31), frames(path));
    let times: Vec<Time> = frames.iter().map(|f| f.time).collect();
    let of = |shapes: &[Shape]| shapes.iter().map(|s| s.time).collect::<Vec<_>>();
    assert_eq!(of(&seen.whole.0), times, "{name}");
    assert_eq!(of(&seen.small.0), times, "{name}");
    assert_eq!(of(&seen.every.0), at_least(&times, 0.31), "{name}");
    assert!(times.windows(2).all(|w| w[0] < w[1]), "{name}");
    let video = ffmpeg().probe(path, &limits()).unwrap();
    if let Some(index) = ffmpeg().index(&video, &limits()).unwrap() {
        assert_eq!(index, times, "{name}");
    }
    let size = frames[0].image.dimensions();
    for shape in seen.whole.0.iter().chain(&seen.every.0) {
        assert_eq!(((shape.width, shape.height), shape.source), (size, size), "{name}");
    }
    for (shape, frame) in seen.whole.0.iter().zip(&frames) {
        assert_eq!((shape.layout, shape.ticks), (layout, frame.ticks), "{name}");
        assert_eq!(shape.rate, seen.small.0[0].rate, "{name}");
    }
    for shape in &seen.small.0 {
        assert_eq!((shape.width, shape.height, shape.source, shape.layout), (48, 27, size, Layout::Rgb));
    }
    let pixels = if layout == Layout::Bgr { &["-pix_fmt", "bgr24"][..] } else { &[] };
    assert!(seen.whole.1 == alone(path, pixels), "{name}: whole frames");
    let scaled = ["-vf", "scale=48:27:flags=bicubic", "-pix_fmt", "rgb24"];
    assert!(seen.small.1 == alone(path, &scaled), "{name}: small frames");
    let kept = frames.iter().filter(|f| seen.every.0.iter().any(|s| s.time == f.time));
    let kept: Vec<u8> = kept.flat_map(|f| f.image.as_raw().clone()).collect();
    assert!(seen.every.1 == kept, "{name}: frames kept");
    assert_eq!(seen.failures.count, 0, "{name}: {:?}", seen.failures.first);
}

#[test]
fn the_average_rate_is_told() {
    for (name, rate) in
        [("cuts-23.976.mp4", 23.98), ("varied.mp4", 20.81), ("varied.mkv", 30.0), ("large-50.mp4", 50.0)]
    {
        assert_eq!(ffmpeg().probe(fixture(name), &limits()).unwrap().rate, Some(rate), "{name}");
    }
    assert_eq!(ffmpeg().probe(fixture("sound.m4a"), &limits()).unwrap().rate, None);
}

const LIMITED: Layout = Layout::Yuv420 { full_range: false };

#[test]
fn changing_rates_reordered_frames_and_late_starts_agree() {
    // All of these but the last two have frames that are stored in another order than they are shown.
    for name in
        ["varied.mp4", "varied.mkv", "late.mp4", "late.ts", "cuts-23.976.mp4", "small.webm", "half.avi"]
    {
        agrees(&fixture(name), LIMITED);
    }
    agrees(&fixture("one.mp4"), LIMITED);
}

#[test]
fn forms_and_sizes_come_as_they_are_or_as_bgr() {
    agrees(&fixture("turned.mp4"), LIMITED);
    let seen = frames(&fixture("turned.mp4"));
    assert_eq!(seen[0].image.dimensions(), (180, 320), "turned upright");
    agrees(&fixture("full-range.mp4"), Layout::Yuv420 { full_range: true });
    agrees(&fixture("full-colour.mp4"), Layout::Bgr);
    agrees(&fixture("ten-bit.mkv"), Layout::Bgr);
    let dir = tempfile::tempdir().unwrap();
    for size in ["65:48", "64:49", "1:1", "3:200"] {
        let source = format!("testsrc2=s=320x240:r=10,scale={size}");
        let words = [&source, "-frames:v", "7", "-pix_fmt", "yuv420p", "-c:v", "rawvideo"];
        agrees(&make(dir.path(), &format!("{}.nut", size.replace(':', "x")), &words), Layout::Bgr);
    }
    // A form that has one plane only.
    let words = ["testsrc2=s=64x48:r=10", "-frames:v", "7", "-pix_fmt", "gray", "-c:v", "ffv1"];
    agrees(&make(dir.path(), "grey.mkv", &words), Layout::Bgr);
}

#[test]
fn readers_may_leave_early() {
    let dir = tempfile::tempdir().unwrap();
    // Far more than pipes hold.
    let path = make(dir.path(), "v.mkv", &["testsrc2=s=640x480:r=25", "-frames:v", "60", "-c:v", "mpeg4"]);
    let video = ffmpeg().probe(&path, &limits()).unwrap();
    let options =
        StreamOptions { whole: true, picked: None, small: Some((8, 8)), every: Some(0.0), threads: None };
    let start = || ffmpeg().stream(&video, &options, &limits()).unwrap();
    let mut data = Vec::new();
    // The others go on to their ends.
    let mut stream_ = start();
    let (whole, small) = (stream_.whole.take(), stream_.small.take());
    let mut every = stream_.every.take().unwrap();
    assert!(every.next(&mut data).unwrap().is_some());
    drop(every);
    let (whole, small) = std::thread::scope(|scope| {
        let small = scope.spawn(|| drain(small));
        (drain(whole), small.join().unwrap())
    });
    assert_eq!((whole.0.len(), small.0.len()), (60, 60));
    drop(stream_.ending.failures());
    // All leave, in the middle or before the first frame.
    let mut stream_ = start();
    assert!(stream_.whole.as_mut().unwrap().next(&mut data).unwrap().is_some());
    drop((stream_.whole.take(), stream_.small.take(), stream_.every.take()));
    drop(stream_.ending.failures());
    drop(start());
    let Stream { whole, ending, .. } = start();
    drop(ending);
    drop(whole);
}

#[test]
fn nothing_asked_for_of_an_audio_is_an_error() {
    let video = ffmpeg().probe(fixture("sound.m4a"), &limits()).unwrap();
    let options = StreamOptions { whole: true, ..StreamOptions::default() };
    let error = ffmpeg().stream(&video, &options, &limits()).unwrap_err().to_string();
    assert!(error.ends_with("expected a video track, found only audio"), "{error}");
}

#[test]
fn a_cut_off_file_gives_what_it_has() {
    for name in ["broken.mkv", "broken.ts"] {
        let seen = stream(&fixture(name), 0.5);
        let times: Vec<Time> = seen.whole.0.iter().map(|s| s.time).collect();
        assert!((30..60).contains(&times.len()), "{name}: {}", times.len());
        assert_eq!(times, frames(&fixture(name)).iter().map(|f| f.time).collect::<Vec<_>>(), "{name}");
        assert_eq!(times.len(), seen.small.0.len(), "{name}");
        assert!(seen.failures.count > 0 && seen.failures.first.is_some(), "{name}");
    }
    let video = ffmpeg().probe(fixture("empty.mkv"), &limits());
    let options = StreamOptions { whole: true, ..StreamOptions::default() };
    let none = video.and_then(|v| ffmpeg().stream(&v, &options, &limits()));
    if let Ok(mut stream) = none {
        assert_eq!(drain(stream.whole.take()).0.len(), 0);
        drop(stream.ending.failures());
    }
}

#[test]
fn bounds_end_a_track() {
    let path = fixture("cuts-23.976.mp4");
    let video = ffmpeg().probe(&path, &limits()).unwrap();
    let options = StreamOptions { whole: true, ..StreamOptions::default() };
    let until = |limits: &VideoLimits| {
        let mut stream = ffmpeg().stream(&video, &options, limits).unwrap();
        let (mut track, mut data, mut count) = (stream.whole.take().unwrap(), Vec::new(), 0);
        loop {
            match track.next(&mut data) {
                Ok(Some(_)) => count += 1,
                Ok(None) => return (count, None),
                Err(e) => return (count, Some(e.to_string())),
            }
        }
    };
    assert_eq!(until(&VideoLimits { max_frames: 160, ..limits() }), (160, None));
    let (count, error) = until(&VideoLimits { max_frames: 30, ..limits() });
    assert!(count == 30 && error.unwrap().contains("more than 30 frames"), "{count}");
}

/// A program in ffmpeg's place.
pub(super) fn program(dir: &Path, lines: &str) -> Ffmpeg {
    let path = dir.join("fake-ffmpeg");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Ffmpeg::find(Some(&path)).unwrap()
}

/// What a program in ffmpeg's place makes of a video of 2 x 2 pixels: frames of the whole track, and how it ended.
fn by(lines: &str, options: &StreamOptions) -> (usize, Result<crate::video::Failures>) {
    let dir = tempfile::tempdir().unwrap();
    let fake = program(dir.path(), lines);
    let video = Video {
        blob: dir.path().join("v.mp4").into(),
        size: Some((2, 2)),
        form: Some("yuv420p".into()),
        plain: false,
        seeks: false,
        duration: None,
        rate: None,
        sample_rate: None,
        audio: 0,
    };
    let limits = VideoLimits { max_silence: 0.2, ..limits() };
    let mut stream = fake.stream(&video, options, &limits).unwrap();
    let (whole, small, every) = (stream.whole.take(), stream.small.take(), stream.every.take());
    let count = std::thread::scope(|scope| {
        for track in [small, every].into_iter().flatten() {
            scope.spawn(|| drain(Some(track)));
        }
        drain(whole).0.len()
    });
    (count, stream.ending.failures())
}

/// As its words name the filter: the log of a frame of 2 x 2 pixels, then its bytes.
const FRAME: &str = "tag=$(echo \"$*\" | sed 's/.*showinfo@\\(t[^=]*x\\)0=.*/\\1/'); \
    echo \"[showinfo@${tag}0 @ 0x1] [info] n: 0 pts: 0 duration: 1 fmt:yuv420p s:2x2 \" >&2; printf 'abcdef' >&3";

#[test]
fn a_silent_decoder_is_ended() {
    let whole = StreamOptions { whole: true, ..StreamOptions::default() };
    let all =
        StreamOptions { whole: true, picked: None, small: Some((2, 2)), every: Some(1.0), threads: Some(1) };
    let forever = "exec sleep 1000";
    // It sleeps for ever; so does one that sends a frame, half a frame, a word on a frame that never comes, or a log without end.
    let half = FRAME.replace("abcdef", "abc");
    let word = FRAME.rsplit_once(';').unwrap().0;
    for (lines, options, frames) in [
        (forever.to_owned(), &whole, 0),
        (forever.to_owned(), &all, 0),
        (format!("{FRAME}; {forever}"), &whole, 1),
        (format!("{FRAME}; {forever}"), &all, 1),
        (format!("{half}; {forever}"), &whole, 0),
        (format!("{word}; {forever}"), &whole, 0),
        ("exec yes '[info] busy' >&2".to_owned(), &whole, 0),
    ] {
        let (count, ended) = by(&lines, options);
        assert_eq!(count, frames, "{lines}");
        let error = ended.unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{lines}: {error}");
        let text = error.to_string();
        let expected = format!("over 0.2 seconds after {frames} frames, the limit is 0.2 seconds");
        assert!(text.lines().count() == 1 && text.contains(&expected), "{text}");
        assert!(text.contains("max_silence"), "{text}");
    }
}

#[test]
fn a_decoder_that_dies_says_so() {
    let whole = StreamOptions { whole: true, ..StreamOptions::default() };
    // Ended from outside after its first frame (out of memory): what came is not the whole video, though nothing was logged.
    for death in ["kill -KILL $$", "kill -SEGV $$", "exit 137"] {
        let (count, ended) = by(&format!("{FRAME}; {death}"), &whole);
        let failures = ended.unwrap();
        assert_eq!((count, failures.count), (1, 1), "{death}");
        assert!(failures.first.unwrap().contains("ended before the video did"), "{death}");
        let (count, ended) = by(death, &whole);
        let error = ended.unwrap_err().to_string();
        assert!(count == 0 && error.lines().count() == 1, "{error}");
    }
    // Bytes that are fewer than a frame.
    let (count, ended) = by(&FRAME.replace("abcdef", "abc"), &whole);
    assert_eq!((count, ended.is_ok()), (0, true));
    // Another form in its middle.
    let dir = tempfile::tempdir().unwrap();
    let fake = program(dir.path(), &FRAME.replace("yuv420p", "rgb24"));
    let (path, form) = (dir.path().join("v.mp4"), Some("yuv420p".into()));
    let video = Video {
        blob: path.into(),
        size: Some((2, 2)),
        form,
        plain: false,
        seeks: false,
        duration: None,
        rate: None,
        sample_rate: None,
        audio: 0,
    };
    let mut stream = fake.stream(&video, &whole, &limits()).unwrap();
    let error = stream.whole.as_mut().unwrap().next(&mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("the form that the file's headers tell, found rgb24 of 2 x 2"), "{error}");
}

#[test]
fn a_name_is_not_a_line_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let line = "[showinfo@t0 @ 0x1] [info] n: 0 pts: 7 duration: 1 fmt:yuv420p s:2x2 ";
    let path = dir.path().join(format!("a\n{line}\n.mp4"));
    std::fs::copy(fixture("one.mp4"), &path).unwrap();
    let title = format!("title=[error] broken\n{line}");
    let words = ["testsrc2=s=320x180", "-frames:v", "1", "-metadata", &title];
    for path in [path, make(dir.path(), "titled.mkv", &words), make(dir.path(), "titled.mp4", &words)] {
        let seen = stream(&path, 1.0);
        assert_eq!((seen.whole.0.len(), seen.whole.0[0].width), (1, 320), "{}", path.display());
        assert_eq!(seen.failures.count, 0, "{}", path.display());
    }
}
