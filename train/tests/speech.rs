//! An audio tower with a decoder behind it, against the decoder run by itself, without a cache, a text at a time.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use support::things;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{AudioWindow, Modality, Model, Pass};
use unisono_fusion::FusionModel;
use unisono_media::Blob;
use unisono_nn::Mask;
use unisono_processors::Medium;
use unisono_train::{Options, Recipe, checkpoint, train};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn recipe(manifest: &Path, more: &str) -> Recipe {
    let towers = format!(
        "[tower.text]\nfrom = \"{}\"\nfrozen = true\n\
         [tower.audio]\nfrom = \"{}\"\nfrozen = true\nwindow = \"auto\"\npooling = [\"mean\", \"max\"]\n{more}\n",
        fixture("sentences/legacy").display(),
        fixture("fusion/whisper-speech").display()
    );
    let text = format!(
        "seed = 3\nsteps = 4\ndevice = \"cpu\"\nthreads = 1\n[model]\nembed_dim = 16\n{towers}\
         [[data]]\nname = \"things\"\nsource = \"{}\"\nsplit = \"train\"\nper_batch = 8\nuses = [\"text\", \"audio\"]\n\
         [[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 3e-3\n[loader]\nworkers = 2\n",
        manifest.display()
    );
    Recipe::parse(&text, Path::new("speech.toml")).unwrap()
}

/// Mean and maximum of the states behind what the decoder of the fixture writes, all of it computed again for every token. The ids are those
/// of its `generation_config.json`: 100 ends, 102 to 104 are languages, 105 is the task, 110 says that there are no times.
fn naive(fusion: &FusionModel, heard: &Tensor, most: usize) -> Tensor {
    let stack = fusion.writer().unwrap();
    let memory = stack.cross_kv(heard, None, Pass::EVAL).unwrap();
    let state = |ids: &[i64]| {
        let ids = Tensor::from_slice(ids).view([1, -1]);
        let all = stack.forward(&ids, &Mask::Causal, Some(&memory), None, Pass::EVAL).unwrap();
        all.select(1, ids.size()[1] - 1)
    };
    let scores = |state: &Tensor| Vec::<f32>::try_from(stack.scores(state).unwrap().view([-1])).unwrap();
    let best = |scores: &[f32], may: &dyn Fn(i64) -> bool| {
        let ids = (0..scores.len()).filter(|i| may(*i as i64));
        ids.max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap() as i64
    };
    let first = scores(&state(&[101]));
    let mut ids = vec![101, best(&first, &|id| (102..=104).contains(&id)), 105, 110];
    let mut states = Vec::new();
    for step in 0..most {
        let now = state(&ids);
        let begins = step == 0;
        let may = |id: i64| id <= 100 && ![1, 2, 7].contains(&id) && !(begins && [3, 100].contains(&id));
        let id = best(&scores(&now), &may);
        states.push(now);
        ids.push(id);
        if id == 100 {
            break;
        }
    }
    let states = Tensor::cat(&states, 0);
    Tensor::cat(&[states.mean_dim(0, false, Kind::Float), states.amax(0, false)], -1)
}

#[test]
fn what_a_decoder_says_stands_behind_what_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let out = dir.path().join("run");
    train(&recipe(&manifest, "decoder = \"translate\""), &out, Options::default(), &mut |_| ()).unwrap();
    let composed = Model::load(&checkpoint::model_dir(&out), Device::Cpu).unwrap();
    let Some(unisono_encoders::config::AudioConfig::Transformer(c)) = &composed.config().audio else {
        panic!("no audio tower")
    };
    let most = c.decoder.as_ref().unwrap().most as usize;
    let fusion = FusionModel::load(&fixture("fusion/whisper-speech"), Device::Cpu).unwrap();
    let mut names: Vec<String> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".wav"));
    names.sort();
    let prepared: Vec<_> = names
        .iter()
        .map(|name| {
            let audio = Blob::file(dir.path().join(name));
            composed.contract().prepare(Medium::Audio(&audio)).unwrap()
        })
        .collect();
    // A batch is its single ones, and each is what the decoder says by itself.
    let all = composed.pooled(&prepared).unwrap();
    for (i, one) in prepared.iter().enumerate() {
        let tokens = tch::no_grad(|| fusion.towers().features([one], &Pass::EVAL)).unwrap();
        let heard = &tokens.towers[&Modality::Audio].tokens[0].0;
        let ends = Tensor::cat(&[heard.mean_dim(1, false, Kind::Float), heard.amax(1, false)], -1).get(0);
        let want = Tensor::cat(&[ends, tch::no_grad(|| naive(&fusion, heard, most))], -1);
        let found = all.get(i as i64);
        assert_eq!(found.size(), want.size());
        let far = (found - want).abs().max().double_value(&[]);
        assert!(far < 1e-4, "{}: {far}", names[i]);
    }
    assert_eq!(composed.audio_window(), AudioWindow::Whole);
    assert!(!composed.cuts_windows());
}

#[test]
fn a_decoder_needs_a_model_that_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let mut other = recipe(&manifest, "decoder = \"translate\"");
    other.tower.get_mut(&Modality::Audio).unwrap().from = fixture("checkpoints/clap");
    let out = dir.path().join("run");
    let e = train(&other, &out, Options::default(), &mut |_| ()).unwrap_err().to_string();
    assert!(e.contains("towers only"), "{e}");
    let text = "seed = 1\nsteps = 1\n[model]\nembed_dim = 8\n[tower.audio]\nfrom = \"x\"\ndecoder = \"translate\"\n\
                [[data]]\nname = \"a\"\nsource = \"a.jsonl\"\nper_batch = 4\n[[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 1e-3\n";
    let path = dir.path().join("speech.toml");
    std::fs::write(&path, text).unwrap();
    let e = Recipe::load(&path, &[], &[]).unwrap_err().to_string();
    assert!(e.contains("tower.audio.decoder: writes what a frozen audio tower hears"), "{e}");
}
