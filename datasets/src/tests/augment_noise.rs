use super::*;
use crate::augment::AudioAugment;
use crate::rng::{Purpose, rng};

fn random(n: u64) -> rand_chacha::ChaCha8Rng {
    rng(1, 0, n, Purpose::Noise)
}

fn tone(length: usize, loud: f32) -> Vec<f32> {
    (0..length).map(|k| (k as f32 * 0.3).sin() * loud).collect()
}

/// The decibels between a signal and what was added to it.
fn ratio(samples: &[f32], noisy: &[f32]) -> f64 {
    let added: Vec<f32> = noisy.iter().zip(samples).map(|(a, b)| a - b).collect();
    10.0 * (power(samples) / power(&added)).log10()
}

/// Power in a band of frequencies, shares of the sample rate, by sines and cosines of whole periods.
fn band(samples: &[f32], low: f64, high: f64) -> f64 {
    const BLOCK: usize = 2048;
    let bins = ((low * BLOCK as f64).round() as usize)..((high * BLOCK as f64).round() as usize);
    let mut sum = 0.0;
    for block in samples.chunks_exact(BLOCK) {
        for bin in bins.clone() {
            let (mut re, mut im) = (0.0, 0.0);
            for (k, s) in block.iter().enumerate() {
                let window = 0.5 - 0.5 * (std::f64::consts::TAU * k as f64 / BLOCK as f64).cos();
                let (sin, cos) = (std::f64::consts::TAU * (bin * k % BLOCK) as f64 / BLOCK as f64).sin_cos();
                re += window * f64::from(*s) * cos;
                im += window * f64::from(*s) * sin;
            }
            sum += re * re + im * im;
        }
    }
    sum
}

#[test]
fn recordings_are_mixed_at_the_ratio_asked_for() {
    let samples = tone(3000, 0.4);
    for (n, (length, snr)) in
        [(1, -5.0), (17, 0.0), (2999, 5.0), (3000, 20.0), (9000, 40.0)].into_iter().enumerate()
    {
        let mut stream = random(n as u64);
        let noise: Vec<f32> = (0..length).map(|_| 0.01 + stream.random::<f32>()).collect();
        let augment = AudioAugment { noise_snr_db: [snr; 2], ..AudioAugment::default() };
        let mut noisy = samples.clone();
        augment.mix(&mut noisy, &noise, &mut stream);
        assert!(
            (ratio(&samples, &noisy) - f64::from(snr)).abs() < 0.01,
            "{length}: {}",
            ratio(&samples, &noisy)
        );
    }
}

#[test]
fn a_short_recording_goes_round_and_a_long_one_is_cut() {
    let mut samples = vec![1.0, -1.0, 1.0, -1.0];
    mix(&mut samples, &[3.0, -3.0, 3.0], 2, 0.0);
    assert_eq!(samples, [2.0, 0.0, 0.0, 0.0]);
    let mut samples = vec![1.0, -1.0];
    mix(&mut samples, &[0.0, 0.0, 5.0, 5.0, 0.0], 2, 0.0);
    assert_eq!(samples, [2.0, 0.0]);
}

#[test]
fn silence_stays_and_adds_nothing() {
    for (samples, noise) in [
        (vec![0.0; 5], vec![1.0; 3]),
        (vec![0.5; 5], vec![0.0; 3]),
        (vec![0.5; 5], vec![]),
        (vec![], vec![1.0]),
    ] {
        let mut mixed = samples.clone();
        mix(&mut mixed, &noise, 1, 3.0);
        assert_eq!(mixed, samples);
        AudioAugment::default().mix(&mut mixed, &noise, &mut random(0));
        assert_eq!(mixed, samples);
    }
}

#[test]
fn pink_noise_has_equal_power_in_every_octave_at_the_ratio_asked_for() {
    let samples = tone(1 << 16, 0.5);
    let augment = AudioAugment {
        noise: 1.0,
        noise_snr_db: [12.0; 2],
        noise_colour: NoiseColour::Pink,
        ..AudioAugment::default()
    };
    let noisy = augment.apply(&samples, 16_000, &mut random(3));
    assert!((ratio(&samples, &noisy) - 12.0).abs() < 0.01);
    let made = pink(1 << 16, &mut random(4));
    let octaves: Vec<f64> =
        (2..6).map(|k| 0.25 / f64::from(1 << k)).map(|f| band(&made, f, 2.0 * f)).collect();
    let mean = octaves.iter().sum::<f64>() / octaves.len() as f64;
    for power in &octaves {
        assert!((10.0 * (power / mean).log10()).abs() < 1.0, "{octaves:?}");
    }
}
