//! Public checkpoints against the libraries that wrote them (fixtures/checkpoints.py): the same inputs give the same tokens, pooled
//! vectors and projected vectors.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use support::{Golden, checkpoint, copy, copy_folder, distance, fixtures, golden};
use tch::{Device, Kind, Tensor};
use unisono_encoders::clips::Clips;
use unisono_encoders::export::{self, Format};
use unisono_encoders::{Gathered, Modality, Mode, Model, Precision, TowerOutput, families};

/// The largest difference, before normalisation; tokens where they are real.
fn compare(model: &Model, m: Modality, out: &TowerOutput, golden: &Golden, rows: Option<i64>) -> f64 {
    let want = |what: &str| {
        let t = golden.get(&format!("out.{m}.{what}"))?;
        Some(match rows {
            Some(i) => t.narrow(0, i, 1),
            None => t.shallow_clone(),
        })
    };
    let mut worst = 0f64;
    if let Some(tokens) = want("tokens") {
        let n = out.tokens.size()[1];
        let real = match &out.mask {
            Some(m) => m.to_kind(Kind::Float).unsqueeze(-1),
            None => Tensor::from(1f32),
        };
        worst = distance(&(&out.tokens * &real), &(tokens.narrow(1, 0, n) * &real));
    }
    worst = worst.max(distance(&out.pooled, &want("pooled").unwrap()));
    worst.max(distance(&model.project_raw(m, &out.pooled).unwrap(), &want("vector").unwrap()))
}

