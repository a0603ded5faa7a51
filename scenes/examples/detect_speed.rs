//! Milliseconds a frame of each step of finding cuts, on one core.
//!
//! ```text
//! cargo run --release -p unisono-scenes --example detect_speed
//! ```
#![allow(clippy::unwrap_used)]

use std::time::Instant;
use unisono_media::video::{Ratio, Time};
use unisono_scenes::detect::{
    AdaptiveSettings, Clock, ContentSettings, Detection, HashSettings, HistogramSettings, Image, Settings,
    Shrink, ThresholdSettings, Weights,
};

/// Few a round, so that a round fits between two others' turns on a busy machine.
const FRAMES: usize = 8;
const ROUNDS: usize = 150;

/// Slopes and noise that move.
fn frame(width: usize, height: usize, shift: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as usize
    };
    let plane = |width: usize, height: usize, noise: &mut dyn FnMut() -> usize| -> Vec<u8> {
        (0..width * height).map(|i| ((i % width + i / width * 2 + shift * 3) / 3 + noise()) as u8).collect()
    };
    let luma = plane(width, height, &mut noise);
    let (u, v) = (plane(width / 2, height / 2, &mut noise), plane(width / 2, height / 2, &mut noise));
    [luma, u, v].concat()
}

/// The fastest round.
fn measure(name: &str, mut each: impl FnMut(usize)) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..FRAMES).for_each(&mut each);
        best = best.min(start.elapsed().as_secs_f64() * 1e3 / FRAMES as f64);
    }
    println!("{name:<44}{best:>8.3} ms");
}

fn main() {
    for (width, height) in [(640, 360), (1280, 720), (1920, 1080), (3840, 2160)] {
        let frames: Vec<_> = (0..4).map(|i| frame(width, height, i * 7)).collect();
        let mut shrink = Shrink::new(width, height).unwrap();
        let mut image = Image::default();
        measure(&format!("image of {width} x {height} 4:2:0"), |i| {
            shrink.yuv420(&frames[i % 4], false, &mut image).unwrap();
        });
    }
    let (width, height) = (1280, 720);
    let frames: Vec<_> = (0..4).map(|i| frame(width, height, i * 7)).collect();
    let mut shrink = Shrink::new(width, height).unwrap();
    let size = shrink.small();
    let images: Vec<Image> = frames
        .iter()
        .map(|frame| {
            let mut image = Image::default();
            shrink.yuv420(frame, false, &mut image).unwrap();
            image
        })
        .collect();
    let base = Ratio { num: 1, den: 25 };
    let clock = Clock::new(Ratio { num: 25, den: 1 }, Time { pts: 0, base });
    let edges = Weights { edges: 1.0, ..Weights::default() };
    let all = [
        ("content", Settings::Content(ContentSettings::default())),
        ("content, luma only", Settings::Content(ContentSettings { luma_only: true, ..Default::default() })),
        ("content, with edges", Settings::Content(ContentSettings { weights: edges, ..Default::default() })),
        ("adaptive", Settings::Adaptive(AdaptiveSettings::default())),
        ("threshold", Settings::Threshold(ThresholdSettings::default())),
        ("histogram", Settings::Histogram(HistogramSettings::default())),
        ("hash", Settings::Hash(HashSettings::default())),
    ];
    for (name, settings) in &all {
        let mut detection = Detection::new(std::slice::from_ref(settings), clock, size, false).unwrap();
        let mut pts = 0;
        measure(&format!("{name}, image given"), |i| {
            pts += 1;
            detection.push(&images[i % 4], Time { pts, base });
        });
    }
    let some = |names: &[&str]| -> Vec<Settings> {
        all.iter().filter(|(name, _)| names.contains(name)).map(|(_, s)| s.clone()).collect()
    };
    for names in [&["content"][..], &["content", "adaptive", "threshold", "histogram", "hash"]] {
        let mut detection = Detection::new(&some(names), clock, size, false).unwrap();
        let mut image = Image::default();
        let mut pts = 0;
        measure(
            &format!("{width} x {height}, whole: {}", if names.len() == 1 { names[0] } else { "all five" }),
            |i| {
                pts += 1;
                shrink.yuv420(&frames[i % 4], false, &mut image).unwrap();
                detection.push(&image, Time { pts, base });
            },
        );
    }
}
