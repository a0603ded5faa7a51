#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use super::*;
use crate::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

fn ffmpeg() -> Ffmpeg {
    Ffmpeg::find(None).unwrap()
}

fn limits() -> VideoLimits {
    VideoLimits::default()
}

/// Frame N is a plain grey of 2 N.
const GREYS: &str = "nullsrc=s=64x48:r=25,geq=lum='16+N*2':cb=128:cr=128,format=yuv420p";

/// Makes a video with the same program; `words` are its options.
fn make(dir: &Path, name: &str, words: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let output = Command::new(ffmpeg().program())
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .args(words)
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

fn greys(dir: &Path, name: &str, frames: &str, words: &[&str]) -> PathBuf {
    let mut all = vec!["-f", "lavfi", "-i", GREYS, "-frames:v", frames, "-crf", "10"];
    all.extend(words);
    make(dir, name, &all)
}

/// Which frame of [`GREYS`] this is.
fn number(frame: &Frame) -> u32 {
    let p = frame.image.get_pixel(frame.image.width() / 2, frame.image.height() / 2);
    // Grey in limited range, 16 to 235, was stretched to 0 to 255.
    ((f64::from(p[1]) * 219.0 / 255.0) / 2.0).round() as u32
}

fn all(path: &Path) -> (Vec<Frame>, Failures) {
    let ffmpeg = ffmpeg();
    let video = ffmpeg.probe(path, &limits()).unwrap();
    let mut frames = ffmpeg.frames(&video, &FrameOptions::default(), &limits()).unwrap();
    let found: Vec<Frame> = frames.by_ref().map(|f| f.unwrap()).collect();
    (found, frames.failures().clone())
}

fn refused(path: &Path) -> String {
    let ffmpeg = ffmpeg();
    let error = ffmpeg
        .probe(path, &limits())
        .and_then(|v| ffmpeg.frames(&v, &FrameOptions::default(), &limits())?.collect::<Result<Vec<_>, _>>())
        .unwrap_err();
    let text = error.to_string();
    assert_eq!(text.replace(&path.display().to_string(), "").lines().count(), 1, "{text}");
    text
}

#[test]
fn variable_rates_and_reordered_frames_keep_their_exact_times() {
    let dir = tempfile::tempdir().unwrap();
    let filter = format!("{GREYS},settb=1/24000,setpts='N*N*1001'");
    let path = make(
        dir.path(),
        "v.mp4",
        &[
            "-f",
            "lavfi",
            "-i",
            &filter,
            "-frames:v",
            "30",
            "-crf",
            "10",
            "-bf",
            "3",
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "1/24000",
            "-video_track_timescale",
            "24000",
        ],
    );
    let (frames, failures) = all(&path);
    assert_eq!(failures.count, 0);
    let numbers: Vec<u32> = frames.iter().map(number).collect();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    let exact = |n: i64| Time { pts: n * n * 1001, base: Ratio { num: 1, den: 24_000 } };
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame.time, exact(n as i64), "frame {n}");
    }
    let video = ffmpeg().probe(&path, &limits()).unwrap();
    let index = ffmpeg().index(&video, &limits()).unwrap().unwrap();
    assert_eq!(index, frames.iter().map(|f| f.time).collect::<Vec<_>>());
    // The middles of four parts.
    let sample = ffmpeg().sample(&video, 4, &limits()).unwrap();
    assert_eq!(sample.iter().map(number).collect::<Vec<_>>(), [3, 11, 18, 26]);
    assert_eq!(sample[2].time, exact(18));
    assert_eq!(sample[2], frames[18]);
}

#[test]
fn every_container_tells_when_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    for (name, least) in [("a.mkv", 5.0), ("b.ts", 5.0), ("c.avi", 0.0), ("d.h264", 0.0), ("e.webm", 5.0)] {
        let offset = if least > 0.0 { "5" } else { "0" };
        let codec: &[&str] = if name == "e.webm" { &["-c:v", "libvpx"] } else { &[] };
        let path = greys(dir.path(), name, "20", &[codec, &["-output_ts_offset", offset]].concat());
        let (frames, _) = all(&path);
        assert_eq!(frames.len(), 20, "{name}");
        assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>(), "{name}");
        assert!(frames.windows(2).all(|w| w[0].time < w[1].time), "{name}");
        assert!((least..least + 2.0).contains(&frames[0].time.seconds()), "{name}: {}", frames[0].time);
        let step = frames[19].time.seconds() - frames[0].time.seconds();
        assert!((step - 19.0 / 25.0).abs() < 0.002, "{name}: {step}");
        let video = ffmpeg().probe(&path, &limits()).unwrap();
        let sample = ffmpeg().sample(&video, 2, &limits()).unwrap();
        assert_eq!(sample.iter().map(number).collect::<Vec<_>>(), [5, 15], "{name}");
    }
}

