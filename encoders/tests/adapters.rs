//! Adapters against `peft` (fixtures/adapters.py): the same files on the same weights give the same vectors and gradients, and what is written is
//! what peft wrote.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::{Golden, change, checkpoint, copy, distance, fixtures, golden};
use tch::{Device, Kind, Tensor};
use unisono_encoders::config::{AdapterConfig, AdapterKind};
use unisono_encoders::{Modality, Mode, Model, Precision, families, identity};
use unisono_nn::{number, tensors};

const MADE: [(&str, &str); 2] = [("lora", "clip-quick"), ("dora", "bert")];

fn made(name: &str) -> PathBuf {
    fixtures().join("adapters").join(name)
}

/// As the fixture's `adapter_config.json` says.
fn config(name: &str) -> AdapterConfig {
    let layers: &[&str] = match name {
        "lora" => &["*.attention.q", "*.attention.v", "*.mlp.fc1"],
        _ => &["*.attention.v", "*.attention.out", "text.blocks.*.mlp.fc2"],
    };
    let (_, base) = MADE.into_iter().find(|(made, _)| *made == name).unwrap();
    AdapterConfig {
        kind: if name == "lora" { AdapterKind::Lora } else { AdapterKind::Dora },
        rank: 2,
        alpha: if name == "lora" { 5.0 } else { 4.0 },
        rslora: name == "dora",
        dropout: 0.0,
        layers: layers.iter().map(|l| (*l).to_owned()).collect(),
        towers: Vec::new(),
        base: Some(base.into()),
        names: families::names(&checkpoint(base)).unwrap().layers,
    }
}

/// The model with the adapter beside its weights, and peft's name of each of the adapter's parameters.
fn beside(name: &str, base: &str) -> (Model, BTreeMap<String, String>) {
    let config = config(name);
    let model = Model::load(&checkpoint(base), Device::Cpu).unwrap().with_adapter(config.clone(), 1).unwrap();
    let (theirs, _) = tensors::read(&made(name).join("adapter_model.safetensors")).unwrap();
    let mut names = BTreeMap::new();
    for of in model.adaptable().iter().filter(|of| of.adapted) {
        let (general, block) = number(&of.layer);
        let module = config.names[&general].replace("{l}", &block);
        for (ours, end) in [
            ("lora_A", "lora_A.weight"),
            ("lora_B", "lora_B.weight"),
            ("lora_magnitude", "lora_magnitude_vector"),
        ] {
            let ours = format!("{}.{ours}", of.layer);
            if let Some(param) = model.params().get(&ours) {
                let named = format!("base_model.model.{module}.{end}");
                tch::no_grad(|| param.tensor.shallow_clone().copy_(&theirs[&named]));
                names.insert(ours, named);
            }
        }
    }
    assert_eq!(names.len(), theirs.len());
    (model, names)
}

/// The vectors by modality, as the checkpoint's golden inputs give them.
fn vectors(model: &Model, base: &str, mode: Mode) -> BTreeMap<Modality, Tensor> {
    let g = golden(&checkpoint(base));
    let mut found = BTreeMap::new();
    let ids = model.forward_text(&g["in.ids"], &g["in.mask"].to_kind(Kind::Bool), mode).unwrap();
    found.insert(Modality::Text, model.project_raw(Modality::Text, &ids.pooled).unwrap());
    if let Some(pixels) = g.get("in.pixels") {
        let out = model.forward_image(pixels, mode).unwrap();
        found.insert(Modality::Image, model.project_raw(Modality::Image, &out.pooled).unwrap());
    }
    found
}

fn hold(found: &BTreeMap<Modality, Tensor>, want: &Golden, what: &str) {
    for (modality, vectors) in found {
        let far = distance(vectors, &want[&format!("out.{modality}.vector")]);
        assert!(far < 1e-5, "{what} {modality}: {far}");
    }
}

#[test]
fn what_peft_made_gives_what_peft_gives() {
    for (name, base) in MADE {
        let want = golden(&made(name));
        let mut model = families::load(&made(name), Device::Cpu).unwrap().model;
        tch::no_grad(|| hold(&vectors(&model, base, Mode::Eval), &want, name));
        model.prepare(Precision::Fp32).unwrap();
        tch::no_grad(|| hold(&vectors(&model, base, Mode::Eval), &want, name));
        let plain = Model::load(&checkpoint(base), Device::Cpu).unwrap();
        let plain = tch::no_grad(|| vectors(&plain, base, Mode::Eval));
        assert!(distance(&plain[&Modality::Text], &want["out.text.vector"]) > 1e-2);
        // The identity is of both.
        let (whole, alone) = (identity(&made(name)).unwrap(), identity(&checkpoint(base)).unwrap());
        assert!(whole != alone && whole.len() == alone.len());
    }
}

#[test]
fn beside_the_weights_it_learns_what_peft_learns() {
    for (name, base) in MADE {
        let (model, names) = beside(name, base);
        let want = golden(&made(name));
        for (_, p) in model.params().iter().filter(|(n, _)| !names.contains_key(*n)) {
            let _ = p.tensor.set_requires_grad(false);
        }
        let found = vectors(&model, base, Mode::Train);
        hold(&found, &want, name);
        let loss = found.values().map(|v| {
            let i = Tensor::arange(v.numel() as i64, (Kind::Float, Device::Cpu)) + 1.0;
            (v.flatten(0, -1) * i.sin()).mean(Kind::Float)
        });
        loss.reduce(|a, b| a + b).unwrap().backward();
        let mut seen = 0;
        for (ours, theirs) in &names {
            let grad = model.params().get(ours).unwrap().tensor.grad();
            if let Some(want) = want.get(&format!("grad.{theirs}")) {
                let far = distance(&grad, want) / want.abs().max().double_value(&[]).max(1e-3);
                assert!(far < 1e-4, "{name} {ours}: {far}");
                seen += 1;
            }
        }
        assert!(seen >= 9, "{seen}");
    }
}

