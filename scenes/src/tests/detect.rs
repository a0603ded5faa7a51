#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

//! The oracle is PySceneDetect 0.7 with OpenCV 5.0: `fixtures/scenes.py`.

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use unisono_media::video::{Ffmpeg, Ratio};

pub(super) type Size = (usize, usize);

#[derive(Deserialize)]
struct Golden {
    settings: BTreeMap<String, Settings>,
    videos: BTreeMap<String, Video>,
}

#[derive(Deserialize)]
struct Video {
    size: Size,
    small: Size,
    rate: (i64, i64),
    positions: Vec<i64>,
    images: Vec<u32>,
    cuts: BTreeMap<String, Vec<(u64, i64)>>,
}

#[derive(Deserialize)]
struct Statistics {
    names: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenes").join(name)
}

pub(super) fn load<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|i| (0..8).fold(i, |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 }))
        .collect();
    !bytes.iter().fold(!0u32, |crc, b| table[((crc ^ u32::from(*b)) & 255) as usize] ^ (crc >> 8))
}

/// A video as a plain run of FFmpeg gives it.
struct Decoded {
    size: Size,
    /// `None`: `bgr24`.
    full_range: Option<bool>,
    matrix: Matrix,
    rate: Ratio,
    frames: Vec<(Time, Vec<u8>)>,
}

fn word<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_once(key)?.1.split_whitespace().next()
}

