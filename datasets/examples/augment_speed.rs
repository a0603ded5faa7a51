//! What each augmentation costs: the fastest of many rounds, so other work on the machine counts little.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use unisono_datasets::augment::{
    AudioAugment, Blur, Crop, Erase, ImageAugment, NoiseColour, PatchMask, SpectrogramAugment, TextAugment,
};
use unisono_datasets::rng::{Purpose, rng};
use unisono_media::image::{Rgb, RgbImage};

/// Rounds; the fastest counts.
const ROUNDS: u64 = 40;
/// Samples of a round.
const SAMPLES: u64 = 10;
/// Samples a second of an audio file.
const RATE: u32 = 16_000;

fn time<T>(name: &str, apply: impl Fn(&mut ChaCha8Rng) -> T) {
    let mut best = Duration::MAX;
    for round in 0..ROUNDS {
        let start = Instant::now();
        for sample in 0..SAMPLES {
            std::hint::black_box(apply(&mut rng(round, 0, sample, Purpose::Augment)));
        }
        best = best.min(start.elapsed() / SAMPLES as u32);
    }
    println!("{name:42} {best:?}");
}

fn main() {
    images();
    audio();
    spectrograms();
    let ids: Vec<i64> = (0..77).collect();
    let text = TextAugment { drop: 0.2, mask: 0.2 };
    time("text of 77 tokens: drop and mask", |r| text.apply(&ids, |i, _| i == 76, Some(9), r));
}

fn images() {
    let none = ImageAugment::default;
    let geometry = ImageAugment {
        crop: Crop { scale: [0.5, 1.2], ratio: [0.8, 1.25] },
        flip: 0.5,
        rotate: 15.0,
        ..none()
    };
    let full =
        ImageAugment { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 10.0, ..geometry.clone() };
    for (from, to) in [(96, 48), (96, 96), (280, 224)] {
        let img = RgbImage::from_fn(from, from, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
        let named =
            [("resize", none()), ("crop, flip and rotate", geometry.clone()), ("and colour", full.clone())];
        for (name, augment) in named {
            time(&format!("image of {from} to {to}: {name}"), |r| augment.apply(&img, (to, to), r));
        }
    }
    let img = RgbImage::from_fn(224, 224, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
    let blur = |sigma| Blur { probability: 1.0, sigma: [sigma; 2] };
    for (name, augment) in [
        ("nothing (a copy)", none()),
        ("flip", ImageAugment { flip: 1.0, ..none() }),
        ("brightness to hue", ImageAugment { brightness: 0.3, hue: 10.0, ..none() }),
        ("grayscale", ImageAugment { grayscale: 1.0, ..none() }),
        ("blur, sigma 0.5", ImageAugment { blur: blur(0.5), ..none() }),
        ("blur, sigma 2", ImageAugment { blur: blur(2.0), ..none() }),
        ("erase", ImageAugment { erase: Erase { probability: 1.0, ..Erase::default() }, ..none() }),
        (
            "patch_mask",
            ImageAugment { patch_mask: PatchMask { share: 0.5, ..PatchMask::default() }, ..none() },
        ),
    ] {
        time(&format!("image of 224: {name}"), |r| augment.apply(&img, (224, 224), r));
    }
}

fn audio() {
    let samples: Vec<f32> = (0..10 * RATE).map(|k| (k as f32 * 0.05).sin() * 0.5).collect();
    let none = AudioAugment::default;
    for (name, augment) in [
        ("nothing (a copy)", none()),
        ("gain_db", AudioAugment { gain_db: [-6.0, 6.0], ..none() }),
        ("shift", AudioAugment { shift: 0.5, ..none() }),
        ("speed", AudioAugment { speed: [0.9, 1.1], ..none() }),
        ("noise, white", AudioAugment { noise: 1.0, ..none() }),
        ("noise, pink", AudioAugment { noise: 1.0, noise_colour: NoiseColour::Pink, ..none() }),
    ] {
        time(&format!("audio of 10 s: {name}"), |r| augment.apply(&samples, RATE, r));
    }
    let window = AudioAugment { window: 5.0, ..none() };
    time("audio of 10 s: window of 5 s", |r| window.cut(&samples, RATE, r).len());
    time("audio of 10 s: noise of a recording", |r| {
        let mut mixed = samples.clone();
        none().mix(&mut mixed, &samples[..3 * RATE as usize], r);
        mixed
    });
}

fn spectrograms() {
    let mel = vec![0.5; 1000 * 64];
    let none = SpectrogramAugment::default;
    for (name, augment) in [
        ("nothing (a copy)", none()),
        ("time_masks", SpectrogramAugment { time_masks: 2, ..none() }),
        ("freq_masks", SpectrogramAugment { freq_masks: 2, ..none() }),
        ("time_stretch", SpectrogramAugment { time_stretch: [0.9, 1.1], ..none() }),
        ("freq_shift", SpectrogramAugment { freq_shift: 2, ..none() }),
        ("time_shift", SpectrogramAugment { time_shift: 0.1, ..none() }),
    ] {
        time(&format!("spectrogram of 1000 x 64: {name}"), |r| augment.apply(&mel, 64, 0.0, r));
    }
}
