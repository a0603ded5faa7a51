//! Layouts of sentence-transformers (fixtures/sentences.py): texts and images, from their words on, get the vectors that the library's `encode` gives.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::fixtures;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Input, Model, Precision, Prompt, Role, families};
use unisono_media::Blob;
use unisono_nn::tensors;
use unisono_processors::{Medium, Prepared};

fn folder(name: &str) -> PathBuf {
    fixtures().join("sentences").join(name)
}

fn copy(name: &str) -> tempfile::TempDir {
    support::copy(&folder(name))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Changes a JSON file.
fn with(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = json(path);
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

fn role(case: &Value) -> Option<Role> {
    case["role"].as_str().map(|r| if r == "query" { Role::Query } else { Role::Document })
}

/// The vectors of strings, not normalised, `batch` at a time.
fn vectors(model: &Model, texts: &[String], batch: usize) -> Tensor {
    let processor = model.text_processor().unwrap();
    let ids: Vec<Vec<i64>> = texts.iter().map(|t| processor.encode(t).unwrap()).collect();
    let parts =
        ids.chunks(batch).map(|part| model.embed(part.iter().map(|ids| Input::Text(ids)), false).unwrap());
    Tensor::cat(&parts.collect::<Vec<_>>(), 0)
}

fn distance(a: &Tensor, b: &Tensor, told: &str) -> f64 {
    assert_eq!(a.size(), b.size(), "{told}");
    (a - b).abs().max().double_value(&[])
}

/// The model of a case: by its role, with its prompt, cut to its size.
fn model_of(dir: &Path, case: &Value) -> Model {
    let mut model = Model::load_as(dir, role(case), Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    if let Some(text) = case["prompt"].as_str() {
        model.set_prompt(Prompt { name: None, text: text.to_owned() }).unwrap();
    }
    if let Some(name) = case["prompt_name"].as_str() {
        model.set_prompt_named(name).unwrap();
    }
    if let Some(dims) = case["dims"].as_i64() {
        model.set_dims(dims).unwrap();
    }
    model
}

fn check(dir: &Path) -> Vec<(String, f64)> {
    let name = dir.file_name().unwrap().to_string_lossy().into_owned();
    let (told, golden) =
        (json(&dir.join("golden.json")), tensors::read(&dir.join("golden.safetensors")).unwrap().0);
    let golden: std::collections::BTreeMap<String, Tensor> = golden.into_iter().collect();
    let texts: Vec<String> = serde_json::from_value(told["texts"].clone()).unwrap();
    let mut found = Vec::new();
    for (i, case) in told["cases"].as_array().unwrap().iter().enumerate() {
        let case_name = format!("{name} {i} {case}");
        let mut model = model_of(dir, case);
        for batch in [1, texts.len()] {
            let far = distance(&vectors(&model, &texts, batch), &golden[&i.to_string()], &case_name);
            found.push((case_name.clone(), far));
        }
        // As this project keeps it, packed: the same vectors, the prompts known by their names.
        let ours = tempfile::tempdir().unwrap();
        model.save(ours.path()).unwrap();
        let mut again = Model::load(ours.path(), Device::Cpu).unwrap();
        assert_eq!(again.config(), model.config());
        again.set_prompt(model.text_processor().unwrap().prompt().clone()).unwrap();
        again.set_dims(model.dims()).unwrap();
        again.prepare(Precision::Fp32).unwrap();
        model.prepare(Precision::Fp32).unwrap();
        assert_eq!(vectors(&again, &texts, 2), vectors(&model, &texts, 2), "{case_name}");
        assert_eq!(again.text_processor().unwrap().prompts(), model.text_processor().unwrap().prompts());
    }
    if let Some(image) = told["image"].as_str() {
        let model = Model::load(dir, Device::Cpu).unwrap();
        let blob = Blob::file(fixtures().join(image));
        let prepared = model.contract().prepare(Medium::Image(&blob)).unwrap();
        assert!(matches!(prepared, Prepared::Image(_)));
        let vector = model.embed([&prepared], false).unwrap();
        found.push((format!("{name} image"), distance(&vector, &golden["image"], &name)));
    }
    found
}

#[test]
fn every_layout_gives_the_vectors_of_its_library() {
    let mut dirs: Vec<PathBuf> =
        fs::read_dir(fixtures().join("sentences")).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    let found: Vec<(String, f64)> = dirs.iter().flat_map(|d| check(d)).collect();
    let table: Vec<String> = found.iter().map(|(n, d)| format!("{d:.1e}  {n}")).collect();
    println!("{}", table.join("\n"));
    assert!(dirs.len() >= 11 && found.len() >= 40, "{} {}", dirs.len(), found.len());
    assert!(found.iter().all(|(_, d)| *d <= 1e-5), "\n{}", table.join("\n"));
}

#[test]
fn an_encoder_below_the_folder_is_found_and_named() {
    for (name, family, below) in [
        ("legacy", "sentence-transformers", "0_Transformer 1_Pooling"),
        (
            "router",
            "sentence-transformers",
            "1_Normalize document_0_Transformer document_1_Pooling document_2_Dense query_0_StaticEmbedding",
        ),
        (
            "asym",
            "bert",
            "1_Pooling 2_Router 2_Router/document_0_Dense 2_Router/document_1_Dense 2_Router/query_0_Dense 3_Normalize",
        ),
        ("stack", "distilbert", "1_Pooling 2_Dense 3_LayerNorm 4_Dense 5_Dense 6_Normalize"),
    ] {
        assert_eq!(families::family(&folder(name)).unwrap(), family);
        let found = families::folders(&folder(name)).unwrap();
        assert_eq!(found.iter().map(|p| p.to_string_lossy()).collect::<Vec<_>>().join(" "), below);
    }
    assert!(families::folders(&fixtures().join("checkpoints/clip-quick")).unwrap().is_empty());
    let report = families::load(&folder("stack"), Device::Cpu).unwrap().report;
    assert!(report.is_exact() && report.ignored.is_empty());
}

/// What a role has is the model's own to say: prompts by their names, routes by theirs.
#[test]
fn roles_choose_prompts_and_routes() {
    let prompt = |name: &str, role| {
        let model = Model::load_as(&folder(name), role, Device::Cpu).unwrap();
        model.text_processor().unwrap().prompt().clone()
    };
    let named = |name: &str, text: &str| Prompt { name: Some(name.to_owned()), text: text.to_owned() };
    assert_eq!(prompt("instruct", None), named("other", "blue"));
    assert_eq!(prompt("instruct", Some(Role::Query)), named("query", "Find the red: "));
    assert_eq!(prompt("instruct", Some(Role::Document)), named("document", "a text: "));
    // The file says that documents have none.
    assert_eq!(prompt("modes", Some(Role::Document)), named("document", ""));
    assert_eq!(prompt("stack", Some(Role::Query)), named("query", ""));
    let depth = |role| {
        let model = Model::load_as(&folder("router"), role, Device::Cpu).unwrap();
        model.config().text.as_ref().unwrap().transformer.depth
    };
    assert_eq!([depth(None), depth(Some(Role::Query)), depth(Some(Role::Document))], [1, 0, 1]);
    let dir = copy("router");
    let path = dir.path().join("router_config.json");
    with(&path, |v| {
        v["parameters"]["route_mappings"] =
            serde_json::json!({"('query', None)": "document", "(None, 'text')": "query"})
    });
    let mapped = |role| {
        Model::load_as(dir.path(), role, Device::Cpu)
            .unwrap()
            .config()
            .text
            .clone()
            .unwrap()
            .transformer
            .depth
    };
    assert_eq!([mapped(None), mapped(Some(Role::Query)), mapped(Some(Role::Document))], [0, 1, 0]);
    with(&path, |v| v["parameters"] = serde_json::json!({"default_route": null, "allow_empty_key": false}));
    let e = Model::load(dir.path(), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("default_route: expected one of query, document, for texts of no role"), "{e}");
}

#[test]
fn sizes_that_were_trained_are_known() {
    let sizes = |name: &str| Model::load(&folder(name), Device::Cpu).unwrap().config().matryoshka.clone();
    let found = sizes("matryoshka").unwrap();
    assert_eq!((found.sizes.as_slice(), found.default), ([16, 8, 4].as_slice(), None));
    assert_eq!(sizes("embeddings").unwrap().default, Some(8));
    assert_eq!(sizes("modes"), None);
    let mut model = Model::load(&folder("matryoshka"), Device::Cpu).unwrap();
    let whole = model.embed_text(&["a red bus"]).unwrap();
    model.set_dims(4).unwrap();
    let cut = model.embed_text(&["a red bus"]).unwrap();
    let want = whole.narrow(1, 0, 4);
    assert!(distance(&cut, &(&want / want.norm()), "cut") < 1e-6);
    for dims in [0, 17, -1] {
        let e = model.set_dims(dims).unwrap_err().to_string();
        assert_eq!(e, format!("cannot cut embeddings to {dims} dimensions: this model's width is 16"));
    }
}

fn refused(dir: &Path) -> String {
    let said = match Model::load(dir, Device::Cpu) {
        Ok(_) => panic!("{}: read", dir.display()),
        Err(e) => e.to_string(),
    };
    assert!(!said.contains('\n'), "{said}");
    said
}

#[test]
fn what_does_not_fit_is_told_by_its_file() {
    type Break<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Break, &str); 17] = [
        (
            "stack",
            &|d| fs::remove_dir_all(d.join("3_LayerNorm")).unwrap(),
            "3_LayerNorm: not there, though a LayerNorm has its files in it",
        ),
        ("stack", &|d| fs::remove_dir_all(d.join("1_Pooling")).unwrap(), "1_Pooling: not there"),
        (
            "router",
            &|d| fs::remove_dir_all(d.join("document_0_Transformer")).unwrap(),
            "document_0_Transformer: not there",
        ),
        ("legacy", &|d| fs::remove_dir_all(d.join("0_Transformer")).unwrap(), "0_Transformer: not there"),
        (
            "stack",
            &|d| with(&d.join("2_Dense/config.json"), |v| v["in_features"] = 15.into()),
            "2_Dense/config.json: in_features: expected 16, the width of what comes before it, found 15",
        ),
        (
            "stack",
            &|d| with(&d.join("2_Dense/config.json"), |v| v["out_features"] = 13.into()),
            "2_Dense/model.safetensors: linear.weight: expected [13, 16] numbers, found [12, 16]",
        ),
        (
            "stack",
            &|d| with(&d.join("3_LayerNorm/config.json"), |v| v["dimension"] = 16.into()),
            "dimension: expected 12",
        ),
        (
            "stack",
            &|d| {
                with(&d.join("2_Dense/config.json"), |v| {
                    v["activation_function"] = "transformers.activations.NewGELU".into()
                })
            },
            "2_Dense/config.json: activation_function: expected torch.nn's Identity, Tanh",
        ),
        (
            "stack",
            &|d| with(&d.join("2_Dense/config.json"), |v| v["module_input_name"] = "token_embeddings".into()),
            "module_input_name: expected \"sentence_embedding\"",
        ),
        (
            "stack",
            &|d| with(&d.join("1_Pooling/config.json"), |v| v["pooling_mode"] = "median".into()),
            "1_Pooling/config.json: pooling_mode: expected cls, max, mean",
        ),
        (
            "stack",
            &|d| with(&d.join("1_Pooling/config.json"), |v| v["embedding_dimension"] = 12.into()),
            "embedding_dimension: expected 16, the width of the encoder",
        ),
        (
            "stack",
            &|d| with(&d.join("modules.json"), |v| v[2]["type"] = "sentence_transformers.models.LSTM".into()),
            "module \"LSTM\" is not supported here; expected Dense",
        ),
        (
            "stack",
            &|d| with(&d.join("modules.json"), |v| v[0]["type"] = "custom_st.Transformer".into()),
            "module \"custom_st.Transformer\" is code of its own",
        ),
        (
            "stack",
            &|d| {
                with(&d.join("modules.json"), |v| v[1]["type"] = "sentence_transformers.models.Dense".into())
            },
            "expected a Pooling after the Transformer, found Dense",
        ),
        (
            "clip",
            &|d| with(&d.join("modules.json"), |v| v[0]["type"] = "sentence_transformers.models.BoW".into()),
            "module \"BoW\" is not supported; expected Transformer",
        ),
        (
            "instruct",
            &|d| {
                with(&d.join("config_sentence_transformers.json"), |v| {
                    v["default_prompt_name"] = "none".into()
                })
            },
            "default_prompt_name: expected one of document, other, query, found \"none\"",
        ),
        (
            "modes",
            &|d| with(&d.join("modules.json"), |v| *v = serde_json::json!([])),
            "modules.json: expected modules, found none",
        ),
    ];
    for (name, breaks, want) in cases {
        let dir = copy(name);
        breaks(dir.path());
        let said = refused(dir.path());
        assert!(said.contains(want), "{said}\n{want}");
    }
    // A folder that was left empty is none in a copy from a hub: nothing was in it.
    let dir = copy("norm-first");
    fs::remove_dir_all(dir.path().join("2_Normalize")).unwrap();
    Model::load(dir.path(), Device::Cpu).unwrap();
}

#[test]
fn prompts_that_cannot_be_are_told() {
    let mut model = Model::load(&folder("instruct"), Device::Cpu).unwrap();
    let e = model.set_prompt_named("passage").unwrap_err().to_string();
    assert_eq!(e, "prompt \"passage\": this model has none of that name; it has: document, other, query");
    let long = Prompt { name: None, text: "red ".repeat(40) };
    let e = model.set_prompt(long).unwrap_err().to_string();
    assert!(e.contains("the context length is 20: it leaves no room for a text"), "{e}");
    assert_eq!(model.text_processor().unwrap().prompt().text, "blue");
    let image = fixtures().join("checkpoints/vit");
    let mut model = Model::load(&image, Device::Cpu).unwrap();
    model.set_role(Some(Role::Query)).unwrap();
    assert!(model.set_prompt_named("query").unwrap_err().to_string().contains("no text tower"));
}

/// Texts without words have no mean: one is no vector.
#[test]
fn a_text_without_tokens_is_refused_where_nothing_is_put_around_it() {
    let model = Model::load(&folder("embeddings"), Device::Cpu).unwrap();
    let e = model.embed_text(&[""]).unwrap_err().to_string();
    assert!(e.contains("a text without tokens"), "{e}");
    let long = vec!["red bus"; 3000].join(" ");
    let unit = model.embed_text(&[&long]).unwrap().square().sum(Kind::Float).double_value(&[]);
    assert!((unit - 1.0).abs() < 1e-5);
}
