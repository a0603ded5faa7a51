//! Checkpoints of BLIP, CoCa and Whisper against the libraries that wrote them (fixtures/fusion.py): hidden states, scores, and the ids
//! that they generate.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Modality, Mode, Precision};
use unisono_fusion::config::EarlyStopping;
use unisono_fusion::speech::{Task, Transcription};
use unisono_fusion::{Ability, CrossKv, Error, FusionModel, Generation, Generator, Mask, Sequence};
use unisono_nn::tensors;

type Golden = BTreeMap<String, Tensor>;

fn dir(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion").join(name)
}

/// Each row of `[N, …]` as numbers.
fn rows(t: &Tensor) -> Vec<Vec<f32>> {
    (0..t.size()[0]).map(|i| Vec::<f32>::try_from(t.select(0, i).contiguous().view([-1])).unwrap()).collect()
}

fn load(name: &str) -> (FusionModel, Golden) {
    let model = FusionModel::load(&dir(name), Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"));
    (model, tensors::read(&dir(name).join("golden.safetensors")).unwrap().0)
}

fn near(what: &str, found: &Tensor, want: &Tensor) {
    assert_eq!(found.size(), want.size(), "{what}");
    let difference = (found - want).abs().max().double_value(&[]);
    println!("{what:28} {difference:.1e}");
    assert!(difference <= 1e-4, "{what}: {difference}");
}

fn images(model: &FusionModel, g: &Golden) -> Sequence {
    let out = tch::no_grad(|| model.towers().forward_image(&g["in.pixels"], Mode::Eval)).unwrap();
    Sequence { modality: Modality::Image, tokens: out.tokens, mask: out.mask, frame: 0 }
}

fn audios(model: &FusionModel, mel: &Tensor) -> Sequence {
    let full = Tensor::full([mel.size()[0]], mel.size()[1], (Kind::Int64, Device::Cpu));
    let out = tch::no_grad(|| model.towers().forward_audio(mel, &full, Mode::Eval)).unwrap();
    Sequence { modality: Modality::Audio, tokens: out.tokens, mask: None, frame: 0 }
}

/// The settings of fixtures/fusion.py.
fn settings(name: &str, end: &[i64], most: usize) -> Generation {
    let base = Generation { end: end.to_vec(), max_length: most, ..Generation::default() };
    match name {
        "greedy" => base,
        "greedy-rules" => Generation { repetition_penalty: 1.4, no_repeat_ngram: 2, min_length: 6, ..base },
        "beams-2" => Generation { beams: 2, ..base },
        "beams-3" => Generation { beams: 3, length_penalty: 0.4, ..base },
        "beams-3-rules" => {
            Generation { beams: 3, length_penalty: 2.0, repetition_penalty: 1.3, no_repeat_ngram: 3, ..base }
        }
        "beams-5" => Generation { beams: 5, length_penalty: -1.0, min_length: 5, ..base },
        "beams-5-full" => {
            Generation { beams: 5, early_stopping: EarlyStopping::Full, no_repeat_ngram: 2, ..base }
        }
        "beams-4-never" => {
            Generation { beams: 4, early_stopping: EarlyStopping::Never, length_penalty: 1.5, ..base }
        }
        other => panic!("{other}"),
    }
}

/// Every setting, with and without the cache, and packed; returns how many texts were compared.
fn generates(name: &str, most: &[(&str, usize)], memory: impl Fn(&FusionModel) -> CrossKv) -> usize {
    let found: Value =
        serde_json::from_str(&std::fs::read_to_string(dir(name).join("generated.json")).unwrap()).unwrap();
    let ids = |v: &Value| -> Vec<i64> { v.as_array().unwrap().iter().map(|i| i.as_i64().unwrap()).collect() };
    let mut compared = 0;
    for packed in [false, true] {
        let (mut model, _) = load(name);
        if packed {
            model.prepare(Precision::Fp32).unwrap();
        }
        let memory = memory(&model);
        for (kind, most) in most {
            let prompt = ids(&found["prompts"][kind]);
            let prompts = vec![prompt; memory.items() as usize];
            for (setting, want) in found["ids"][kind].as_object().unwrap() {
                let want: Vec<Vec<i64>> = want.as_array().unwrap().iter().map(ids).collect();
                for cache in [true, false] {
                    let end = &model.config().tokens.end;
                    let options = Generation { cache, ..settings(setting, end, *most) };
                    let stack = model.writer().unwrap();
                    let g =
                        Generator { stack, memory: Some(&memory), options: &options, rule: None, first: 0 };
                    let texts = g.run(&prompts, None).unwrap();
                    let ours: Vec<Vec<i64>> = texts.into_iter().map(|t| t.ids).collect();
                    assert_eq!(ours, want, "{name} {kind} {setting}, cache {cache}, packed {packed}");
                    compared += ours.len();
                }
            }
        }
    }
    compared
}

#[test]
fn blip_captions() {
    let (model, g) = load("blip-caption");
    assert_eq!(model.abilities(), [Ability::Caption]);
    let seen = images(&model, &g);
    near("blip image", &seen.tokens, &g["out.image"]);
    let memory = model.cross_kv(&[seen]).unwrap();
    let stack = model.writer().unwrap();
    tch::no_grad(|| {
        let hidden = stack.forward(&g["in.ids"], &Mask::Causal, Some(&memory), None, Mode::Eval).unwrap();
        near("blip hidden", &hidden, &g["out.hidden"]);
        near("blip scores", &stack.scores(&hidden).unwrap(), &g["out.scores"]);
    });
    let n = generates("blip-caption", &[("plain", 16), ("prompt", 18)], |m| {
        m.cross_kv(&[images(m, &g)]).unwrap()
    });
    assert_eq!(n, 6 * 8 * 2 * 4);
}

#[test]
fn blip_matches() {
    let (model, g) = load("blip-match");
    assert_eq!(model.abilities(), [Ability::Match]);
    let real = g["in.mask"].to_kind(Kind::Bool);
    tch::no_grad(|| {
        let (memory, mask) = model.memory(&[images(&model, &g)]).unwrap();
        let memory = model.reader().unwrap().cross_kv(&memory, mask.as_ref(), Mode::Eval).unwrap();
        let hidden = model.reader().unwrap().forward(
            &g["in.ids"],
            &Mask::keys(&real).unwrap(),
            Some(&memory),
            None,
            Mode::Eval,
        );
        let keep = real.to_kind(Kind::Float).unsqueeze(-1);
        near("blip match hidden", &(hidden.unwrap() * &keep), &(&g["out.hidden"] * &keep));
        near(
            "blip match",
            &model.match_logits(&g["in.ids"], &real, &memory, Mode::Eval).unwrap(),
            &g["out.match"],
        );
        let towers = model.towers();
        let text = towers.forward_text(&g["in.ids"], &real, Mode::Eval).unwrap();
        near(
            "blip text vector",
            &towers.project_raw(Modality::Text, &text.pooled).unwrap(),
            &g["out.text_vector"],
        );
        let image = towers.forward_image(&g["in.pixels"], Mode::Eval).unwrap();
        near(
            "blip image vector",
            &towers.project_raw(Modality::Image, &image.pooled).unwrap(),
            &g["out.image_vector"],
        );
    });
    let e = model.require(Ability::Ask).unwrap_err().to_string();
    assert_eq!(e, "this model has no answering head; it has: match");
}

#[test]
fn blip_answers() {
    let (model, g) = load("blip-answer");
    assert_eq!(model.abilities(), [Ability::Ask]);
    let real = Tensor::ones_like(&g["in.ids"]).to_kind(Kind::Bool);
    let considered = |m: &FusionModel| m.consider(&g["in.ids"], &real, &[images(m, &g)]).unwrap();
    let memory = considered(&model);
    let (n, a) = (4, 2);
    let answers = g["in.answers"].unsqueeze(0).repeat([n, 1, 1]).view([n * a, -1]);
    tch::no_grad(|| {
        let stack = model.writer().unwrap();
        let hidden = stack.forward(&answers, &Mask::Causal, Some(&memory), None, Mode::Eval).unwrap();
        let scores = stack.scores(&hidden).unwrap();
        near("blip answer scores", &scores.view([n, a, 4, -1]), &g["out.scores"]);
    });
    assert_eq!(generates("blip-answer", &[("plain", 14)], considered), 4 * 8 * 4);
}

#[test]
fn coca_captions() {
    let (model, g) = load("coca");
    assert_eq!(model.abilities(), [Ability::Caption]);
    let seen = images(&model, &g);
    near("coca image", &seen.tokens.narrow(1, 1, seen.tokens.size()[1] - 1), &g["out.image"]);
    let memory = model.cross_kv(&[seen]).unwrap();
    tch::no_grad(|| {
        let stack = model.writer().unwrap();
        let hidden = stack.forward(&g["in.ids"], &Mask::Causal, Some(&memory), None, Mode::Eval).unwrap();
        near("coca scores", &stack.scores(&hidden).unwrap(), &g["out.scores"]);
    });
    for cache in [true, false] {
        let options = Generation { max_length: 13, cache, ..Generation::default() };
        let stack = model.writer().unwrap();
        let generator = Generator { stack, memory: Some(&memory), options: &options, rule: None, first: 0 };
        let texts = generator.run(&vec![vec![95]; 4], None).unwrap();
        let want: Vec<Vec<i64>> = Vec::<Vec<i64>>::try_from(&g["out.greedy"]).unwrap();
        assert_eq!(texts.into_iter().map(|t| t.ids).collect::<Vec<_>>(), want);
    }
}

#[test]
fn whisper_writes() {
    let (model, g) = load("whisper");
    let heard = audios(&model, &g["in.mel"]);
    near("whisper audio", &heard.tokens, &g["out.audio"]);
    let memory = model.cross_kv(&[heard]).unwrap();
    tch::no_grad(|| {
        let stack = model.writer().unwrap();
        let hidden = stack.forward(&g["in.ids"], &Mask::Causal, Some(&memory), None, Mode::Eval).unwrap();
        near("whisper hidden", &hidden, &g["out.hidden"]);
        near("whisper scores", &stack.scores(&hidden).unwrap(), &g["out.scores"]);
    });
    let n = generates("whisper", &[("plain", 18)], |m| m.cross_kv(&[audios(m, &g["in.mel"])]).unwrap());
    assert_eq!(n, 5 * 8 * 4);
}

/// Windows, times, prompts and languages as transformers' own loop finds them, without fallback.
#[test]
fn whisper_transcribes() {
    let (model, g) = load("whisper-speech");
    assert_eq!(model.abilities(), [Ability::Transcribe]);
    let found: Value =
        serde_json::from_str(&std::fs::read_to_string(dir("whisper-speech").join("generated.json")).unwrap())
            .unwrap();
    let base = |timestamps: bool| Transcription {
        timestamps,
        temperatures: vec![0.0],
        compression_ratio: None,
        log_probability: None,
        no_speech: None,
        most: Some(20),
        ..Transcription::new(model.config().generation.clone())
    };
    let english = |o: Transcription| Transcription { language: Some("en".into()), ..o };
    let run = |mels: &[Vec<f32>], o: &Transcription| {
        model.transcribe(mels, o, &mut |_, _| ControlFlow::Continue(())).unwrap()
    };
    let short = rows(&g["in.mel"]);
    for (name, language, task) in [
        ("none", Some("de"), Task::Transcribe),
        ("translate", Some("fr"), Task::Translate),
        ("detect", None, Task::Transcribe),
    ] {
        let mut o = Transcription { language: language.map(String::from), task, ..base(false) };
        o.generation.suppress.extend(110..160);
        let all = run(&short, &o);
        for (i, want) in found[name].as_array().unwrap().iter().enumerate() {
            let ids: Vec<i64> = all[i].segments.iter().flat_map(|s| s.ids.clone()).collect();
            assert_eq!(serde_json::json!(ids), *want, "{name} {i}");
            assert_eq!(all[i].segments.len(), 1);
            let detected = ["en", "de", "fr"][found["languages"][i].as_u64().unwrap() as usize - 102];
            assert_eq!(all[i].language.as_deref(), Some(language.unwrap_or(detected)));
        }
    }
    let long = rows(&g["in.long"]);
    let silence = Transcription { no_speech: Some(SILENCE), log_probability: Some(LIKELY), ..base(true) };
    for (name, o) in [
        ("times", base(true)),
        ("times-beams", {
            let mut o = base(true);
            o.generation.beams = 3;
            // transformers' rule; ours is Whisper's own.
            o.generation.early_stopping = EarlyStopping::Heuristic;
            o
        }),
        ("previous", Transcription { condition: true, ..base(true) }),
        ("silence", silence),
    ] {
        let o = english(o);
        // Together and one by one.
        let together = run(&long, &o);
        for (i, want) in found[name].as_array().unwrap().iter().enumerate() {
            let alone = run(&long[i..=i], &o);
            assert_eq!(alone[0], together[i]);
            let want = want.as_array().unwrap();
            assert_eq!(alone[0].segments.len(), want.len(), "{name} {i}");
            for (s, want) in alone[0].segments.iter().zip(want) {
                assert_eq!(serde_json::json!(s.ids), want[2], "{name} {i}");
                assert!((s.start - want[0].as_f64().unwrap()).abs() < 1e-9);
                assert!((s.end - want[1].as_f64().unwrap()).abs() < 1e-9);
            }
        }
    }
    // Real speech, from its file.
    let wav = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/audio/speech.wav");
    let samples: Vec<f32> = hound::WavReader::open(wav)
        .unwrap()
        .into_samples::<i16>()
        .map(|s| f32::from(s.unwrap()) / 32768.0)
        .collect();
    let mel = model.towers().audio_processor().unwrap().whole(&samples).unwrap();
    let want = Vec::<f32>::try_from(g["in.real"].contiguous().view([-1])).unwrap();
    assert_eq!(mel.len(), want.len());
    let worst = mel.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst <= 1e-4, "log-mel of real speech: {worst}");
    let written = run(&[mel], &english(base(true)));
    let want = found["real"].as_array().unwrap();
    assert!(want.len() > 5);
    assert_eq!(written[0].segments.len(), want.len());
    for (s, want) in written[0].segments.iter().zip(want) {
        assert_eq!(serde_json::json!(s.ids), want[2]);
        assert!((s.start - want[0].as_f64().unwrap()).abs() < 1e-9);
        assert!((s.end - want[1].as_f64().unwrap()).abs() < 1e-9);
    }
    let e = model.transcribe(
        &short,
        &Transcription { language: Some("xx".into()), ..base(true) },
        &mut |_, _| ControlFlow::Continue(()),
    );
    assert_eq!(e.unwrap_err().to_string(), "language \"xx\": expected one of de, en, fr");
}