#[test]
fn turned_videos_come_upright_and_scaled_ones_scaled() {
    let dir = tempfile::tempdir().unwrap();
    let flat = greys(dir.path(), "flat.mp4", "3", &[]);
    let turned = dir.path().join("turned.mp4");
    let made = Command::new(ffmpeg().program())
        .args(["-loglevel", "error", "-display_rotation", "90", "-i"])
        .arg(&flat)
        .args(["-c", "copy"])
        .arg(&turned)
        .status();
    if made.unwrap().success() {
        assert_eq!(all(&turned).0[0].image.dimensions(), (48, 64));
    } else {
        eprintln!("skipped: this ffmpeg is older than 6 and cannot write a rotation");
    }
    let video = ffmpeg().probe(&flat, &limits()).unwrap();
    let options = FrameOptions { only: None, size: Some((20, 10)) };
    let frame = ffmpeg().frames(&video, &options, &limits()).unwrap().next().unwrap().unwrap();
    assert_eq!(frame.image.dimensions(), (20, 10));
}

#[test]
fn a_cut_off_video_gives_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let noise = "testsrc2=s=320x240:r=25,noise=alls=40:allf=t";
    let whole = make(dir.path(), "w.mkv", &["-f", "lavfi", "-i", noise, "-frames:v", "60", "-g", "10"]);
    let bytes = std::fs::read(&whole).unwrap();
    let path = dir.path().join("cut.mkv");
    std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let (frames, failures) = all(&path);
    assert!((20..50).contains(&frames.len()), "{}", frames.len());
    assert!(failures.count > 0);
    // Damage in the middle is counted and placed; frames before and after it come.
    let mut broken = bytes.clone();
    for byte in &mut broken[bytes.len() / 2..bytes.len() * 6 / 10] {
        *byte = 0x55;
    }
    let path = dir.path().join("hole.mkv");
    std::fs::write(&path, &broken).unwrap();
    let (frames, failures) = all(&path);
    assert!(frames[0].time.seconds() == 0.0 && frames.last().unwrap().time.seconds() > 2.0);
    assert!(failures.count > 0 && !failures.first.unwrap().is_empty());
    // An MP4 without its index says nothing of its frames.
    let whole = greys(dir.path(), "w.mp4", "60", &[]);
    let bytes = std::fs::read(&whole).unwrap();
    let path = dir.path().join("cut.mp4");
    std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let text = refused(&path);
    assert!(text.contains("expected a video that FFmpeg reads, found"), "{text}");
}

#[test]
fn one_frame_no_frame_and_only_audio() {
    let dir = tempfile::tempdir().unwrap();
    let one = greys(dir.path(), "one.mp4", "1", &[]);
    let video = ffmpeg().probe(&one, &limits()).unwrap();
    assert_eq!(ffmpeg().sample(&video, 8, &limits()).unwrap().len(), 1);
    let audio = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=22050:duration=2"];
    let tone = make(dir.path(), "tone.m4a", &audio);
    assert!(refused(&tone).contains("expected a video track, found only audio"));
    let found = ffmpeg().audio(&ffmpeg().probe(&tone, &limits()).unwrap(), &limits()).unwrap();
    assert_eq!(found.sample_rate, 22_050);
    assert!((found.seconds() - 2.0).abs() < 0.1, "{}", found.seconds());
    assert!(found.samples.iter().any(|s| s.abs() > 0.05));
    let error = ffmpeg().audio(&video, &limits()).unwrap_err().to_string();
    assert!(error.ends_with("expected an audio track, found none"), "{error}");
    let empty = dir.path().join("empty.mp4");
    std::fs::write(&empty, b"").unwrap();
    assert!(refused(&empty).contains("an empty file"));
    assert!(refused(dir.path()).contains("expected a regular file, found a folder"));
    assert!(matches!(ffmpeg().probe(dir.path().join("none.mp4"), &limits()), Err(Error::Files(_))));
}

#[test]
fn names_are_names() {
    let dir = tempfile::tempdir().unwrap();
    let plain = greys(dir.path(), "plain.mp4", "2", &[]);
    for name in
        ["it's \"quoted\".mp4", "two\nlines.mp4", "-y.mp4", "a:b%03d $(touch x) `id`.mp4", "http:x.mp4"]
    {
        let path = dir.path().join(name);
        std::fs::copy(&plain, &path).unwrap();
        assert_eq!(all(&path).0.len(), 2, "{name:?}");
    }
    assert!(!Path::new("x").exists());
}