fn check(dir: &Path, prepared: bool) -> Vec<(String, f64)> {
    let name = dir.file_name().unwrap().to_string_lossy().into_owned();
    let imported = families::load(dir, Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (mut model, g) = (imported.model, golden(dir));
    if prepared {
        model.prepare(Precision::Fp32).unwrap();
    }
    assert!(imported.report.is_exact() && imported.report.loaded > 10);
    let mut found = Vec::new();
    tch::no_grad(|| {
        if let Some(ids) = g.get("in.ids") {
            let mask = g["in.mask"].to_kind(Kind::Bool);
            let out = model.forward_text(ids, &mask, Mode::Eval).unwrap();
            found.push((format!("{name} text"), compare(&model, Modality::Text, &out, &g, None)));
        }
        if let Some(pixels) = g.get("in.pixels") {
            let out = model.forward_image(pixels, Mode::Eval).unwrap();
            found.push((format!("{name} image"), compare(&model, Modality::Image, &out, &g, None)));
        }
        if let Some(video) = g.get("in.video") {
            let (b, f) = (video.size()[0], video.size()[1]);
            let clips = Clips::new(&vec![f as usize; b as usize], Device::Cpu).unwrap();
            let pixels = video.flatten(0, 1);
            let out = model.forward_frames(&pixels, f, Mode::Eval).unwrap();
            let vectors = model.project_raw(Modality::Image, &out.pooled).unwrap();
            let pooled = model.forward_video(&out.pooled, &clips, None, Mode::Eval).unwrap();
            let texts =
                model.forward_text(&g["in.ids"], &g["in.mask"].to_kind(Kind::Bool), Mode::Eval).unwrap();
            let texts = model.project_raw(Modality::Text, &texts.pooled).unwrap();
            let (tokens, frames) = (out.tokens.shallow_clone(), out.pooled.shallow_clone());
            let seen = Gathered { pooled: out.pooled, tokens: Some((out.tokens, out.mask)), flops: 0.0 };
            for (what, ours) in [
                ("frames.tokens", tokens),
                ("frames.pooled", frames),
                ("frames.vector", vectors),
                ("video.unit", model.project(Modality::Video, &pooled).unwrap()),
                ("video.pooled", pooled),
                ("logits", model.logits_of_frames(&texts, &seen, &clips).unwrap()),
            ] {
                found.push((format!("{name} {what}"), distance(&ours, &g[&format!("out.{what}")])));
            }
        }
        for i in 0..3 {
            if let Some(image) = g.get(&format!("in.picture.{i}")) {
                let out = model.forward_image(&image.unsqueeze(0), Mode::Eval).unwrap();
                found
                    .push((format!("{name} image {i}"), compare(&model, Modality::Image, &out, &g, Some(i))));
            }
        }
        if let Some(mel) = g.get("in.mel") {
            let full = Tensor::full([3], mel.size()[1], (Kind::Int64, Device::Cpu));
            let lengths = g.get("in.own").unwrap_or(&full).shallow_clone();
            let out = model.forward_audio(mel, &lengths, Mode::Eval).unwrap();
            found.push((format!("{name} audio"), compare(&model, Modality::Audio, &out, &g, None)));
        }
    });
    assert!(!found.is_empty(), "{name}: no inputs");
    for (what, name) in [
        (model.logit_scale(Modality::Text, Modality::Image), "scale"),
        (model.logit_bias(Modality::Text, Modality::Image), "bias"),
    ] {
        if let (Some(ours), Some(theirs)) = (what, g.get(&format!("out.logit_{name}"))) {
            assert_eq!(ours.double_value(&[]), theirs.view([-1]).double_value(&[0]));
        }
    }
    found
}

#[test]
fn every_family_gives_the_vectors_of_its_library() {
    let mut dirs: Vec<PathBuf> =
        std::fs::read_dir(fixtures().join("checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    let one = |d: &PathBuf| [check(d, false), check(d, true)].concat();
    let found: Vec<(String, f64)> = dirs.iter().filter(|d| d.is_dir()).flat_map(one).collect();
    let table: Vec<String> = found.iter().map(|(n, d)| format!("{n:32} {d:.1e}")).collect();
    println!("{}", table.join("\n"));
    assert!(found.len() >= 60, "{}", found.len());
    // What the family's page promises.
    let kept = |(name, d): &(String, f64)| *d <= promised(name.split(' ').next().unwrap());
    assert!(found.iter().all(kept), "\n{}", table.join("\n"));
}

/// The largest golden difference that the page of a fixture's family states.
fn promised(fixture: &str) -> f64 {
    let family = families::family(&checkpoint(fixture)).unwrap();
    let page = match family.as_str() {
        alone if alone.starts_with("siglip") => "siglip",
        alone if alone.starts_with("clip_") => "clip",
        alone if alone.starts_with("clap_") => "clap",
        "dinov2_with_registers" => "dinov2",
        "vision-text-dual-encoder" => "dual_encoder",
        "roberta" | "xlm-roberta" => "bert",
        "audio-spectrogram-transformer" => "ast",
        other => other,
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/families/{page}.rs"));
    let text = std::fs::read_to_string(path).unwrap();
    let stated = text.split("**largest golden difference**: at most ").nth(1).unwrap();
    let stated: f64 = stated.split(',').next().unwrap().parse().unwrap();
    assert!(stated <= 1e-5, "{page}");
    stated
}

fn load(name: &str) -> (Model, Golden) {
    let dir = checkpoint(name);
    (Model::load(&dir, Device::Cpu).unwrap(), golden(&dir))
}

/// Text and image vectors before normalisation.
fn vectors(model: &Model, g: &Golden) -> [Tensor; 2] {
    tch::no_grad(|| {
        let mask = g["in.mask"].to_kind(Kind::Bool);
        let text = model.forward_text(&g["in.ids"], &mask, Mode::Eval).unwrap();
        let image = model.forward_image(&g["in.pixels"], Mode::Eval).unwrap();
        [(Modality::Text, text), (Modality::Image, image)]
            .map(|(m, o)| model.project_raw(m, &o.pooled).unwrap())
    })
}

#[test]
fn exports_read_back_to_the_same_vectors() {
    for (name, formats) in [
        ("clip-quick", vec![Format::HfClip, Format::OpenClip, Format::Unisono]),
        ("clip-gelu", vec![Format::HfClip, Format::OpenClip, Format::Unisono]),
        ("openclip", vec![Format::HfClip, Format::OpenClip, Format::Unisono]),
    ] {
        let (model, g) = load(name);
        let want = vectors(&model, &g);
        for format in formats {
            let dir = tempfile::tempdir().unwrap();
            if format == Format::Unisono {
                // A checkpoint without tokenizer files has no contract to save.
                assert!(export::write(&model, dir.path(), format).is_ok());
                continue;
            }
            export::write(&model, dir.path(), format).unwrap();
            let again = Model::load(dir.path(), Device::Cpu).unwrap();
            for (a, b) in vectors(&again, &g).iter().zip(&want) {
                assert!(distance(a, b) <= 1e-6, "{name} {format:?}: {}", distance(a, b));
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, what) in [
        ("siglip", "expected"),
        ("openclip-coca", "expected"),
        ("bert", "expected a text and an image tower, found text"),
        ("xclip", "found a table for videos besides"),
    ] {
        let e = export::write(&load(name).0, dir.path(), Format::HfClip).unwrap_err().to_string();
        assert!(e.contains("CLIPModel has no place for this model") && e.contains(what), "{name}: {e}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is half written");
}

#[test]
fn lower_precision_keeps_the_direction() {
    for (precision, least) in [(Precision::Bf16, 0.995), (Precision::Int8, 0.98)] {
        for name in ["clip-quick", "clip-gelu", "openclip"] {
            let (mut model, g) = load(name);
            let want = vectors(&model, &g);
            model.prepare(precision).unwrap();
            for (a, b) in vectors(&model, &g).iter().zip(&want) {
                let cosine = Tensor::cosine_similarity(a, b, 1, 1e-9).min().double_value(&[]);
                assert!(cosine >= least, "{name} {precision:?}: {cosine}");
            }
        }
    }
}

#[test]
fn a_batch_is_its_singles() {
    for name in ["clip-gelu", "siglip", "openclip-coca"] {
        let (model, g) = load(name);
        let want = vectors(&model, &g);
        for i in 0..3i64 {
            let one: Golden = ["in.ids", "in.mask", "in.pixels"]
                .iter()
                .map(|n| ((*n).to_owned(), g[*n].narrow(0, i, 1)))
                .collect();
            for (a, b) in vectors(&model, &one).iter().zip(&want) {
                assert!(distance(a, &b.narrow(0, i, 1)) < 1e-5, "{name} {i}");
            }
        }
        let again = vectors(&model, &g);
        assert!(again.iter().zip(&want).all(|(a, b)| a == b), "{name}: two runs are bitwise equal");
    }
}

#[test]
fn what_is_wrong_with_a_checkpoint_is_said_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let to = dir.path().join(name);
        copy_folder(&checkpoint(name), &to);
        to
    };
    let refused = |at: &Path, words: &[&str]| {
        let e = Model::load(at, Device::Cpu).unwrap_err().to_string();
        assert!(!e.contains('\n') && words.iter().all(|w| e.contains(w)), "{e}");
    };
    let at = copy("clip-sharded");
    let mut shards: Vec<PathBuf> = std::fs::read_dir(&at)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_string_lossy().contains("-of-"))
        .collect();
    shards.sort();
    std::fs::remove_file(&shards[1]).unwrap();
    refused(&at, &["-of-", "is not there; download it again"]);

    let at = copy("bert");
    let weights = at.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 1000]).unwrap();
    refused(&at, &["model.safetensors", "no whole safetensors file"]);
    std::fs::write(&weights, &bytes).unwrap();
    let config = at.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"intermediate_size\": 52", "\"intermediate_size\": 53")).unwrap();
    refused(&at, &["model.safetensors", "intermediate.dense", "expected shape [53", "found [52"]);
    std::fs::write(&config, text.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2")).unwrap();
    refused(&at, &["16 unexpected", "encoder.layer.2."]);
    std::fs::write(&config, text.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4")).unwrap();
    refused(&at, &["16 missing", "encoder.layer.3."]);
    std::fs::write(&config, text.replace("\"model_type\": \"bert\"", "\"model_type\": \"mamba\"")).unwrap();
    refused(&at, &["config.json", "model_type is \"mamba\" (BertModel); known are unisono, clip"]);
    std::fs::write(&config, text.replace("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\"")).unwrap();
    refused(&at, &["config.json", "hidden_act: expected gelu", "found \"mish\""]);
    std::fs::remove_file(&config).unwrap();
    refused(&at, &["not a model: neither config.json nor open_clip_config.json"]);
}

/// A CLIP-shaped model of this project: its own tokenizer, pooling at the last token, a stem with a trained bias.
#[test]
fn a_model_trained_here_exports_with_its_tokenizer_and_processor() {
    use unisono_encoders::{ModelConfig, Processors};
    use unisono_processors::{Fit, ImageProcessor, Rounding, TextProcessor, Vocabulary, train_tokenizer};
    let blocks = |width: i64, more: &str| {
        format!(r#"{{"width": {width}, "depth": 2, "heads": 3, "mlp_ratio": 2.0 {more}}}"#)
    };
    let config = format!(
        r#"{{"embed_dim": 10, "text": {{"vocab_size": 300, "context_length": 12, "pooling": "last", "transformer": {}}},
            "image": {{"size": 24, "stem": {{"kind": "patch", "size": [6, 6]}}, "prefix": 1, "pooling": "first", "transformer": {}}}}}"#,
        blocks(12, r#", "causal": true"#),
        blocks(15, r#", "input_norm": true"#)
    );
    let config: ModelConfig = serde_json::from_str(&config).unwrap();
    let tokenizer =
        train_tokenizer(["a red bus", "ein Bus", "le bus"].into_iter(), 290, Vocabulary::Bpe).unwrap();
    let image = ImageProcessor { fit: Fit::Crop, rounding: Rounding::Down, ..ImageProcessor::new(24) };
    let text = TextProcessor::new(tokenizer, 12, 300).unwrap();
    let processors = Processors { text: Some(text), image: Some(image), ..Processors::default() };
    let model = Model::new(config, processors, 3, Device::Cpu).unwrap();
    let _ = tch::no_grad(|| model.params().get("image.stem.bias").unwrap().tensor.shallow_clone().fill_(0.3));
    let texts = ["a red bus", "", "ein sehr langer Satz über einen Bus, der nie kommt und nie kam"];
    let image =
        image::RgbImage::from_fn(50, 31, |x, y| image::Rgb([(x * 5) as u8, (y * 7) as u8, (x * y) as u8]));
    let want = [model.embed_text(&texts).unwrap(), model.embed_images(std::slice::from_ref(&image)).unwrap()];
    for (format, exact) in [(Format::HfClip, true), (Format::OpenClip, false), (Format::Unisono, true)] {
        let dir = std::env::var_os("UNISONO_KEEP_EXPORTS").map(PathBuf::from);
        let temporary = tempfile::tempdir().unwrap();
        let dir = dir.map_or(temporary.path().to_owned(), |d| d.join(format!("{format:?}")));
        export::write(&model, &dir, format).unwrap();
        let again = Model::load(&dir, Device::Cpu).unwrap();
        // OpenCLIP lower-cases and cleans texts before any tokenizer: these are clean.
        assert!(distance(&again.embed_text(&texts).unwrap(), &want[0]) < 1e-6, "{format:?}");
        let images = distance(&again.embed_images(std::slice::from_ref(&image)).unwrap(), &want[1]);
        assert!(images < if exact { 1e-6 } else { 0.1 }, "{format:?}: {images}");
    }
}

/// A tokenizer whose first token is a mark, as CLIP's, whose last two are special; the end closes every text.
fn marks() -> serde_json::Value {
    let vocab =
        serde_json::json!({"!": 0, "a": 1, "red": 2, "bus": 3, "<|startoftext|>": 95, "<|endoftext|>": 96});
    let special = |id: i64, content: &str| {
        serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true})
    };
    let token = |id: &str| serde_json::json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = |id: &str| serde_json::json!({"Sequence": {"id": id, "type_id": 0}});
    let known = |id: i64, content: &str| serde_json::json!({"id": content, "ids": [id], "tokens": [content]});
    serde_json::json!({"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(95, "<|startoftext|>"), special(96, "<|endoftext|>")], "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {"type": "TemplateProcessing", "single": [token("<|startoftext|>"), text("A"), token("<|endoftext|>")],
            "pair": [text("A"), text("B")],
            "special_tokens": {"<|startoftext|>": known(95, "<|startoftext|>"), "<|endoftext|>": known(96, "<|endoftext|>")}},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<|endoftext|>"}})
}

#[test]
fn exported_tokenizers_pad_with_a_special_token_and_are_named() {
    for (name, format, file) in [
        ("clip-quick", Format::HfClip, "config.json"),
        ("clip-quick", Format::OpenClip, "open_clip_config.json"),
        ("openclip", Format::OpenClip, "open_clip_config.json"),
    ] {
        let (from, to) = (copy(&checkpoint(name)), tempfile::tempdir().unwrap());
        std::fs::write(from.path().join("tokenizer.json"), marks().to_string()).unwrap();
        let model = Model::load(from.path(), Device::Cpu).unwrap();
        export::write(&model, to.path(), format).unwrap();
        let read = |name: &str| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(to.path().join(name)).unwrap()).unwrap()
        };
        // "!" has the id 0, and would be cut out of every text.
        assert_eq!(read("tokenizer_config.json")["pad_token"], "<|endoftext|>");
        let text = &read(file)["model_cfg"]["text_cfg"];
        if format == Format::OpenClip {
            assert_eq!(text["hf_tokenizer_name"], ".");
            let clean = if name == "openclip" { "lower" } else { "whitespace" };
            assert_eq!(text["tokenizer_kwargs"]["clean"], clean);
        }
        let again = Model::load(to.path(), Device::Cpu).unwrap();
        for words in ["a red bus!", "!", "A RED <|endoftext|> bus"] {
            let ids = |m: &Model| m.text_processor().unwrap().encode(words).unwrap();
            assert_eq!(ids(&model), ids(&again), "{words}");
        }
    }
}
