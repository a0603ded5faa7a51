//! Speech in windows that are cut behind short sounds.
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::ControlFlow;
use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{AudioWindow, Modality, Mode, Precision};
use unisono_fusion::speech::{Transcript, Transcription};
use unisono_fusion::{FusionModel, Generation, Generator, Sequence};
use unisono_nn::tensors;

const BANDS: usize = 10;
/// Ids of times.
const TIMES: std::ops::Range<i64> = 110..160;

fn load() -> (FusionModel, Vec<f32>) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion/whisper-speech");
    let golden = tensors::read(&dir.join("golden.safetensors")).unwrap().0;
    let long = golden["in.long"].select(0, 0).contiguous().view([-1]);
    (FusionModel::load(&dir, Device::Cpu).unwrap(), Vec::<f32>::try_from(long).unwrap())
}

fn options(model: &FusionModel, window: AudioWindow) -> Transcription {
    Transcription {
        language: Some("en".into()),
        temperatures: vec![0.0],
        // Random weights are sure of nothing.
        compression_ratio: Some(99.0),
        log_probability: Some(-99.0),
        no_speech: None,
        most: Some(12),
        window,
        ..Transcription::new(model.config().generation.clone())
    }
}

/// Frames of a spectrogram, and silence to the end of a window of 100.
fn clip(mel: &[f32], from: usize, frames: usize) -> Vec<f32> {
    let mut clip = mel[from * BANDS..(from + frames) * BANDS].to_vec();
    let least = clip.iter().copied().fold(f32::INFINITY, f32::min);
    clip.resize(100 * BANDS, least - 0.1);
    clip
}

fn run(model: &FusionModel, mels: &[Vec<f32>], o: &Transcription) -> Vec<Transcript> {
    model.transcribe(mels, o, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

fn ids(t: &Transcript) -> Vec<i64> {
    t.segments.iter().flat_map(|s| s.ids.clone()).collect()
}

/// The first `heard` frames by themselves and silence behind, step by step → the ids of a text without times.
fn naive(model: &FusionModel, mel: &[f32], heard: usize, generation: &Generation) -> Vec<i64> {
    let towers = model.towers();
    let tokens = |mel: &[f32]| {
        let mel = Tensor::from_slice(mel).view([1, -1, BANDS as i64]);
        let lengths = Tensor::full([1], mel.size()[1], (Kind::Int64, Device::Cpu));
        tch::no_grad(|| towers.forward_audio(&mel, &lengths, Mode::Eval)).unwrap().tokens
    };
    let silence = tokens(&towers.audio_processor().unwrap().whole(&[0.0]).unwrap());
    let heard = tokens(&mel[..heard * BANDS]);
    let tokens = Tensor::cat(&[&heard, &silence.slice(1, heard.size()[1], None::<i64>, 1)], 1);
    let memory =
        model.cross_kv(&[Sequence { modality: Modality::Audio, tokens, mask: None, frame: 0 }]).unwrap();
    let speech = model.config().speech.as_ref().unwrap();
    let prompt = vec![
        model.config().tokens.start,
        speech.languages["en"],
        speech.transcribe.unwrap(),
        speech.no_timestamps,
    ];
    let options = Generation { max_length: prompt.len() + 12, ..generation.clone() };
    let stack = model.writer().unwrap();
    let texts = Generator { stack, memory: Some(&memory), options: &options, rule: None, first: 0 };
    let made = texts.run(&[prompt], None).unwrap().swap_remove(0);
    made.text(&model.config().tokens.end).to_vec()
}

/// A text from a cut window is that of a decoder which remembers the cut window and silence; one that goes round in circles is written again
/// from all of the window.
#[test]
fn short_sounds_are_written_from_short_windows() {
    for precision in [None, Some(Precision::Int8)] {
        let (mut model, mel) = load();
        if let Some(precision) = precision {
            model.prepare(precision).unwrap();
        }
        let mut again = 0;
        for (frames, from, once) in [(4, 0, 1), (11, 40, 1), (50, 20, 1), (4, 10, 0), (30, 0, 0), (50, 25, 0)]
        {
            let mut auto = Transcription { timestamps: false, ..options(&model, AudioWindow::Auto) };
            auto.generation.suppress.extend(TIMES);
            // No id twice: such texts go round in no circles.
            auto.generation.no_repeat_ngram = once;
            model.check_speech(&auto).unwrap();
            let clip = [clip(&mel, from, frames)];
            let heard = AudioWindow::Auto.heard(frames, 100);
            assert!(heard < 100);
            let found = ids(&run(&model, &clip, &auto)[0]);
            if found != naive(&model, &clip[0], heard, &auto.generation) {
                let whole = Transcription { window: AudioWindow::Whole, ..auto };
                assert_eq!(found, ids(&run(&model, &clip, &whole)[0]), "{from} {frames}");
                assert_eq!(once, 0, "{from} {frames}: not in circles");
                again += 1;
            }
        }
        assert!(again > 0, "random weights go round in circles");
    }
}

/// Nothing depends on what is written beside it: not the text, not the language, by whatever search.
#[test]
fn clips_of_all_lengths_share_a_batch() {
    let (model, mel) = load();
    let clips: Vec<Vec<f32>> = [(0, 1), (7, 4), (3, 33), (20, 34), (9, 50), (0, 99), (0, 100)]
        .map(|(from, n)| clip(&mel, from, n))
        .into();
    for (language, beams) in [(Some("en"), 1), (None, 1), (Some("de"), 3)] {
        let mut o = options(&model, AudioWindow::Auto);
        o.language = language.map(str::to_owned);
        o.generation.beams = beams;
        let together = run(&model, &clips, &o);
        for (clip, together) in clips.iter().zip(&together) {
            assert_eq!(run(&model, std::slice::from_ref(clip), &o)[0], *together);
        }
    }
}

#[test]
fn full_windows_are_the_same_and_silence_is_passed_over() {
    let (model, mel) = load();
    let (auto, whole) = (options(&model, AudioWindow::Auto), options(&model, AudioWindow::Whole));
    let full = [mel[..100 * BANDS].to_vec()];
    assert_eq!(run(&model, &full, &auto), run(&model, &full, &whole));
    let silent = [vec![-1.5; 250 * BANDS]];
    assert_eq!(run(&model, &silent, &auto)[0].segments, []);
    assert!(!run(&model, &silent, &whole)[0].segments.is_empty());
    // A long file moves on as ever, and no window begins in the silence at its end.
    let mut long = mel[..130 * BANDS].to_vec();
    long.resize(400 * BANDS, -9.0);
    let long = [long];
    let last = |o| run(&model, &long, o)[0].segments.iter().map(|s| s.start).fold(0.0, f64::max);
    assert!((1.0..2.3).contains(&last(&auto)) && last(&whole) > 2.3, "{} {}", last(&auto), last(&whole));
}
