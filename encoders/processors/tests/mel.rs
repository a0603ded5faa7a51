//! Spectrograms against the formulae they are defined by, summed naively in double precision.

#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use std::f64::consts::TAU;
use unisono_processors::{Fill, Framing, Frontend, Json, Log, LogMel, MelConfig, Scale};

/// The samples that frames are cut from: filled up or cut, then mirrored at both ends where frames are centred.
fn filled(c: &MelConfig, f: &Frontend, samples: &[f32]) -> Vec<f64> {
    let x: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
    let mut x = match f.fill {
        Fill::Frames => x[..x.len().min((c.max_frames - 1) * c.hop + c.window)].to_vec(),
        _ => x[..x.len().min(f.samples)].to_vec(),
    };
    let once = x.clone();
    match f.fill {
        Fill::Frames => {}
        Fill::Pad | Fill::Cut => x.resize(f.samples, 0.0),
        Fill::Repeat => {
            while x.len() < f.samples {
                x.push(once[x.len() % once.len()]);
            }
        }
        Fill::RepeatPad => {
            while x.len() + once.len() <= f.samples {
                x.extend(&once);
            }
            x.resize(f.samples, 0.0);
        }
    }
    if f.framing == Framing::Inside {
        return x;
    }
    // Walks to and fro between the ends.
    let half = c.n_fft / 2;
    let walk = |steps: usize, mut at: i64, mut by: i64| {
        let mut seen = Vec::new();
        for _ in 0..steps {
            if x.len() > 1 && !(0..x.len() as i64).contains(&(at + by)) {
                by = -by;
            }
            at = if x.len() > 1 { at + by } else { at };
            seen.push(x[at as usize]);
        }
        seen
    };
    let mut before = walk(half, 0, 1);
    before.reverse();
    [before, x.clone(), walk(half, x.len() as i64 - 1, -1)].concat()
}

fn mel(scale: Scale, hz: f64) -> f64 {
    match scale {
        Scale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        Scale::Kaldi => 1127.0 * (1.0 + hz / 700.0).ln(),
        Scale::Slaney if hz < 1000.0 => hz * 3.0 / 200.0,
        Scale::Slaney => 15.0 + 27.0 * (hz / 1000.0).ln() / 6.4f64.ln(),
    }
}

/// The frequency of a mel, found by halving: no inverse is written down.
fn hertz(scale: Scale, m: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if mel(scale, middle) < m { low = middle } else { high = middle }
    }
    low
}

fn naive(c: &MelConfig, f: &Frontend, samples: &[f32]) -> Vec<f64> {
    let x = filled(c, f, samples);
    let period = c.window as f64 - if f.symmetric { 1.0 } else { 0.0 };
    let (low, high) = (mel(f.scale, c.f_min.into()), mel(f.scale, c.f_max.into()));
    let edges: Vec<f64> =
        (0..c.mels + 2).map(|i| low + (high - low) * i as f64 / (c.mels as f64 + 1.0)).collect();
    let mut out = Vec::new();
    let mut start = 0;
    while start + c.window <= x.len() {
        let mut frame = x[start..start + c.window].to_vec();
        if f.remove_mean {
            let mean = frame.iter().sum::<f64>() / frame.len() as f64;
            frame.iter_mut().for_each(|v| *v -= mean);
        }
        let before = frame.clone();
        for (i, v) in frame.iter_mut().enumerate() {
            *v -= f.preemphasis * before[i.saturating_sub(1)];
            *v *= 0.5 - 0.5 * (TAU * i as f64 / period).cos();
        }
        let power: Vec<f64> = (0..=c.n_fft / 2)
            .map(|bin| {
                let angle = |n: usize| TAU * (bin * n) as f64 / c.n_fft as f64;
                let part = |wave: fn(f64) -> f64| -> f64 {
                    frame.iter().enumerate().map(|(n, v)| v * wave(angle(n))).sum()
                };
                part(f64::cos).powi(2) + part(f64::sin).powi(2)
            })
            .collect();
        for band in edges.windows(3) {
            let hz: Vec<f64> = band.iter().map(|m| hertz(f.scale, *m)).collect();
            let sum: f64 = power
                .iter()
                .enumerate()
                .map(|(bin, p)| {
                    let at = bin as f64 * f64::from(c.sample_rate) / c.n_fft as f64;
                    let (at, left, centre, right) = match f.scale {
                        Scale::Kaldi => (mel(f.scale, at), band[0], band[1], band[2]),
                        _ => (at, hz[0], hz[1], hz[2]),
                    };
                    let weight = if at <= left || at >= right {
                        0.0
                    } else if at <= centre {
                        (at - left) / (centre - left)
                    } else {
                        (right - at) / (right - centre)
                    };
                    p * weight * if f.scale == Scale::Slaney { 2.0 / (right - left) } else { 1.0 }
                })
                .sum();
            let sum = sum.max(c.floor.into());
            out.push(match f.log {
                Log::Ln => sum.ln(),
                Log::Log10 => sum.ln() / std::f64::consts::LN_10,
                Log::Decibel => 10.0 * sum.ln() / std::f64::consts::LN_10,
            });
        }
        start += c.hop;
    }
    if f.drop_last {
        out.truncate(out.len().saturating_sub(c.mels));
    }
    if let Some(range) = f.range {
        let most = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        out.iter_mut().for_each(|v| *v = v.max(most - range));
    }
    if f.fill == Fill::Frames {
        out.resize(c.max_frames * c.mels, 0.0);
    }
    out.into_iter().map(|v| (v - f64::from(c.mean)) / f64::from(c.std)).collect()
}

