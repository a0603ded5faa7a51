#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use super::tests::{Seen, ffmpeg, fixture, frames, limits, program, stream};
use super::*;
use std::path::Path;
use std::process::Command;

/// Three shots of a second, 25 frames each, whatever the size.
fn recording(dir: &Path, name: &str, size: &str, words: &[&str]) -> PathBuf {
    let path = dir.join(name);
    let sources = ["testsrc2", "smptehdbars", "mandelbrot"].map(|s| format!("{s}=r=25:s={size}"));
    let mut command = Command::new(ffmpeg().program());
    command.args(["-loglevel", "error", "-nostdin", "-y"]);
    for source in &sources {
        command.args(["-f", "lavfi", "-t", "1", "-i", source]);
    }
    command.args(["-filter_complex", "[0:v][1:v][2:v]concat=n=3:v=1,format=yuv420p"]).args(words).arg(&path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

/// One after another, as `cat` joins them.
fn joined(dir: &Path, name: &str, parts: &[&Path]) -> PathBuf {
    let path = dir.join(name);
    let bytes: Vec<u8> = parts.iter().flat_map(|part| std::fs::read(part).unwrap()).collect();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Every track has every frame, at times that do not go back and that all tracks agree on.
fn is_whole(path: &Path, frames: usize) -> Seen {
    let name = path.display();
    let seen = stream(path, 0.5);
    let of = |shapes: &[Shape]| shapes.iter().map(|s| (s.frame, s.time)).collect::<Vec<_>>();
    let times = of(&seen.whole.0);
    assert_eq!(times.len(), frames, "{name}: {:?}", seen.failures);
    assert!(times.windows(2).all(|w| w[0].0 + 1 == w[1].0 && w[0].1 < w[1].1), "{name}: {times:?}");
    assert_eq!(of(&seen.small.0), times, "{name}");
    for (frame, time) in of(&seen.every.0) {
        assert_eq!(times[frame as usize].1, time, "{name}: frame {frame}");
    }
    let kept = seen.every.0.windows(2).map(|w| w[1].time.seconds() - w[0].time.seconds());
    assert!(kept.fold(0.0, f64::max) < 0.6, "{name}: {:?}", of(&seen.every.0));
    let alone: Vec<Time> = self::frames(path).iter().map(|f| f.time).collect();
    assert_eq!(alone, times.iter().map(|t| t.1).collect::<Vec<_>>(), "{name}");
    seen
}

#[test]
fn a_clock_that_goes_back_loses_no_frame_and_no_time() {
    let dir = tempfile::tempdir().unwrap();
    for (ending, codec) in [("ts", "libx264"), ("ts", "mpeg2video"), ("mpg", "mpeg2video"), ("avi", "mpeg4")]
    {
        let name = |part: &str| format!("{codec}-{part}.{ending}");
        let first = recording(dir.path(), &name("a"), "96x64", &["-c:v", codec]);
        let twice = joined(dir.path(), &name("twice"), &[&first, &first, &first]);
        let seen = is_whole(&twice, 225);
        let jumps: Vec<u64> = seen.failures.jumps.iter().map(|j| j.frame).collect();
        // An AVI's frames are counted: its times cannot go back.
        let expected = if ending == "avi" { &[][..] } else { &[75, 150] };
        assert_eq!(jumps, expected, "{}: {:?}", twice.display(), seen.failures);
        assert!(seen.failures.count >= jumps.len());
        let length = seen.whole.0[224].time.seconds() - seen.whole.0[0].time.seconds();
        assert!((length - 224.0 / 25.0).abs() < 0.01, "{}: {length}", twice.display());
        let video = ffmpeg().probe(&twice, &limits()).unwrap();
        if !jumps.is_empty() {
            assert_eq!(ffmpeg().index(&video, &limits()).unwrap(), None, "{}", twice.display());
            let sample = ffmpeg().sample(&video, 9, &limits()).unwrap();
            let at: Vec<Time> = sample.iter().map(|f| f.time).collect();
            let every: Vec<Time> = seen.whole.0.iter().skip(12).step_by(25).map(|s| s.time).collect();
            assert_eq!(at, every, "{}", twice.display());
        }
    }
}

#[test]
fn what_ffmpeg_does_not_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for (ending, codec, most) in [
        ("mkv", "libx264", 2),
        ("mkv", "libvpx", 2),
        ("mkv", "mjpeg", 2),
        ("mp4", "libx264", 1),
        ("flv", "flv1", 1),
    ] {
        let first = recording(dir.path(), &format!("{codec}.{ending}"), "96x64", &["-c:v", codec]);
        for count in 1..4 {
            let path =
                joined(dir.path(), &format!("{codec}-{count}.{ending}"), &vec![first.as_path(); count]);
            let seen = is_whole(&path, 75 * count.min(most));
            assert_eq!(seen.failures.jumps.len(), count.min(most) - 1, "{}", path.display());
            assert_eq!(crate::video::unread(&path).is_some(), count > most, "{}", path.display());
        }
    }
}

#[test]
fn clocks_that_jump_by_hours_run_on() {
    let dir = tempfile::tempdir().unwrap();
    let part = |name: &str, offset: &str| {
        recording(dir.path(), name, "96x64", &["-c:v", "mpeg2video", "-output_ts_offset", offset])
    };
    let (early, late) = (part("early.ts", "0"), part("late.ts", "50000"));
    // Back by more than a minute is taken for a clock that began again after 2^33 ticks, a jump of a day forwards.
    for (name, parts) in [("back.ts", [&late, &early, &late]), ("on.ts", [&early, &late, &early])] {
        let path = joined(dir.path(), name, &parts.map(|p| p.as_path()));
        let seen = is_whole(&path, 225);
        assert_eq!(seen.failures.jumps.len(), 2, "{name}: {:?}", seen.failures);
        let length = seen.whole.0[224].time.seconds() - seen.whole.0[0].time.seconds();
        assert!((length - 224.0 / 25.0).abs() < 0.01, "{name}: {length}");
    }
    // A clock that really begins again.
    let wrapped = part("wrapped.ts", "95442");
    let seen = is_whole(&wrapped, 75);
    assert_eq!(seen.failures.count, 0, "{:?}", seen.failures);
}

#[test]
fn frames_that_change_their_size_all_come() {
    let dir = tempfile::tempdir().unwrap();
    for (ending, codec) in [("ts", "libx264"), ("ts", "mpeg2video"), ("mpg", "mpeg2video"), ("mkv", "libvpx")]
    {
        let part = |size: &str, offset: &str| {
            let words = ["-c:v", codec, "-output_ts_offset", offset];
            recording(dir.path(), &format!("{codec}-{size}-{offset}.{ending}"), size, &words)
        };
        for (name, parts) in [
            ("on", [part("96x64", "0"), part("160x96", "3"), part("96x64", "6")]),
            ("back", [part("160x96", "0"), part("64x96", "0"), part("160x96", "0")]),
        ] {
            let parts = parts.each_ref().map(|p| p.as_path());
            // An MKV is gone on with once.
            let parts = if ending == "mkv" { &parts[..2] } else { &parts[..] };
            let path = joined(dir.path(), &format!("{codec}-{name}.{ending}"), parts);
            // FFmpeg's decoder of MPEG-2 forgets the frame that it holds back when the size changes.
            let lost = if codec == "mpeg2video" { parts.len() - 1 } else { 0 };
            let seen = is_whole(&path, 75 * parts.len() - lost);
            let video = ffmpeg().probe(&path, &limits()).unwrap();
            assert_eq!(ffmpeg().stored(&video, &limits()).unwrap(), 75 * parts.len(), "{name}");
            let sizes: Vec<(u32, u32)> =
                [0, 80, 160].iter().filter_map(|i| seen.whole.0.get(*i)).map(|s| s.source).collect();
            assert_ne!(sizes[0], sizes[1], "{name}");
            let sizes = [sizes[0], sizes[1], sizes.get(2).copied().unwrap_or(sizes[0])];
            assert_eq!(sizes[0], sizes[2], "{name}");
            assert!(seen.whole.0.iter().all(|s| (s.width, s.height) == sizes[0]), "{name}");
            assert!(seen.every.0.iter().all(|s| (s.width, s.height) == s.source), "{name}");
            assert!(seen.every.0.iter().any(|s| s.source == sizes[1]), "{name}");
        }
    }
}

#[test]
fn frames_that_change_their_form_all_come() {
    let dir = tempfile::tempdir().unwrap();
    let part = |form: &str, size: &str| {
        let words = ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", form, "-s", size];
        recording(dir.path(), &format!("{form}.mkv"), "96x64", &words)
    };
    let parts = [part("yuvj420p", "96x64"), part("yuvj422p", "66x48"), part("yuvj444p", "65x47")];
    for (name, order) in [("a", [0, 1]), ("b", [1, 2]), ("c", [2, 0]), ("d", [0, 2])] {
        let path = joined(dir.path(), &format!("{name}.mkv"), &order.map(|i| parts[i].as_path()));
        is_whole(&path, 150);
    }
}

#[test]
fn a_program_that_does_nothing_is_ended_whatever_it_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.mp4");
    std::fs::write(&path, "x").unwrap();
    let limits = VideoLimits { max_silence: 0.3, ..limits() };
    // It started another, which holds the pipes when it is gone itself.
    for lines in ["exec sleep 1000", "sleep 1000 & wait", "echo word; exec sleep 1000"] {
        let fake = program(dir.path(), lines);
        let error = fake.probe(&path, &limits).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{lines}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("over 0.3 seconds in which it did nothing") && text.lines().count() == 1,
            "{text}"
        );
        let mut command = fake.guarded(&limits);
        command.arg("x");
        assert!(fake.run(command, &path, &limits).is_err());
        let mut video = ffmpeg().probe(fixture("one.mp4"), &limits).unwrap();
        video.sample_rate = Some(8000);
        assert!(fake.index(&video, &limits).is_err() && fake.audio(&video, &limits).is_err(), "{lines}");
    }
    // One that works is not, however long it says nothing.
    let busy = program(
        dir.path(),
        "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo '[error] done' >&2; exit 1",
    );
    let text = busy.probe(&path, &limits).unwrap_err().to_string();
    assert!(text.ends_with("found done"), "{text}");
}
