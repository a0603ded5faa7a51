use super::*;
use crate::rng::{Purpose, rng};

fn random(n: u64) -> rand_chacha::ChaCha8Rng {
    rng(1, 0, n, Purpose::Audio)
}

fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
}

#[test]
fn the_default_changes_nothing() {
    let samples = [0.1, -0.2, 0.3];
    assert_eq!(AudioAugment::default().apply(&samples, 16_000, &mut random(0)), samples);
    AudioAugment::default().validate().unwrap();
}

#[test]
fn gain_is_in_decibels() {
    let augment = AudioAugment { gain_db: [20.0; 2], ..AudioAugment::default() };
    let out = augment.apply(&[0.01, -0.02], 16_000, &mut random(0));
    assert!((out[0] - 0.1).abs() < 1e-6 && (out[1] + 0.2).abs() < 1e-6, "{out:?}");
}

#[test]
fn a_window_lies_anywhere_in_a_longer_recording() {
    let ramp: Vec<f32> = (0..100).map(|k| k as f32).collect();
    let augment = AudioAugment { window: 0.02, ..AudioAugment::default() };
    let starts: std::collections::BTreeSet<usize> = (0..2000)
        .map(|n| {
            let cut = augment.cut(&ramp, 1000, &mut random(n));
            assert!(cut.len() == 20 && cut.windows(2).all(|w| w[1] == w[0] + 1.0));
            cut[0] as usize
        })
        .collect();
    assert_eq!(starts, (0..=80).collect());
    assert_eq!(augment.cut(&ramp[..20], 1000, &mut random(0)), &ramp[..20]);
    assert_eq!(augment.cut(&[], 1000, &mut random(0)), &[0f32; 0]);
    assert_eq!(AudioAugment::default().cut(&ramp, 1000, &mut random(0)), ramp);
}

#[test]
fn noise_comes_with_its_probability() {
    let samples = [0.5; 8];
    let made = AudioAugment { noise: 0.3, ..AudioAugment::default() };
    let mixed = AudioAugment { noise_source: Some("noises.jsonl".into()), ..made.clone() };
    let (mut changed, mut drawn) = (0, 0);
    for n in 0..4000 {
        changed += usize::from(made.apply(&samples, 16_000, &mut random(n)) != samples);
        drawn += usize::from(mixed.mixes(&mut random(n)));
        // That of a source is not made up beside it, and without one there is nothing to mix.
        assert_eq!(mixed.apply(&samples, 16_000, &mut random(n)), samples);
        assert!(!made.mixes(&mut random(n)));
    }
    // Five standard deviations.
    assert!((1055..=1345).contains(&changed) && (1055..=1345).contains(&drawn), "{changed} {drawn}");
}

#[test]
fn a_shift_fills_with_silence() {
    let mut later = [1.0, 2.0, 3.0, 4.0];
    shift_in_time(&mut later, 1);
    assert_eq!(later, [0.0, 1.0, 2.0, 3.0]);
    shift_in_time(&mut later, -2);
    assert_eq!(later, [2.0, 3.0, 0.0, 0.0]);
    shift_in_time(&mut later, 9);
    assert_eq!(later, [0.0; 4]);
    let augment = AudioAugment { shift: 0.001, ..AudioAugment::default() };
    let ones = [1.0; 100];
    for n in 0..50 {
        let out = augment.apply(&ones, 16_000, &mut random(n));
        let silent = out.iter().filter(|s| **s == 0.0).count();
        assert!(out.len() == 100 && silent <= 16);
    }
}

#[test]
fn speed_reads_a_line_faster() {
    let line: Vec<f32> = (0..100).map(|k| k as f32).collect();
    for speed in [0.5, 1.25, 2.0] {
        let out = stretch(&line, speed);
        assert_eq!(out.len(), (100.0 / speed).round() as usize);
        for (k, value) in out.iter().enumerate() {
            assert!((value - (k as f32 * speed).min(99.0)).abs() < 1e-4, "{speed}: {k}");
        }
    }
    assert!(stretch(&[], 2.0).is_empty());
}

#[test]
fn noise_has_the_ratio_asked_for() {
    let samples: Vec<f32> = (0..50_000).map(|k| (k as f32 * 0.3).sin() * 0.5).collect();
    let augment = AudioAugment { noise: 1.0, noise_snr_db: [20.0; 2], ..AudioAugment::default() };
    let out = augment.apply(&samples, 16_000, &mut random(0));
    let noise: Vec<f32> = out.iter().zip(&samples).map(|(a, b)| a - b).collect();
    let ratio = 10.0 * (power(&samples) / power(&noise)).log10();
    assert!((ratio - 20.0).abs() < 0.2, "{ratio} dB");
    assert!(augment.apply(&[], 16_000, &mut random(0)).is_empty());
    assert_eq!(augment.apply(&[0.0; 4], 16_000, &mut random(0)), [0.0; 4]);
}

#[test]
fn a_recipe_names_its_noises() {
    let text =
        r#"{"noise": 0.5, "noise_colour": "pink", "noise_source": {"path": "n.jsonl", "type": "manifest"}}"#;
    let read: AudioAugment = serde_json::from_str(text).unwrap();
    assert_eq!(
        (read.noise_colour, read.noise_source.as_ref().unwrap().name()),
        (NoiseColour::Pink, "n.jsonl".into())
    );
    assert_eq!(serde_json::from_str::<AudioAugment>(&serde_json::to_string(&read).unwrap()).unwrap(), read);
    let error = serde_json::from_str::<AudioAugment>(r#"{"noise_colour": "brown"}"#).unwrap_err().to_string();
    assert!(error.contains("unknown variant `brown`, expected `white` or `pink`"), "{error}");
}

#[test]
fn impossible_parameters_are_named() {
    let error =
        AudioAugment { speed: [0.0, 1.0], ..AudioAugment::default() }.validate().unwrap_err().to_string();
    assert_eq!(error, "speed must be [low, high] within [0.1, 10], found [0, 1]");
    assert!(serde_json::from_str::<AudioAugment>(r#"{"gain": 1}"#).is_err());
}
