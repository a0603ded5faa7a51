use super::*;
use std::f64::consts::TAU;

fn sine(frequency: f64, rate: u32, samples: usize) -> Audio {
    let at = |k: usize| (TAU * frequency * k as f64 / f64::from(rate)).sin() as f32;
    Audio { samples: (0..samples).map(at).collect(), sample_rate: rate }
}

/// A resampled sine is the sine sampled at the new rate: same phase, so the delay is compensated.
#[test]
fn a_sine_stays_the_same_sine() {
    for (from, to) in [
        (44_100, 16_000),
        (22_050, 16_000),
        (8_000, 16_000),
        (48_000, 16_000),
        (16_000, 44_100),
        (11_025, 16_000),
    ] {
        for frequency in [300.0, 1_000.0, 3_000.0] {
            let out = resample(&sine(frequency, from, from as usize), to).unwrap();
            assert_eq!((out.samples.len(), out.sample_rate), (to as usize, to));
            let expected = sine(frequency, to, to as usize);
            // The first and last twentieth feel the sine's abrupt ends.
            let inner = to as usize / 20..to as usize * 19 / 20;
            let worst = out.samples[inner.clone()]
                .iter()
                .zip(&expected.samples[inner])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-3, "{from} to {to} Hz, {frequency} Hz: off by {worst}");
        }
    }
}

#[test]
fn what_the_new_rate_cannot_hold_is_removed() {
    let out = resample(&sine(12_000.0, 44_100, 44_100), 16_000).unwrap();
    let worst = out.samples[800..15_200].iter().fold(0.0f32, |m, s| m.max(s.abs()));
    assert!(worst < 2e-3, "aliased with {worst}");
}

#[test]
fn lengths_round_to_nearest() {
    for (samples, from, to) in [
        (1, 44_100, 16_000),
        (2, 44_100, 16_000),
        (1001, 44_100, 16_000),
        (7, 8_000, 44_100),
        (12_345, 22_050, 16_000),
        (3, 16_000, 16_000),
    ] {
        let out = resample(&sine(100.0, from, samples), to).unwrap();
        let exact = samples as f64 * f64::from(to) / f64::from(from);
        assert_eq!(out.samples.len(), exact.round() as usize, "{samples} samples from {from} to {to} Hz");
        assert!(out.samples.iter().all(|s| s.is_finite()));
    }
}

#[test]
fn twice_is_the_same() {
    let audio = sine(700.0, 44_100, 30_000);
    assert_eq!(resample(&audio, 16_000).unwrap(), resample(&audio, 16_000).unwrap());
    assert_eq!(resample(&audio, 44_100).unwrap(), audio);
    assert!(resample(&audio, 0).unwrap_err().to_string().contains("cannot resample from 44100 Hz to 0 Hz"));
}

/// The resampler's own way through the whole: the same bits, whatever pieces the samples come in.
#[test]
fn pieces_give_what_the_whole_gives() {
    for (from, to) in
        [(44_100, 16_000), (48_000, 16_000), (8_000, 44_100), (16_000, 48_000), (12_000, 12_000)]
    {
        for n in [1, 511, 512, 1023, 5_000, 44_100] {
            let audio = sine(440.0, from, n);
            let whole = resample(&audio, to).unwrap();
            if from != to {
                let (a, b) = (from as usize, to as usize);
                let reduced = a / gcd(a as i128, b as i128) as usize;
                let multiple = BLOCK.div_ceil(reduced.min(b / (a / reduced))).next_multiple_of(2);
                let mut reference = Fft::<f32>::new(a, b, reduced * multiple, 1, FixedSync::Both).unwrap();
                let input = InterleavedSlice::new(&audio.samples[..], 1, n).unwrap();
                let mut want = reference.process_all(&input, n, None).unwrap().take_data();
                want.resize(whole.samples.len(), 0.0);
                assert_eq!(whole.samples, want, "{n} samples from {from} to {to} Hz");
            }
            for size in [1, 7, 512, 4_096] {
                if n / size > 10_000 {
                    continue;
                }
                let (mut stream, mut found, mut piece) =
                    (Resampling::new(from, to).unwrap(), Vec::new(), Vec::new());
                for part in audio.samples.chunks(size) {
                    stream.push(part, &mut piece).unwrap();
                    // Nothing that was told is asked for again.
                    found.append(&mut piece);
                }
                stream.finish(&mut piece).unwrap();
                found.append(&mut piece);
                assert_eq!(found, whole.samples, "{n} samples from {from} to {to} Hz, {size} at a time");
            }
        }
    }
}

/// Bit for bit, wherever the part lies: what it is made of says where decoding has to begin.
#[test]
fn a_part_is_that_of_the_whole() {
    for (from, to) in [
        (44_100, 16_000),
        (16_000, 44_100),
        (48_000, 16_000),
        (22_050, 16_000),
        (8_000, 16_000),
        (16_000, 16_000),
    ] {
        let at = |k: usize| ((k * k % 1009) as f32 - 500.0) / 600.0;
        let source = Audio { samples: (0..30_000).map(at).collect(), sample_rate: from };
        let whole = resample(&source, to).unwrap().samples;
        let length = whole.len() as u64;
        assert_eq!(resampled(30_000, from, to).unwrap(), length);
        for k in 0..60u64 {
            let start = k * 7919 % length;
            let end = (start + [0, 1, 300, 5000, 40_000][k as usize % 5]).min(length);
            let needs = source_of(&(start..end), from, to).unwrap();
            let (first, last) = (needs.start.min(30_000) as usize, needs.end.min(30_000) as usize);
            let part = Audio { samples: source.samples[first..last].to_vec(), sample_rate: from };
            let found = resample_part(part, to, &(start..end)).unwrap();
            assert_eq!(found.sample_rate, to);
            assert!(found.samples == whole[start as usize..end as usize], "{from} to {to}: {start}..{end}");
            assert!(needs.end - needs.start <= (end - start) * u64::from(from) / u64::from(to) + 8192);
        }
    }
}
