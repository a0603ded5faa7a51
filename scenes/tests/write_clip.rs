//! FFmpeg cuts what it is told to: frames are told apart by their grey.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use unisono_media::video::{Ffmpeg, Frame, FrameOptions, VideoLimits};
use unisono_scenes::record::{FailureRecord, Moment, VideoRecord};
use unisono_scenes::write::{Cut, clip};

fn run(words: impl IntoIterator<Item = OsString>) {
    let ffmpeg = Ffmpeg::find(None).unwrap();
    let output = Command::new(ffmpeg.program()).args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Frame N is a plain grey of N, 400 of them repeat it from 0 every 200.
fn make(path: &Path, words: &str) {
    let greys = "nullsrc=s=64x48:r=25:d=16,geq=lum='16+mod(N,200)':cb=128:cr=128,format=yuv420p";
    let audio = "sine=frequency=440:duration=16";
    let mut all = format!("-hide_banner -nostdin -loglevel error -y -f lavfi -i {greys} -f lavfi -i {audio} -crf 1 -g 50 {words}")
        .split(' ')
        .map(OsString::from)
        .collect::<Vec<_>>();
    all.push(path.into());
    run(all);
}

fn frames(path: &Path) -> Vec<Frame> {
    let (ffmpeg, limits) = (Ffmpeg::find(None).unwrap(), VideoLimits::default());
    let video = ffmpeg.probe(path, &limits).unwrap();
    ffmpeg.frames(&video, &FrameOptions::default(), &limits).unwrap().map(|f| f.unwrap()).collect()
}

fn grey(frame: &Frame) -> i64 {
    (f64::from(frame.image.get_pixel(32, 24)[1]) * 219.0 / 255.0).round() as i64
}

fn check(dir: &Path, name: &str, words: &str) {
    let path: PathBuf = dir.join(name);
    make(&path, words);
    let source = frames(&path);
    let moment = |n: usize| Moment { frame: n as u64, time: source[n].time };
    let video = VideoRecord {
        path: path.clone(),
        size: (64, 48),
        sizes: Vec::new(),
        rate: None,
        variable_rate: false,
        start: moment(0),
        end: moment(source.len() - 1),
        audio: true,
        failures: FailureRecord::default(),
        detector: String::new(),
    };
    for (first, last) in [(0, 3), (137, 138), (349, 399)] {
        let out = dir.join(format!("{name}-{first}.mp4"));
        run(clip(&video, moment(first), moment(last), &Cut::default(), &out));
        let cut = frames(&out);
        assert_eq!(cut.len(), last - first, "{name} {first}");
        for (found, wanted) in cut.iter().zip(&source[first..last]) {
            assert!(
                (grey(found) - grey(wanted)).abs() <= 1,
                "{name} {first}: {} is not {}",
                grey(found),
                grey(wanted)
            );
            let since = |f: &Frame, start: &Frame| f.time.seconds() - start.time.seconds();
            assert!((since(found, &cut[0]) - since(wanted, &source[first])).abs() < 1e-4, "{name} {first}");
        }
        let probed = Ffmpeg::find(None).unwrap().probe(&out, &VideoLimits::default()).unwrap();
        assert!(probed.sample_rate.is_some(), "{name} {first}: no audio");

        let copy = dir.join(format!("{name}-{first}-copy.mkv"));
        run(clip(&video, moment(first), moment(last), &Cut::Copy, &copy));
        let copied: Vec<i64> = frames(&copy).iter().map(grey).collect();
        // A key frame is at most 50 frames before.
        let wanted: Vec<i64> = source[first..last].iter().map(grey).collect();
        assert!(copied.len() < last - first + 60, "{name} {first}: {}", copied.len());
        let holds =
            copied.windows(wanted.len()).any(|w| w.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1));
        assert!(holds, "{name} {first}: {copied:?} does not hold {wanted:?}");
    }
}

#[test]
fn frames_of_a_steady_rate() {
    check(tempfile::tempdir().unwrap().path(), "steady: 50%d.mp4", "-c:a aac");
}

#[test]
fn frames_of_a_changing_rate() {
    let jitter =
        "-vf setpts='N*0.04/TB+mod(N*7,5)*0.004/TB' -fps_mode passthrough -enc_time_base 1/90000 -c:a aac";
    check(tempfile::tempdir().unwrap().path(), "changing.mkv", jitter);
}

#[test]
fn frames_of_a_clock_that_starts_late() {
    check(tempfile::tempdir().unwrap().path(), "late.ts", "-output_ts_offset 5 -c:a mp2");
}