fn run(name: &str, more: &[&str]) -> (Vec<u8>, String) {
    let mut child = Command::new(Ffmpeg::find(None).unwrap().program())
        .args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", "-i"])
        .arg(fixture(name))
        .args(["-map", "0:V:0", "-copyts", "-fps_mode", "passthrough", "-vf", "showinfo=checksum=0"])
        .args(more)
        .args(["-f", "rawvideo", "pipe:1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        err.read_to_end(&mut log).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    });
    let mut bytes = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    child.wait().unwrap();
    (bytes, log.join().unwrap())
}

/// Frames through their lengths, as the container has them.
fn mean_rate(name: &str) -> Ratio {
    let output = Command::new(Ffmpeg::find(None).unwrap().program())
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(fixture(name))
        .args(["-map", "0:V:0", "-c", "copy", "-copyts", "-f", "framecrc", "pipe:1"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let base: Ratio =
        text.lines().find_map(|line| line.strip_prefix("#tb 0: ")).unwrap().trim().parse().unwrap();
    let packets = text.lines().filter(|line| !line.starts_with('#'));
    let lengths: Vec<u32> =
        packets.map(|line| line.split(',').nth(3).unwrap().trim().parse().unwrap()).collect();
    Ratio { num: lengths.len() as u32 * base.den, den: lengths.iter().sum::<u32>() * base.num }
}

fn decode(name: &str) -> Decoded {
    let (mut bytes, log) = run(name, &[]);
    let shown = || log.lines().filter(|line| line.contains("Parsed_showinfo"));
    let first = shown().find(|line| line.contains(" fmt:")).unwrap();
    let colours = shown().find(|line| line.contains("color_space:"));
    let colour = |key| colours.and_then(|line| word(line, key));
    let full_range = match word(first, "fmt:").unwrap() {
        "yuv420p" => Some(colour("color_range:") == Some("pc")),
        "yuvj420p" => Some(true),
        _ => None,
    };
    let matrix = Matrix::named(colour("color_space:").unwrap_or("unknown"));
    if full_range.is_none() {
        bytes = run(name, &["-pix_fmt", "bgr24", "-sws_flags", "bicubic"]).0;
    }
    let (width, height) = word(first, " s:").unwrap().split_once('x').unwrap();
    let size = (width.parse().unwrap(), height.parse().unwrap());
    let config = shown().find(|line| line.contains("config in time_base")).unwrap();
    let base: Ratio = word(config, "time_base: ").unwrap().trim_end_matches(',').parse().unwrap();
    let guessed: Ratio = word(config, "frame_rate: ").unwrap().parse().unwrap();
    let about = log.lines().find(|line| line.contains(": Video: ")).unwrap();
    let told = about.split_once(" fps").map_or("0", |(before, _)| before.rsplit(' ').next().unwrap());
    let rate = average_rate(told.parse().unwrap(), &[guessed, mean_rate(name)]).unwrap();
    let times = shown().filter(|line| line.contains(" pts:")).map(|line| {
        let pts = line.split_once(" pts:").unwrap().1.trim_start();
        Time { pts: pts.split_whitespace().next().unwrap().parse().unwrap(), base }
    });
    let length = if full_range.is_some() { size.0 * size.1 / 2 * 3 } else { size.0 * size.1 * 3 };
    let frames = times.zip(bytes.chunks_exact(length).map(<[u8]>::to_vec)).collect();
    Decoded { size, full_range, matrix, rate, frames }
}

impl Decoded {
    fn clock(&self) -> Clock {
        Clock::new(self.rate, self.frames[0].0)
    }

    fn images(&self, mut each: impl FnMut(Time, &Image)) {
        let mut shrink = Shrink::new(self.size.0, self.size.1).unwrap();
        shrink.set_matrix(self.matrix);
        let mut image = Image::default();
        for (time, bytes) in &self.frames {
            match self.full_range {
                Some(full) => shrink.yuv420(bytes, full, &mut image).unwrap(),
                None => shrink.bgr(bytes, &mut image).unwrap(),
            }
            each(*time, &image);
        }
    }
}

#[test]
fn cuts_are_those_of_pyscenedetect() {
    let golden: Golden = load("golden.json");
    let settings: Vec<Settings> = golden.settings.values().cloned().collect();
    let mut wrong = Vec::new();
    for (name, expected) in &golden.videos {
        let video = decode(name);
        assert_eq!(video.size, expected.size, "{name}");
        let clock = video.clock();
        // FFmpeg's versions do not agree on the length of a last frame.
        let (rate, exact) = (clock.rate(), expected.rate);
        let near = (rate.0 as f64 / rate.1 as f64 - exact.0 as f64 / exact.1 as f64).abs() < 0.005;
        assert!(rate == exact || (name == "varied.mp4" && near), "{name}: {rate:?}, expected {exact:?}");
        let times = video.frames.iter().enumerate();
        let positions: Vec<i64> = times.map(|(i, (time, _))| clock.at(i as u64, *time).micros).collect();
        assert_eq!(positions, expected.positions, "{name}");
        let mut detection = Detection::new(&settings, clock, expected.small, false).unwrap();
        let mut sums = Vec::new();
        video.images(|time, image| {
            assert_eq!((image.width, image.height), expected.small, "{name}");
            sums.push(crc32(&image.interleaved()));
            detection.push(image, time);
        });
        // MPEG-4 leaves its decoders some freedom of rounding, and FFmpeg's versions use it.
        if name != "half.avi" {
            assert_eq!(sums, expected.images, "{name}");
        }
        let found = detection.finish();
        for (setting, cuts) in golden.settings.keys().zip(&found.cuts) {
            let cuts: Vec<(u64, i64)> = cuts.iter().map(|c| (c.frame, c.number)).collect();
            if cuts != expected.cuts[setting] {
                wrong.push(format!("{name} {setting}: {cuts:?}, expected {:?}", expected.cuts[setting]));
            }
        }
    }
    let all = golden.videos.len() * settings.len();
    assert!(wrong.is_empty(), "{} of {all} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn scores_are_those_of_pyscenedetect() {
    let all: BTreeMap<String, Statistics> = load("scores.json");
    let names = ["content", "adaptive", "threshold", "histogram", "hash"];
    let settings: Vec<Settings> =
        names.iter().map(|n| serde_json::from_str(&format!("{{\"detector\":\"{n}\"}}")).unwrap()).collect();
    for (name, expected) in all {
        let video = decode(&name);
        let small = Shrink::new(video.size.0, video.size.1).unwrap().small();
        let mut detection = Detection::new(&settings, video.clock(), small, true).unwrap();
        video.images(|time, image| detection.push(image, time));
        let found = detection.finish().scores;
        assert_eq!(found.names, expected.names);
        assert_eq!(found.rows.len(), expected.rows.len());
        for (frame, (row, golden)) in found.rows.iter().zip(&expected.rows).enumerate() {
            for ((column, value), golden) in found.names.iter().zip(row).zip(golden) {
                let near = if column.starts_with('h') { 1e-6 } else { 1e-9 };
                match golden {
                    Some(golden) => {
                        assert!((value - golden).abs() < near, "{name} {frame} {column}: {value}, {golden}")
                    }
                    None => assert!(value.is_nan(), "{name} {frame} {column}: {value}"),
                }
            }
        }
    }
}

#[test]
fn settings_are_whole_and_checked() {
    let read = |text: &str| toml::from_str::<Settings>(text);
    assert_eq!(read("detector = \"content\"").unwrap(), Settings::Content(ContentSettings::default()));
    let settings = read("detector = \"adaptive\"\nmin_scene_len = 0.5\nweights = { edges = 1.0 }").unwrap();
    let Settings::Adaptive(adaptive) = &settings else { panic!("{settings:?}") };
    assert_eq!(adaptive.min_scene_len, MinLength::Seconds(0.5));
    assert_eq!(adaptive.weights, Weights { edges: 1.0, ..Weights::default() });
    assert!(read("detector = \"content\"\ntreshold = 3").is_err());
    assert!(read("detector = \"transnet\"").is_err());
    for broken in [
        "detector = \"content\"\nthreshold = nan",
        "detector = \"content\"\nmin_scene_len = \"soon\"",
        "detector = \"content\"\nkernel_size = 4",
        "detector = \"content\"\nweights = { hue = 0.0, saturation = 0.0, luma = 0.0 }",
        "detector = \"content\"\nweights = { hue = -1.0 }",
        "detector = \"adaptive\"\nwindow_width = 0",
        "detector = \"adaptive\"\nmin_content_val = -1.0",
        "detector = \"threshold\"\nfade_bias = 1.5",
        "detector = \"threshold\"\nthreshold = 256",
        "detector = \"histogram\"\nbins = 0",
        "detector = \"histogram\"\nthreshold = 2.0",
        "detector = \"hash\"\nsize = 5\nlowpass = 3",
        "detector = \"hash\"\nsize = 0",
        "detector = \"hash\"\nsize = 256\nlowpass = 256",
    ] {
        let message = read(broken).unwrap().validate().unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains("expected") && message.contains('.'), "{message}");
    }
}

#[test]
fn frames_of_another_size_are_refused() {
    assert!(Shrink::new(0, 3).is_err());
    let mut image = Image::default();
    let mut shrink = Shrink::new(4, 4).unwrap();
    for length in [0, 23, 25, 48] {
        assert!(shrink.yuv420(&vec![0; length], false, &mut image).is_err());
    }
    assert!(shrink.bgr(&[0; 47], &mut image).is_err());
    assert!(Shrink::new(3, 4).unwrap().yuv420(&[0; 18], false, &mut image).is_err());
    assert!(shrink.yuv420(&[128; 24], true, &mut image).is_ok());
    assert_eq!(image.blue, [128; 16]);
}

#[test]
fn truth_names_frames_that_are_there() {
    #[derive(Deserialize)]
    struct Truth {
        kind: crate::record::EventKind,
        start: usize,
        end: usize,
    }
    let golden: Golden = load("golden.json");
    let truth: BTreeMap<String, Vec<Truth>> = load("truth.json");
    assert!(golden.videos.keys().eq(truth.keys()));
    for (name, events) in truth {
        let frames = golden.videos[&name].positions.len();
        assert!(events.windows(2).all(|w| w[0].start <= w[1].start && w[0].end <= w[1].start), "{name}");
        for event in events {
            let cut = event.kind == crate::record::EventKind::Cut;
            assert!(event.end <= frames && (event.start < event.end) != cut, "{name} {}", event.start);
        }
    }
}

#[test]
fn skipped_frames_keep_their_places() {
    let base = Ratio { num: 1, den: 25 };
    let time = |pts| Time { pts, base };
    let level = |value: u8| {
        let mut image = Image::new(2, 2);
        [&mut image.blue, &mut image.green, &mut image.red].into_iter().for_each(|p| p.fill(value));
        image
    };
    let settings = ["threshold", "adaptive"].map(|name| {
        serde_json::from_str(&format!("{{\"detector\":\"{name}\",\"min_scene_len\":0}}")).unwrap()
    });
    let clock = Clock::new(Ratio { num: 25, den: 1 }, time(0));
    let mut detection = Detection::new(&settings, clock, (2, 2), false).unwrap();
    for (pts, value) in [90, 90, 0, 0, 0, 0, 90, 90, 90, 90].into_iter().enumerate() {
        if pts == 3 { detection.skip(time(3)) } else { detection.push(&level(value), time(pts as i64)) }
    }
    let found = detection.finish();
    assert_eq!(found.scores.rows.len(), 10);
    assert!(found.scores.rows[3].iter().all(|v| v.is_nan()));
    // Out at 2, in at 6: the cut lies in the middle.
    assert_eq!((found.cuts[0][0].frame, found.cuts[0][0].fade), (4, Some((2, 6))));
    let ratios: Vec<bool> = found.scores.rows.iter().map(|row| !row[6].is_nan()).collect();
    assert_eq!(ratios, [false, false, true, false, true, true, true, true, false, false]);
    assert_eq!(found.cuts[1].iter().map(|c| c.frame).collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn no_frames_are_no_cuts() {
    let clock = Clock::new(Ratio { num: 25, den: 1 }, Time { pts: 0, base: Ratio { num: 1, den: 25 } });
    let settings = [
        Settings::Content(ContentSettings::default()),
        Settings::Threshold(ThresholdSettings { add_final_scene: true, ..ThresholdSettings::default() }),
    ];
    let found = Detection::new(&settings, clock, (2, 2), false).unwrap().finish();
    assert_eq!(found.cuts, [[], []]);
    assert!(found.scores.rows.is_empty());
}