#[test]
fn what_is_written_is_what_peft_wrote() {
    for (name, base) in MADE {
        let (model, _) = beside(name, base);
        let want = golden(&made(name));
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path()).unwrap();
        let read = |dir: &Path| tensors::read(&dir.join("adapter_model.safetensors")).unwrap().0;
        assert_eq!(read(dir.path()), read(&made(name)));
        let said: serde_json::Value =
            unisono_processors::read_json(&dir.path().join("adapter_config.json")).unwrap();
        assert_eq!(
            (said["r"].as_i64(), said["use_dora"].as_bool(), said["base_model_name_or_path"].as_str()),
            (Some(2), Some(name == "dora"), Some(base))
        );
        // The whole folder is the model with its adapter beside; merged it is one without.
        let mut again = Model::load(dir.path(), Device::Cpu).unwrap();
        assert_eq!(again.config(), model.config());
        tch::no_grad(|| hold(&vectors(&again, base, Mode::Eval), &want, "read again"));
        again.prepare(Precision::Fp32).unwrap();
        tch::no_grad(|| hold(&vectors(&again, base, Mode::Eval), &want, "prepared"));
        let merged = model.merged().unwrap();
        assert!(
            merged.config().adapter.is_none() && merged.params().iter().all(|(n, _)| !n.contains("lora"))
        );
        tch::no_grad(|| hold(&vectors(&merged, base, Mode::Eval), &want, "merged"));
        // The small files alone, put on the base again.
        let alone = tempfile::tempdir().unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::copy(dir.path().join(file), alone.path().join(file)).unwrap();
        }
        let found = families::load_with(&checkpoint(base), alone.path(), None, Device::Cpu).unwrap().model;
        tch::no_grad(|| hold(&vectors(&found, base, Mode::Eval), &want, "the small files"));
        // Of a model of this project's own the names are its own.
        let own = tempfile::tempdir().unwrap();
        merged.save(own.path()).unwrap();
        let config = AdapterConfig { names: BTreeMap::new(), ..config(name) };
        let adapted = Model::load(own.path(), Device::Cpu).unwrap().with_adapter(config, 2).unwrap();
        adapted.save(dir.path()).unwrap();
        assert!(read(dir.path()).contains_key("base_model.model.text.blocks.0.attention.v.lora_A.weight"));
        std::fs::remove_file(dir.path().join("config.json")).unwrap();
        let found = families::load_with(own.path(), dir.path(), None, Device::Cpu).unwrap().model;
        // It was not trained: nothing is added.
        tch::no_grad(|| hold(&vectors(&found, base, Mode::Eval), &want, "our own names"));
    }
}

#[test]
fn nothing_changes_before_the_first_step() {
    for (name, base) in MADE {
        let plain = Model::load(&checkpoint(base), Device::Cpu).unwrap();
        let want = tch::no_grad(|| vectors(&plain, base, Mode::Eval));
        let adapted = plain.with_adapter(config(name), 7).unwrap();
        let found = tch::no_grad(|| vectors(&adapted, base, Mode::Eval));
        for (modality, vector) in &found {
            assert!(distance(vector, &want[modality]) < 1e-5, "{name} {modality}");
        }
    }
}

#[test]
fn what_does_not_belong_together_is_told() {
    let told = |dir: &Path, base: &str| {
        let refused = families::load_with(&fixtures().join(base), dir, None, Device::Cpu);
        refused.err().unwrap().to_string()
    };
    let said = told(&made("lora"), "checkpoints/bert");
    assert!(said.contains("the base model has no such linear layer"), "{said}");
    let said = told(&made("lora"), "sentences/clip-now");
    assert!(said.contains("text_model.encoder.layers.0.mlp.fc1: expected matrices for [24, 16]"), "{said}");
    let dir = copy(&made("lora"));
    for (key, value, expected) in [
        ("modules_to_save", serde_json::json!(["visual_projection"]), "modules_to_save: expected none"),
        ("bias", "all".into(), "bias: expected none"),
        ("peft_type", "IA3".into(), "peft_type: expected LORA"),
    ] {
        let dir = copy(dir.path());
        change(&dir.path().join("adapter_config.json"), |c| c[key] = value.clone());
        let said = told(dir.path(), "checkpoints/clip-quick");
        assert!(said.contains(expected) && !said.contains('\n'), "{said}");
    }
    change(&dir.path().join("adapter_config.json"), |c| {
        c["base_model_name_or_path"] = "nobody/nothing".into()
    });
    let said = families::load(dir.path(), Device::Cpu).err().unwrap().to_string();
    assert!(said.contains("nobody/nothing is neither a folder nor in the hub's cache"), "{said}");
    // An alpha of its own, which one of the modules has.
    let want = golden(&made("lora"));
    change(&dir.path().join("adapter_config.json"), |c| {
        c["alpha_pattern"] = serde_json::json!({"q_proj": 10})
    });
    let model = families::load_with(&checkpoint("clip-quick"), dir.path(), None, Device::Cpu).unwrap().model;
    let found = tch::no_grad(|| vectors(&model, "clip-quick", Mode::Eval));
    assert!(distance(&found[&Modality::Text], &want["out.text.vector"]) > 1e-4);
    let refused = Model::load(&checkpoint("bert"), Device::Cpu)
        .unwrap()
        .with_adapter(AdapterConfig { layers: vec!["text.blocks.*.attn.*".into()], ..config("dora") }, 1);
    let said = refused.err().unwrap().to_string();
    assert!(said.contains("adapter.match") && said.contains("text.blocks.0.attention.q"), "{said}");
}
