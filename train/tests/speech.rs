//! An audio tower with a decoder behind it, against the decoder run by itself, without a cache, a text at a time.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use support::things;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{AudioWindow, Modality, Model, Pass};
use unisono_fusion::FusionModel;
use unisono_media::Blob;
use unisono_nn::Mask;
use unisono_processors::Medium;
use unisono_train::{Event, Options, Recipe, checkpoint, train};

/// One training at a time: dropout draws from libtorch's generator, which belongs to the process.
static ALONE: Mutex<()> = Mutex::new(());

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn recipe(manifest: &Path, more: &str) -> Recipe {
    composed(manifest, "embed_dim = 16", "", more)
}

fn composed(manifest: &Path, model: &str, text: &str, more: &str) -> Recipe {
    let towers = format!(
        "[tower.text]\nfrom = \"{}\"\nfrozen = true\n{text}\n\
         [tower.audio]\nfrom = \"{}\"\nfrozen = true\nwindow = \"auto\"\npooling = [\"mean\", \"max\"]\n{more}\n",
        fixture("sentences/legacy").display(),
        fixture("fusion/whisper-speech").display()
    );
    let text = format!(
        "seed = 3\nsteps = 4\ndevice = \"cpu\"\nthreads = 1\n[model]\n{model}\n{towers}\
         [[data]]\nname = \"things\"\nsource = \"{}\"\nsplit = \"train\"\nper_batch = 8\nuses = [\"text\", \"audio\"]\n\
         [[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 3e-3\n[loader]\nworkers = 2\n",
        manifest.display()
    );
    Recipe::parse(&text, Path::new("speech.toml")).unwrap()
}

/// Mean and maximum of the states behind what the decoder of the fixture writes, all of it computed again for every token. The ids are those
/// of its `generation_config.json`: 100 ends, 102 to 104 are languages, 105 is the task, 110 says that there are no times.
fn naive(fusion: &FusionModel, heard: &Tensor, most: usize) -> (Tensor, Vec<u32>) {
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
    let written = ids.split_off(4).into_iter().map(|id| u32::try_from(id).unwrap()).collect();
    (Tensor::cat(&[states.mean_dim(0, false, Kind::Float), states.amax(0, false)], -1), written)
}

#[test]
fn what_a_decoder_says_stands_behind_what_is_heard() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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
        let want = Tensor::cat(&[ends, tch::no_grad(|| naive(&fusion, heard, most)).0], -1);
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
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

#[test]
fn what_a_decoder_writes_is_read_by_the_text_tower() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let projection = "projection = { kind = \"mlp\", hidden = 24, activation = \"gelu\", bias = true, norm = true, input_dropout = 0.2, dropout = 0.3 }";
    let more = format!("decoder = \"translate\"\nreads = true\n{projection}");
    let recipe = composed(&manifest, "embed_dim = 32", "projection = { kind = \"none\" }", &more);
    let run = |name: &str, stop_at: Option<u64>, resume: bool| {
        let stop = AtomicBool::new(false);
        let options = Options { stop: Some(&stop), resume, ..Options::default() };
        train(&recipe, &dir.path().join(name), options, &mut |event| {
            if matches!(event, Event::Step(s) if Some(s.step) == stop_at) {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
        fs::read(dir.path().join(name).join("last/model.safetensors")).unwrap()
    };
    // An interruption changes nothing, with dropout and standardised features.
    let whole = run("whole", None, false);
    run("parts", Some(2), false);
    assert!(whole == run("parts", None, true));

    let last = dir.path().join("whole/last");
    assert!(last.join("speech_tokenizer.json").is_file());
    let model = Model::load(&last, Device::Cpu).unwrap();
    let fusion = FusionModel::load(&fixture("fusion/whisper-speech"), Device::Cpu).unwrap();
    let wav = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path());
    let wav = wav.filter(|p| p.extension().is_some_and(|e| e == "wav")).min().unwrap();
    let one = model.contract().prepare(Medium::Audio(&Blob::file(&wav))).unwrap();
    let pooled = model.pooled([&one]).unwrap();
    let width = pooled.size()[1];
    let tail = pooled.narrow(1, width - 32, 32);

    let tokens = tch::no_grad(|| fusion.towers().features([&one], &Pass::EVAL)).unwrap();
    let heard = &tokens.towers[&Modality::Audio].tokens[0].0;
    let (_, ids) = tch::no_grad(|| naive(&fusion, heard, 24));
    let said = fusion.text().unwrap().tokenizer().decode(&ids, true).unwrap();
    let read = model.contract().prepare(Medium::Text(said.trim())).unwrap();
    let read = model.embed([&read], true).unwrap();
    let far = (&tail - &read).abs().max().double_value(&[]);
    assert!(far < 1e-5, "{said:?}: {far}");

    // The vector is what the layers make of all, and the text's times the factor.
    let p =
        |name: &str| model.params().get(&format!("audio.projection.{name}")).unwrap().tensor.shallow_clone();
    let x = (&pooled - p("norm.mean")) * p("norm.scale");
    let x = (x.matmul(&p("fc1.weight").tr()) + p("fc1.bias")).gelu("none");
    let sum = x.matmul(&p("fc2.weight").tr()) + p("fc2.bias") + &read * p("read");
    let want = &sum / sum.norm_scalaropt_dim(2, [-1i64], true);
    let far = (model.embed([&one], true).unwrap() - want).abs().max().double_value(&[]);
    assert!(far < 1e-5, "{far}");
    let trained = p("read").double_value(&[0]);
    assert!((trained - 32f64.sqrt()).abs() > 1e-6, "{trained}");
}

#[test]
fn nobody_reads_with_a_text_tower_that_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("speech.toml");
    let text = |tower: &str, more: &str| {
        format!(
            "seed = 1\nsteps = 1\n[model]\nembed_dim = 8\n[tower.text]\nfrom = \"t\"\n{tower}\n[tower.audio]\nfrom = \"x\"\nfrozen = true\n{more}\n\
             [[data]]\nname = \"a\"\nsource = \"a.jsonl\"\nper_batch = 4\n[[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 1e-3\n"
        )
    };
    let read = "decoder = \"translate\"\nreads = true";
    for (tower, more) in [
        ("projection = { kind = \"none\" }", read),
        ("frozen = true", read),
        ("frozen = true\nprojection = { kind = \"none\" }", "reads = true"),
    ] {
        fs::write(&path, text(tower, more)).unwrap();
        let e = Recipe::load(&path, &[], &[]).unwrap_err().to_string();
        assert!(e.contains("tower.audio.reads: "), "{e}");
    }
    let norm = "projection = { kind = \"mlp\", hidden = 8, activation = \"gelu\", norm = true }";
    fs::write(&path, text(norm, "")).unwrap();
    let e = Recipe::load(&path, &[], &[]).unwrap_err().to_string();
    assert!(e.contains("tower.text.projection.norm: is over the features of a frozen tower"), "{e}");
}
