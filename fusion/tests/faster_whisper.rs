//! Whisper as faster-whisper keeps it, against CTranslate2 (fixtures/faster_whisper_models.py), and files that are none.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Modality, Mode};
use unisono_fusion::{Ability, FusionModel, Generation, Generator, Sequence};
use unisono_nn::tensors;

fn dir(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion").join(name)
}

fn near(what: &str, found: &Tensor, want: &Tensor) {
    assert_eq!(found.size(), want.size(), "{what}");
    let difference = (found - want).abs().max().double_value(&[]);
    println!("{what:28} {difference:.1e}");
    assert!(difference <= 1e-4, "{what}: {difference}");
}

fn audios(model: &FusionModel, mel: &Tensor) -> Sequence {
    let full = Tensor::full([mel.size()[0]], mel.size()[1], (Kind::Int64, Device::Cpu));
    let out = tch::no_grad(|| model.towers().forward_audio(mel, &full, Mode::Eval)).unwrap();
    Sequence { modality: Modality::Audio, tokens: out.tokens, mask: None, frame: 0 }
}

/// Each kind in which CTranslate2 keeps weights, against what CTranslate2 makes of it (fixtures/faster_whisper_models.py).
#[test]
fn faster_whispers_models_write() {
    let plain = FusionModel::load(&dir("whisper-speech"), Device::Cpu).unwrap();
    let g = tensors::read(&dir("whisper-ctranslate2").join("golden.safetensors")).unwrap().0;
    for kind in ["float32", "float16", "int16", "int8"] {
        let model = FusionModel::load(&dir("whisper-ctranslate2").join(kind), Device::Cpu).unwrap();
        let same = |a: &unisono_nn::Params, b: &unisono_nn::Params| {
            assert_eq!(
                a.iter().map(|(n, _)| n).collect::<Vec<_>>(),
                b.iter().map(|(n, _)| n).collect::<Vec<_>>()
            );
            a.iter().zip(b.iter()).all(|((_, p), (_, q))| p.tensor.equal(&q.tensor))
        };
        let equal =
            same(model.params(), plain.params()) && same(model.towers().params(), plain.towers().params());
        assert_eq!(equal, kind == "float32", "{kind}");
        let heard = audios(&model, &g["in.mel"]);
        let states = &g[&format!("{kind}.states")];
        near(&format!("{kind} states"), &heard.tokens, states);
        assert!((&heard.tokens - states).abs().max().double_value(&[]) <= 2e-5, "{kind}");
        let memory = model.cross_kv(&[heard]).unwrap();
        let mut options = Generation { max_length: 16, ..model.config().generation.clone() };
        // The script leaves the beginning alone.
        options.begin_suppress.clear();
        options.suppress.extend(110..160);
        let prompts = vec![vec![101, 103, 106, 110]; 4];
        let stack = model.writer().unwrap();
        let texts = Generator { stack, memory: Some(&memory), options: &options, rule: None, first: 0 };
        let want = Vec::<Vec<i64>>::try_from(&g[&format!("{kind}.ids")]).unwrap();
        for (found, want) in texts.run(&prompts, None).unwrap().into_iter().zip(want) {
            let want: Vec<i64> = want.into_iter().filter(|id| *id >= 0).collect();
            assert_eq!(found.ids[4..], want, "{kind}");
        }
    }
    // What its configuration leaves out, the tokenizer says.
    let kept = FusionModel::load(&dir("whisper-ctranslate2").join("int8"), Device::Cpu).unwrap();
    let (ours, theirs) = (kept.config(), plain.config());
    let speech = |of: &unisono_fusion::config::FusionConfig| {
        let s = of.speech.clone().unwrap();
        (s.languages, s.transcribe, s.translate, s.no_timestamps, s.previous, s.frames, s.stride)
    };
    assert_eq!(speech(ours), speech(theirs));
    assert_eq!((&ours.tokens, &ours.decoder), (&theirs.tokens, &theirs.decoder));
    assert_eq!(ours.generation, theirs.generation);
    assert_eq!(kept.abilities(), [Ability::Transcribe]);
}

#[test]
fn models_of_ctranslate2_that_are_none_are_refused() {
    let copy = |change: &dyn Fn(&std::path::Path)| {
        let to = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(dir("whisper-ctranslate2").join("int8")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
        }
        change(to.path());
        FusionModel::load(to.path(), Device::Cpu).map(|_| ()).unwrap_err().to_string()
    };
    let bytes = |to: &std::path::Path, change: &dyn Fn(&mut Vec<u8>)| {
        let path = to.join("model.bin");
        let mut all = std::fs::read(&path).unwrap();
        change(&mut all);
        std::fs::write(path, all).unwrap();
    };
    let at = |all: &[u8], name: &str| all.windows(name.len()).position(|w| w == name.as_bytes()).unwrap();
    let said = copy(&|to| bytes(to, &|all| all.truncate(5000)));
    assert!(said.contains("model.bin: no whole model of CTranslate2"), "{said}");
    let said = copy(&|to| bytes(to, &|all| all[6..17].copy_from_slice(b"OtherSpecXY")));
    assert!(said.contains("holds a OtherSpecXY of CTranslate2; WhisperSpec is read"), "{said}");
    // The number of a tensor without axes lies after its name, rank, kind and length.
    let said = copy(&|to| {
        bytes(to, &|all| {
            let name = "decoder/pre_norm";
            let place = at(all, name) + name.len() + 1 + 1 + 1 + 4;
            all[place] = 0;
        });
    });
    assert!(said.contains("decoder/pre_norm: expected 1, as Whisper has it, found 0"), "{said}");
    let said = copy(&|to| {
        bytes(to, &|all| {
            let place = at(all, "decoder/scale_alibi");
            all[place..place + 19].copy_from_slice(b"decoder/scale_other");
        });
    });
    assert!(said.contains("decoder/scale_other"), "{said}");
    let said = copy(&|to| std::fs::remove_file(to.join("tokenizer.json")).unwrap());
    assert!(said.contains("no tokenizer.json here"), "{said}");
    let said = copy(&|to| {
        std::fs::write(to.join("config.json"), r#"{"lang_ids": [102], "beams": 5}"#).unwrap();
    });
    assert!(said.contains("config.json: beams: expected no such key"), "{said}");
    let said = copy(&|to| std::fs::write(to.join("config.json"), r#"{"lang_ids": [999]}"#).unwrap());
    assert!(said.contains("lang_ids: expected ids of the tokenizer's tokens, found [999]"), "{said}");
}
