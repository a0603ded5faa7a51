use super::*;
use crate::rng::{Purpose, rng};

const FILL: f32 = -9.0;

fn random(n: u64) -> rand_chacha::ChaCha8Rng {
    rng(1, 0, n, Purpose::Spectrogram)
}

/// `mel[t, f] = 100 t + f`.
fn ramp(frames: usize, n_mels: usize) -> Vec<f32> {
    (0..frames * n_mels).map(|i| (100 * (i / n_mels) + i % n_mels) as f32).collect()
}

#[test]
fn the_default_changes_nothing() {
    let mel = ramp(7, 5);
    assert_eq!(SpectrogramAugment::default().apply(&mel, 5, FILL, &mut random(0)), mel);
    SpectrogramAugment::default().validate().unwrap();
}

#[test]
fn masks_cover_whole_frames_and_whole_bands() {
    let mel = ramp(50, 20);
    let augment = SpectrogramAugment {
        time_masks: 1,
        time_width: 0.2,
        freq_masks: 1,
        freq_width: 0.25,
        ..Default::default()
    };
    for n in 0..100 {
        let out = augment.apply(&mel, 20, FILL, &mut random(n));
        let masked = |t: usize, f: usize| out[t * 20 + f] == FILL;
        let frames: Vec<usize> = (0..50).filter(|&t| (0..20).all(|f| masked(t, f))).collect();
        let bands: Vec<usize> = (0..20).filter(|&f| (0..50).all(|t| masked(t, f))).collect();
        assert!(frames.len() <= 10 && bands.len() <= 5);
        assert!(frames.windows(2).all(|w| w[1] == w[0] + 1) && bands.windows(2).all(|w| w[1] == w[0] + 1));
        for (i, value) in out.iter().enumerate() {
            let hidden = frames.contains(&(i / 20)) || bands.contains(&(i % 20));
            assert_eq!(*value, if hidden { FILL } else { mel[i] });
        }
    }
}

#[test]
fn stretching_keeps_a_ramp_a_ramp() {
    for factor in [0.5, 1.3, 2.0] {
        let out = stretch_time(&ramp(11, 3), 3, factor);
        let frames = (11.0 * factor).round() as usize;
        assert_eq!(out.len(), frames * 3);
        for (i, value) in out.iter().enumerate() {
            let expected = 1000.0 * (i / 3) as f32 / (frames - 1) as f32 + (i % 3) as f32;
            assert!((value - expected).abs() < 1e-2, "{factor}: {value} {expected}");
        }
    }
    assert_eq!(stretch_time(&[1.0, 2.0], 2, 0.1), [1.0, 2.0]);
}

#[test]
fn shifting_moves_bins() {
    let mut mel = ramp(2, 4);
    shift_bins(&mut mel, 4, 1, FILL);
    assert_eq!(mel, [FILL, 0.0, 1.0, 2.0, FILL, 100.0, 101.0, 102.0]);
    let mut mel = ramp(1, 4);
    shift_bins(&mut mel, 4, -3, FILL);
    assert_eq!(mel, [3.0, FILL, FILL, FILL]);
}

#[test]
fn shifting_moves_frames() {
    let mut mel = ramp(3, 2);
    shift_frames(&mut mel, 2, 1, FILL);
    assert_eq!(mel, [FILL, FILL, 0.0, 1.0, 100.0, 101.0]);
    let mut mel = ramp(3, 2);
    shift_frames(&mut mel, 2, -2, FILL);
    assert_eq!(mel, [200.0, 201.0, FILL, FILL, FILL, FILL]);
    // Every shift up to the largest, either way.
    let augment = SpectrogramAugment { time_shift: 0.2, ..SpectrogramAugment::default() };
    let mel = ramp(20, 3);
    let places: std::collections::BTreeSet<usize> = (0..200)
        .map(|n| {
            let out = augment.apply(&mel, 3, FILL, &mut random(n));
            assert_eq!(out.len(), mel.len());
            // Frame 10 is never moved out.
            out.iter().position(|v| *v == 1000.0).unwrap() / 3
        })
        .collect();
    assert_eq!(places, (6..=14).collect());
}

#[test]
fn small_and_odd_inputs_are_safe() {
    let all = SpectrogramAugment {
        time_masks: 3,
        time_width: 1.0,
        freq_masks: 3,
        freq_width: 1.0,
        time_stretch: [0.1, 3.0],
        freq_shift: 50,
        time_shift: 1.0,
    };
    for n in 0..50 {
        for (frames, n_mels) in [(1, 1), (1, 8), (9, 1), (30, 8)] {
            let out = all.apply(&ramp(frames, n_mels), n_mels, FILL, &mut random(n));
            assert!(!out.is_empty() && out.len().is_multiple_of(n_mels));
            assert_eq!(out, all.apply(&ramp(frames, n_mels), n_mels, FILL, &mut random(n)));
        }
    }
    assert!(all.apply(&[], 8, FILL, &mut random(0)).is_empty());
    assert_eq!(all.apply(&[1.0], 0, FILL, &mut random(0)), [1.0]);
}