fn frontend(samples: usize) -> Frontend {
    Frontend {
        framing: Framing::Centered,
        scale: Scale::Slaney,
        log: Log::Ln,
        fill: Fill::Pad,
        samples,
        drop_last: false,
        symmetric: false,
        remove_mean: false,
        preemphasis: 0.0,
        range: None,
        fusion: false,
    }
}

fn config(frontend: Frontend) -> MelConfig {
    MelConfig {
        n_fft: 32,
        window: 24,
        hop: 10,
        f_min: 100.0,
        f_max: 3_900.0,
        sample_rate: 8_000,
        mean: -2.0,
        std: 3.0,
        frontend: Some(frontend),
        ..MelConfig::speech(5, 30)
    }
}

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.31).sin() * 0.6 + ((i * i) as f32 * 0.017).cos() * 0.3).collect()
}

fn agree(c: &MelConfig, samples: &[f32]) {
    let found = LogMel::new(c.clone()).unwrap().process(samples).unwrap();
    let want = naive(c, c.frontend.as_ref().unwrap(), samples);
    assert_eq!(found.len(), want.len(), "{c:?} of {} samples", samples.len());
    for (i, (a, b)) in found.iter().zip(&want).enumerate() {
        assert!((f64::from(*a) - b).abs() < 1e-5, "{c:?} of {} samples: value {i}: {a} {b}", samples.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn every_front_end_is_what_its_words_say(
        scale in prop::sample::select(vec![Scale::Htk, Scale::Slaney, Scale::Kaldi]),
        log in prop::sample::select(vec![Log::Ln, Log::Log10, Log::Decibel]),
        fill in prop::sample::select(vec![Fill::Pad, Fill::Repeat, Fill::RepeatPad, Fill::Frames]),
        framing in prop::sample::select(vec![Framing::Centered, Framing::Inside]),
        (drop_last, symmetric, remove_mean) in any::<(bool, bool, bool)>(),
        preemphasis in prop::sample::select(vec![0.0, 0.5, 0.97]),
        range in prop::option::of(0.5f64..6.0),
        length in prop::sample::select(vec![1usize, 2, 23, 24, 25, 60, 100, 101, 200]),
    ) {
        // Frames that are filled up stand where they are: none is dropped, and none is raised.
        let (drop_last, range) = if fill == Fill::Frames { (false, None) } else { (drop_last, range) };
        let samples = 100;
        let base = frontend(samples);
        agree(&config(Frontend { framing, scale, log, fill, drop_last, symmetric, remove_mean, preemphasis, range, ..base }), &wave(length));
    }
}

fn read(text: &str) -> Result<MelConfig, String> {
    let value = serde_json::from_str(text).unwrap();
    let json = Json::new("preprocessor_config.json".as_ref(), &value);
    MelConfig::from_hugging_face(json).map_err(|e| e.to_string())
}

#[test]
fn extractors_of_public_models_by_their_own_defaults() {
    // Small sizes, the rest as the libraries leave it out.
    let clap = r#"{"feature_extractor_type": "ClapFeatureExtractor", "sampling_rate": 8000, "fft_window_size": 64, "hop_length": 30,
        "feature_size": 6, "frequency_max": 4000, "nb_max_samples": 240, "max_length_s": 0.03, "truncation": "rand_trunc", "padding": "PADDING"}"#;
    for padding in ["repeatpad", "repeat", "pad"] {
        let c = read(&clap.replace("PADDING", padding)).unwrap();
        for n in [50, 240, 300] {
            agree(&c, &wave(n));
        }
    }
    assert!(
        read(&clap.replace("PADDING", "mirror"))
            .unwrap_err()
            .contains("padding: expected repeatpad, repeat or pad")
    );
    assert!(
        read(&clap.replace("rand_trunc", "cut").replace("PADDING", "pad"))
            .unwrap_err()
            .contains("truncation: ")
    );
    let whisper = r#"{"feature_extractor_type": "WhisperFeatureExtractor", "hop_length": 40, "n_fft": 64, "feature_size": 6, "chunk_length": 1}"#;
    let c = read(whisper).unwrap();
    assert_eq!(LogMel::new(c.clone()).unwrap().process(&wave(399)).unwrap().len(), 16_000 / 40 * 6);
    agree(&c, &wave(170));
    let ast = r#"{"feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": 6, "max_length": 4, "do_normalize": false}"#;
    let c = read(ast).unwrap();
    assert_eq!((c.mean, c.std), (0.0, 1.0));
    agree(&c, &wave(700));
    assert!(
        read(r#"{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}"#)
            .unwrap_err()
            .contains("expected ClapFeatureExtractor")
    );
    // A value that its key may not have, and settings that do not go together.
    assert!(read(&whisper.replace("64", "0")).unwrap_err().contains("n_fft"));
    assert!(read(&whisper.replace("\"feature_size\": 6", "\"feature_size\": 60")).is_err());
}

#[test]
fn four_views_of_a_long_recording() {
    let base = Frontend { fusion: true, scale: Scale::Htk, ..frontend(100) };
    let c = MelConfig { max_frames: 11, ..config(base.clone()) };
    let (m, frames) = (c.mels, c.max_frames);
    let x = wave(330);
    let found = LogMel::new(c.clone()).unwrap().process(&x).unwrap();
    assert_eq!(found.len(), 4 * frames * m);
    // The whole, as nothing is cut of it.
    let whole = naive(&c, &Frontend { samples: x.len(), ..base.clone() }, &x);
    let total = whole.len() / m;
    let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-5;
    for t in 0..frames {
        let at = ((t as f64 + 0.5) * total as f64 / frames as f64 - 0.5).max(0.0);
        for k in 0..m {
            let (low, high) = (at.floor() as usize, (at.floor() as usize + 1).min(total - 1));
            let want = whole[low * m + k] * (1.0 - at.fract()) + whole[high * m + k] * at.fract();
            assert!(near(found[t * m + k], want), "frame {t}");
        }
    }
    // One window from each third of the places where one may begin, the first of it.
    let places: Vec<usize> = (0..=total - frames).collect();
    let long = places.len().div_ceil(3);
    let (first, rest) = places.split_at(long);
    let second = rest.len().div_ceil(2);
    for (i, start) in [first[0], rest[0], rest[second]].into_iter().enumerate() {
        let part = &found[(i + 1) * frames * m..(i + 2) * frames * m];
        assert!(part.iter().zip(&whole[start * m..]).all(|(a, b)| near(*a, *b)), "third {i}");
    }
    // No longer than the model's: nothing to fuse.
    agree(&MelConfig { frontend: Some(Frontend { fusion: false, ..base }), ..c }, &x[..100]);
}

#[test]
fn a_whole_recording_is_its_windows_without_the_cut() {
    let base = Frontend { fill: Fill::Pad, ..frontend(100) };
    let c = config(base.clone());
    let plan = LogMel::new(c.clone()).unwrap();
    let x = wave(457);
    let want = naive(&c, &Frontend { samples: x.len(), ..base }, &x);
    let found = plan.whole(&x).unwrap();
    assert_eq!(found.len(), want.len());
    assert!(found.iter().zip(&want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5));
    assert_eq!(plan.whole(&x[..60]).unwrap(), plan.process(&x[..60]).unwrap());
    let mut broken = x;
    broken[300] = f32::INFINITY;
    assert!(plan.whole(&broken).unwrap_err().to_string().contains("sample 300 is inf"));
    // This project's own front end takes what it takes.
    let own = LogMel::new(MelConfig { max_frames: 3, ..MelConfig::speech(8, 3) }).unwrap();
    assert_eq!(own.whole(&wave(2000)).unwrap(), own.process(&wave(2000)).unwrap());
    assert_eq!((own.frames(0), own.frames(160), own.frames(161), own.frames(9999)), (1, 1, 2, 3));
}

#[test]
fn the_first_setting_that_cannot_be_is_named() {
    let good = config(frontend(100));
    good.validate().unwrap();
    let said = |c: MelConfig| LogMel::new(c).unwrap_err().to_string();
    let f = |change: fn(&mut Frontend)| {
        let mut frontend = frontend(100);
        change(&mut frontend);
        config(frontend)
    };
    for (c, key) in [
        (
            MelConfig { sample_rate: 99, ..good.clone() },
            "audio.sample_rate: expected 100 to 384000, found 99",
        ),
        (MelConfig { n_fft: 1 << 17, ..good.clone() }, "audio.n_fft"),
        (MelConfig { window: 33, ..good.clone() }, "audio.window: expected 1 to 32, found 33"),
        (MelConfig { mels: 17, ..good.clone() }, "audio.mels: expected 1 to 16"),
        (MelConfig { max_frames: 0, ..good.clone() }, "audio.max_frames"),
        (MelConfig { f_min: -1.0, ..good.clone() }, "audio.f_max"),
        (MelConfig { f_max: 4000.1, ..good.clone() }, "f_max <= 4000 Hz"),
        (MelConfig { f_min: f32::NAN, ..good.clone() }, "audio.f_max"),
        (MelConfig { floor: 0.0, ..good.clone() }, "audio.floor"),
        (MelConfig { std: -1.0, ..good.clone() }, "audio.floor"),
        (MelConfig { mean: f32::NAN, ..good.clone() }, "audio.floor"),
        (MelConfig { hop: 1, ..good.clone() }, "audio.hop: expected at least a quarter of the 5 bands"),
        (f(|f| f.samples = 0), "audio.frontend.samples"),
        (f(|f| f.samples = (1 << 25) + 1), "audio.frontend.samples"),
        (f(|f| f.preemphasis = 1.5), "audio.frontend.preemphasis: expected 0 to 1, found 1.5"),
        (f(|f| f.range = Some(0.0)), "audio.frontend.range"),
        (f(|f| f.range = Some(f64::NAN)), "audio.frontend.range"),
        (MelConfig { max_frames: 1 << 20, mels: 32, n_fft: 64, ..good.clone() }, "are 33554432 values"),
        (
            MelConfig { max_frames: 1 << 20, n_fft: 2048, ..good.clone() },
            "audio.n_fft: 1048576 frames of 2048 samples",
        ),
    ] {
        let said = said(c);
        assert!(said.contains(key), "{said}: {key}");
    }
}

#[test]
fn pieces_are_the_whole() {
    // Several pieces, of which the last is short; the loudest moment lies in one of them.
    let x: Vec<f32> =
        wave(40_000).iter().enumerate().map(|(i, v)| if i / 500 == 50 { *v } else { v * 1e-3 }).collect();
    for range in [None, Some(2.0)] {
        let base = Frontend { fill: Fill::Pad, range, ..frontend(100) };
        let plan = LogMel::new(config(base)).unwrap();
        let (mut all, mut pieces) = (Vec::new(), 0);
        let least = plan.whole_in_pieces(&x, &mut |piece| {
            all.extend_from_slice(piece);
            pieces += 1;
            Ok::<_, unisono_processors::Error>(())
        });
        let least = least.unwrap();
        assert_eq!(least.is_some(), range.is_some());
        if let Some(least) = least {
            assert!(all.iter().any(|v| *v < least), "nothing is raised");
            all.iter_mut().for_each(|v| *v = v.max(least));
        }
        let want =
            naive(plan.config(), &Frontend { samples: x.len(), range, fill: Fill::Pad, ..frontend(100) }, &x);
        assert_eq!(all, plan.whole(&x).unwrap());
        assert!(
            pieces > 1 && all.iter().zip(&want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5),
            "{pieces}"
        );
    }
    let plan = LogMel::new(config(frontend(100))).unwrap();
    let stop = |_: &[f32]| Err(unisono_processors::Error::Input("enough".into()));
    assert!(plan.whole_in_pieces(&x, &mut { stop }).unwrap_err().to_string().contains("enough"));
}

/// What cutting leaves is the beginning of the whole window, and the settings come back from their file.
#[test]
fn a_cut_window_is_the_beginning_of_the_whole_one() {
    let whole = LogMel::new(config(frontend(16_000))).unwrap();
    let cut = LogMel::new(whole.config().cut().unwrap()).unwrap();
    let told = serde_json::to_value(cut.config()).unwrap();
    assert_eq!(told["frontend"]["fill"], "cut");
    assert_eq!(&serde_json::from_value::<MelConfig>(told).unwrap(), cut.config());
    let x: Vec<f32> = (0..3000).map(|i| (i as f32 * 0.21).sin()).collect();
    let (all, some) = (whole.process(&x).unwrap(), cut.process(&x).unwrap());
    assert!(cut.cuts() && !whole.cuts() && some.len() < all.len());
    assert_eq!(some, all[..some.len()]);
}
