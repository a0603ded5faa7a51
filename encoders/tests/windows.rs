//! Windows that are cut behind short sounds, against the tower run by itself on what is heard.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{AudioWindow, Input, Mode, Model, ModelConfig, Precision, Processors};
use unisono_processors::{LogMel, MelConfig};

fn whisper() -> Model {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion/whisper-speech");
    Model::load(&dir, Device::Cpu).unwrap()
}

/// A chirp; the fixture's window is 16,000 samples, 100 frames.
fn sound(samples: usize) -> Vec<f32> {
    (0..samples).map(|i| (i as f32 * (0.05 + i as f32 * 4e-6)).sin() * 0.4).collect()
}

/// The tokens of a spectrogram `[T, M]` by itself.
fn tokens(model: &Model, mel: &[f32]) -> Tensor {
    let mel = Tensor::from_slice(mel).view([1, -1, 10]);
    let lengths = Tensor::from_slice(&[mel.size()[1]]);
    tch::no_grad(|| model.forward_audio(&mel, &lengths, Mode::Eval)).unwrap().tokens
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// Embeddings are the mean of what the tower makes of the cut spectrogram, with its own positions, and of what it makes of silence behind it.
#[test]
fn what_is_heard_and_silence_behind_it() {
    for (precision, most) in [
        (None, 1e-5),
        (Some(Precision::Fp32), 1e-5),
        (Some(Precision::Bf16), 2e-2),
        (Some(Precision::Int8), 1e-5),
    ] {
        let mut model = whisper();
        if let Some(precision) = precision {
            model.prepare(precision).unwrap();
        }
        let lengths = [1500, 4000, 9000, 16_000];
        let whole: Vec<_> =
            lengths.map(|n| model.audio_processor().unwrap().process(&sound(n)).unwrap()).into();
        model.set_audio_window(AudioWindow::Auto).unwrap();
        let cut: Vec<_> =
            lengths.map(|n| model.audio_processor().unwrap().process(&sound(n)).unwrap()).into();
        let silence = tokens(&model, &model.audio_processor().unwrap().whole(&[0.0]).unwrap());
        assert_eq!(silence.size()[1], 50);
        let embedded = model.embed(cut.iter().map(|mel| Input::Audio(mel)), false).unwrap();
        for (i, (mel, whole)) in cut.iter().zip(&whole).enumerate() {
            assert_eq!(mel[..], whole[..mel.len()], "nothing but the end is cut");
            assert_eq!(mel.len() == whole.len(), i == 3, "{}", mel.len());
            let heard = tokens(&model, mel);
            let want = Tensor::cat(&[&heard, &silence.slice(1, heard.size()[1], None::<i64>, 1)], 1);
            let want = want.mean_dim(1i64, false, Kind::Float).get(0);
            let found = embedded.get(i as i64);
            assert!(far(&found, &want) <= most, "{precision:?} {i}: {}", far(&found, &want));
            // Not what a whole window gives, where something was cut, and not far from it.
            let all = tokens(&model, whole).mean_dim(1i64, false, Kind::Float).get(0);
            assert!((far(&all, &want) > 1e-6) == (i < 3), "{i}: {}", far(&all, &want));
            let cosine = Tensor::cosine_similarity(&all, &want, 0, 1e-8).double_value(&[]);
            assert!(cosine > 0.9, "{i}: {cosine}");
        }
    }
}

/// A long file that ends in digital silence is cut, too; what is not cut is the same to the last bit.
#[test]
fn a_window_that_is_full_stays() {
    let mut model = whisper();
    let full = model.audio_processor().unwrap().process(&sound(40_000)).unwrap();
    model.set_audio_window(AudioWindow::Auto).unwrap();
    let processor = model.audio_processor().unwrap();
    assert_eq!(processor.process(&sound(40_000)).unwrap(), full);
    let mut ends = sound(8000);
    ends.resize(40_000, 0.0);
    let cut = processor.process(&ends).unwrap();
    assert!(cut.len() < full.len() && cut.len() > 50 * 10);
    // Whole files, which are gone through window by window, are cut where they are written.
    assert_eq!(processor.whole(&sound(1000)).unwrap().len(), 1000);
}

#[test]
fn other_towers_hear_whole_windows() {
    let mel = MelConfig::speech(8, 40);
    let processors = Processors { audio: Some(LogMel::new(mel).unwrap()), ..Processors::default() };
    let config = r#"{"embed_dim": 8, "audio": {"mels": 8, "max_frames": 40, "stem": {"kind": "patch", "size": [4, 8]}, "pooling": "mean",
        "transformer": {"width": 8, "depth": 1, "heads": 2}}}"#;
    let config: ModelConfig = serde_json::from_str(config).unwrap();
    let mut model = Model::new(config, processors, 3, Device::Cpu).unwrap();
    assert!(!model.cuts_windows());
    model.set_audio_window(AudioWindow::Whole).unwrap();
    let e = model.set_audio_window(AudioWindow::Auto).unwrap_err().to_string();
    assert!(e.contains("windows cannot be cut"), "{e}");
    assert_eq!(model.audio_window(), AudioWindow::Whole);
}