#[test]
fn files_that_name_other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let video = greys(dir.path(), "secret.ts", "25", &[]);
    let local = video.display().to_string();
    let hls =
        |target: &str| format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n");
    // Nothing listens there: a fetch would be refused by the system, with other words than ours.
    for (name, text) in [
        ("a.m3u8", hls("http://127.0.0.1:9/a.ts")),
        ("b.mp4", hls(&local)),
        ("c.ts", hls("secret.ts")),
        ("d.txt", format!("ffconcat version 1.0\nfile {local}\n")),
        ("e.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n".into()),
        ("f.mpd", "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><Period><AdaptationSet><Representation id=\"1\" bandwidth=\"1\"><BaseURL>secret.ts</BaseURL></Representation></AdaptationSet></Period></MPD>".into()),
        ("g.mp4", "<!doctype html><html><body>Not found</body></html>".into()),
        ("h.mp4", "only words".repeat(100)),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let text = refused(&path);
        assert!(text.contains("expected a video that FFmpeg reads, found"), "{text}");
        assert!(!text.contains("refused") && !text.contains("Connection"), "{text}");
    }
}

#[test]
fn bounds_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = greys(dir.path(), "v.mp4", "30", &[]);
    let tight = |change: &dyn Fn(&mut VideoLimits)| {
        let mut limits = limits();
        change(&mut limits);
        let ffmpeg = ffmpeg();
        let run = || {
            let video = ffmpeg.probe(&path, &limits)?;
            ffmpeg.frames(&video, &FrameOptions::default(), &limits)?.collect::<crate::Result<Vec<_>>>()
        };
        match run() {
            Err(error @ Error::Limit { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(tight(&|l| l.max_pixels = 1000).contains("a frame is 64 x 48 pixels, the limit is 1000 pixels"));
    assert!(tight(&|l| l.max_seconds = 1.0).contains("the video is 1.2 seconds"));
    assert!(tight(&|l| l.max_frames = 29).contains("more than 29 frames"));
    // Also where a few frames are picked: those of the beginning would stand for the whole.
    let few = VideoLimits { max_frames: 29, ..limits() };
    let video = ffmpeg().probe(&path, &few).unwrap();
    let error = ffmpeg().sample(&video, 4, &few).unwrap_err().to_string();
    assert!(error.contains("the video is more than 29 frames, the limit is 29 frames"), "{error}");
    assert_eq!(ffmpeg().sample(&video, 4, &VideoLimits { max_frames: 30, ..few }).unwrap().len(), 4);
    // A reader that waits for ever is not the decoder's fault; one frame read and the rest dropped ends it.
    assert!(ffmpeg().frames(&video, &FrameOptions::default(), &limits()).unwrap().next().unwrap().is_ok());
    let missing = Ffmpeg::find(Some(Path::new("/nonexistent/ffmpeg"))).unwrap_err().to_string();
    assert!(missing.contains("/nonexistent/ffmpeg") && missing.contains("--ffmpeg"), "{missing}");
}

#[test]
fn parts_of_a_video_are_seen_and_heard() {
    let dir = tempfile::tempdir().unwrap();
    // A second of silence, then one of a tone; 25 frames a second.
    let audio = "aevalsrc='if(lt(t,1),0,0.5*sin(2*PI*440*t))':s=16000:d=2";
    for (name, offset) in [("a.mov", 0), ("b.mkv", 0), ("c.mkv", 3)] {
        let offset_text = offset.to_string();
        #[rustfmt::skip]
        let words = [
            "-f", "lavfi", "-i", GREYS, "-f", "lavfi", "-i", audio, "-t", "2", "-crf", "10", "-c:a", "pcm_s16le",
            "-output_ts_offset", &offset_text,
        ];
        let path = make(dir.path(), name, &words);
        let video = ffmpeg().probe(&path, &limits()).unwrap();
        let span = |start: &str, end: &str| {
            let side = |t: &str| if t.is_empty() { None } else { Some(t.parse::<Time>().unwrap()) };
            let moved = |t: Time| Time { pts: t.pts + offset * i64::from(t.base.den), ..t };
            Span { start: side(start).map(moved), end: side(end).map(moved) }
        };
        let seen = |start: &str, end: &str, count| {
            let found = ffmpeg().sample_span(&video, &span(start, end), count, &limits());
            found.map(|f| f.iter().map(number).collect::<Vec<_>>())
        };
        assert_eq!(seen("", "", 2).unwrap(), [12, 37], "{name}");
        assert_eq!(seen("1", "", 5).unwrap(), [27, 32, 37, 42, 47], "{name}");
        // The middles of five parts of the ten frames 10 to 19; the end is not in it.
        assert_eq!(seen("2/5", "4/5", 5).unwrap(), [11, 13, 15, 17, 19], "{name}");
        assert_eq!(seen("2/5", "11/25", 8).unwrap(), [10], "{name}");
        assert_eq!(seen("81/200", "41/100", 8).unwrap(), [10], "{name}: shown between two frames");
        let gone = seen("5", "6", 4).unwrap_err().to_string();
        assert!(gone.contains("expected a part of the video in which something is shown, found"), "{gone}");
        let heard = |start: &str, end: &str| ffmpeg().audio_span(&video, &span(start, end), &limits());
        let loud = |s: &crate::Audio| s.samples.iter().fold(0f32, |a, b| a.max(b.abs()));
        let whole = heard("", "").unwrap();
        assert_eq!(whole.samples.len(), 32_000, "{name}");
        let (silent, tone) = (heard("", "1").unwrap(), heard("1", "3/2").unwrap());
        assert_eq!((silent.samples.len(), tone.samples.len()), (16_000, 8_000), "{name}");
        assert!(loud(&silent) < 0.01 && loud(&tone) > 0.4, "{name}");
        assert_eq!(tone.samples, whole.samples[16_000..24_000], "{name}");
        let none = heard("5", "6").unwrap_err().to_string();
        assert!(none.contains("expected an audio track, found none in the part"), "{none}");
    }
    // Where the container tells no times the frames are counted.
    let raw = greys(dir.path(), "d.h264", "20", &[]);
    let video = ffmpeg().probe(&raw, &limits()).unwrap();
    let half = Span { start: Some("2/5".parse().unwrap()), end: None };
    let found = ffmpeg().sample_span(&video, &half, 2, &limits()).unwrap();
    assert_eq!(found.iter().map(number).collect::<Vec<_>>(), [12, 17]);
}

#[test]
fn frames_are_spread_over_the_middles_of_equal_parts() {
    assert_eq!(spread(10, 2), [2, 7]);
    assert_eq!(spread(3, 8), [0, 1, 2]);
    assert_eq!(spread(0, 4), Vec::<usize>::new());
    assert_eq!(spread(100, 8), [6, 18, 31, 43, 56, 68, 81, 93]);
}

#[test]
fn parts_of_an_audio_whose_clock_goes_back_are_heard() {
    let dir = tempfile::tempdir().unwrap();
    let part = |name: &str, frequency: &str| {
        let tone = format!("sine=frequency={frequency}:sample_rate=16000:duration=2");
        let words = [
            "-f",
            "lavfi",
            "-i",
            GREYS,
            "-f",
            "lavfi",
            "-i",
            &tone,
            "-t",
            "2",
            "-c:v",
            "mpeg2video",
            "-c:a",
            "mp2",
        ];
        std::fs::read(make(dir.path(), name, &words)).unwrap()
    };
    let path = dir.path().join("both.ts");
    std::fs::write(&path, [part("a.ts", "400"), part("b.ts", "1600")].concat()).unwrap();
    let video = ffmpeg().probe(&path, &limits()).unwrap();
    let start = all(&path).0[0].time.seconds();
    // Half a second each, in the first and in the second recording.
    let crossings = |from: f64| {
        let side = |at: f64| Some(format!("{}", start + at).parse().unwrap());
        let span = Span { start: side(from), end: side(from + 0.5) };
        let audio = ffmpeg().audio_span(&video, &span, &limits()).unwrap();
        assert_eq!(audio.samples.len(), 8000);
        audio.samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count()
    };
    assert!((190..=210).contains(&crossings(1.0)), "{}", crossings(1.0));
    assert!((780..=820).contains(&crossings(3.0)), "{}", crossings(3.0));
}

#[test]
fn only_regular_files_are_given_to_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe.mp4");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(refused(&pipe).contains("expected a regular file, found a named pipe"));
    let device = dir.path().join("endless.mp4");
    std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
    assert!(refused(&device).contains("found a device"));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = greys(dir.path(), "v.mp4", "10", &[]);
    let video = ffmpeg().probe(&path, &limits()).unwrap();
    // Between the look at its times and that at its frames.
    let program = dir.path().join("fake-ffmpeg");
    let lines =
        format!("#!/bin/sh\necho >> '{}'\nexec '{}' \"$@\"\n", path.display(), ffmpeg().program().display());
    std::fs::write(&program, lines).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let changing = Ffmpeg::find(Some(&program)).unwrap();
    let error = changing.sample(&video, 2, &limits()).unwrap_err().to_string();
    assert!(
        error.ends_with("expected a file that stays as it is, found one that changed while it was read"),
        "{error}"
    );
}