/// A watch that says stop when it is asked for the `last`-th time; how often it was asked.
fn asked<T>(last: usize, mut work: impl FnMut(&mut dyn FnMut() -> ControlFlow<()>) -> T) -> (T, usize) {
    let mut times = 0;
    let made = work(&mut || {
        times += 1;
        if times == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (made, times)
}

#[test]
fn a_stop_is_looked_at_before_each_token_of_each_window() {
    let (model, g) = load("whisper-speech");
    let long = rows(&g["in.long"]);
    for beams in [1, 3] {
        let mut o = Transcription {
            temperatures: vec![0.0],
            most: Some(8),
            language: Some("en".into()),
            ..Transcription::new(model.config().generation.clone())
        };
        o.generation.beams = beams;
        o.generation.suppress.extend(model.config().tokens.end.iter().copied());
        let run = |last| asked(last, |stop| model.transcribe(&long[..1], &o, &mut |_, _| stop()));
        let (whole, times) = run(usize::MAX);
        assert!(!whole.unwrap()[0].segments.is_empty());
        // More than one window, each with its tokens.
        assert!(times > 2 * 8, "{times}");
        for last in [1, 2, 7, 8, 9, 10, 11, times / 2, times - 3] {
            let (stopped, times) = run(last);
            assert!(matches!(stopped, Err(Error::Stopped)), "beams {beams}, {last}");
            assert_eq!(times, last, "asked again after it said stop");
        }
        // All is done by then.
        assert!(run(times).0.is_ok());
    }
}

/// Of fixtures/fusion.py.
const SILENCE: f64 = 0.001;
const LIKELY: f64 = -1.2;

#[test]
fn towers_alone_are_refused() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/checkpoints/clip-gelu");
    let e = FusionModel::load(&dir, Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("this clip model has towers only"), "{e}");
}
