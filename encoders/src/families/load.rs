//! Which family a checkpoint is of, and what reads its configuration.

use super::source::{Checkpoint, KEYS, Plan};
use super::{
    ast, bert, blip, chinese_clip, clap, clip, dinov2, distilbert, dual_encoder, efficientnet,
    faster_whisper, kin, mpnet, reranker, sentence, siglip, vit, whisper, xclip,
};
use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;
use unisono_nn::weights::Weights;
use unisono_processors::{Json, Keys, Reads};

/// A `model_type` and what reads it.
type Family = (&'static str, fn(&Checkpoint) -> Result<Plan>);

const FAMILIES: [Family; 28] = [
    ("clip", clip::clip),
    ("clip_text_model", clip::clip_text_model),
    ("clip_vision_model", clip::clip_vision_model),
    ("siglip", siglip::siglip),
    ("siglip_text_model", siglip::siglip_text_model),
    ("siglip_vision_model", siglip::siglip_vision_model),
    ("siglip2", siglip::siglip),
    ("siglip2_text_model", siglip::siglip_text_model),
    ("siglip2_vision_model", siglip::siglip_vision_model),
    ("chinese_clip", chinese_clip::chinese_clip),
    ("vision-text-dual-encoder", dual_encoder::dual_encoder),
    ("xclip", xclip::xclip),
    ("clap", clap::clap),
    ("clap_text_model", clap::clap_text_model),
    ("clap_audio_model", clap::clap_audio_model),
    ("blip", blip::blip),
    ("vit", vit::vit),
    ("dinov2", dinov2::dinov2),
    ("dinov2_with_registers", dinov2::dinov2),
    ("bert", bert::bert),
    ("roberta", bert::bert),
    ("xlm-roberta", bert::bert),
    ("mpnet", mpnet::mpnet),
    ("distilbert", distilbert::distilbert),
    ("audio-spectrogram-transformer", ast::ast),
    ("whisper", whisper::whisper),
    (efficientnet::NAME, efficientnet::efficientnet),
    (faster_whisper::NAME, faster_whisper::plan),
];

/// An adapter of `peft` beside a model that it names.
pub(super) const ADAPTER: &str = "peft";

/// The family of the checkpoint in `dir`: `unisono`, `peft` where it is an adapter, `open_clip`, `faster-whisper`, `efficientnet`, a `model_type` of `config.json`, or
/// `sentence-transformers` where that lists modules and none of them has a configuration in the folder itself.
///
/// # Errors
/// No configuration there, or none of a known family.
pub fn family(dir: &Path) -> Result<String> {
    let config = dir.join("config.json");
    if dir.join("open_clip_config.json").exists() && (Weights::has_open_clip(dir) || !config.exists()) {
        return Ok("open_clip".to_owned());
    }
    if !config.exists() && sentence::is(dir) {
        return Ok(sentence::NAME.to_owned());
    }
    if crate::adapters::is(dir) {
        return Ok(ADAPTER.to_owned());
    }
    if !config.exists() {
        return Err(Error::format(dir, kin::folder(dir)));
    }
    let value: Value = unisono_processors::read_json(&config)?;
    if faster_whisper::is(dir, &value) {
        return Ok(faster_whisper::NAME.to_owned());
    }
    if efficientnet::is(&value) {
        return Ok(efficientnet::NAME.to_owned());
    }
    let found = value.get("model_type").and_then(Value::as_str).unwrap_or("none");
    if found == crate::files::MODEL_TYPE || FAMILIES.iter().any(|(name, _)| *name == found) {
        return Ok(found.to_owned());
    }
    Err(Error::format(&config, kin::told(&value, &names().collect::<Vec<_>>())))
}

/// The `model_type`s that are read.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}

/// How many numbers the model in `dir`, this project's own or another library's, gives a pair of texts; `None` where it has no head for that.
///
/// # Errors
/// No model there.
pub fn numbers_of_a_pair(dir: &Path) -> Result<Option<usize>> {
    let family = family(dir)?;
    if family == crate::files::MODEL_TYPE {
        let config: Value = unisono_processors::read_json(&dir.join("config.json"))?;
        let head = &config["model"]["classifier"];
        return Ok(head["labels"].as_array().filter(|_| head["pair"].is_object()).map(Vec::len));
    }
    if !reranker::is_place(&family) {
        return Ok(None);
    }
    Ok(reranker::numbers(&Weights::open(dir)?, &family).and_then(|n| usize::try_from(n).ok()))
}

/// What a configuration of Hugging Face's asks for; a key that is neither read nor known to change nothing is an error.
pub(super) fn plan(path: &Path, dir: &Path, family: &str) -> Result<Plan> {
    let value: Value = unisono_processors::read_json(path)?;
    let reads = Reads::default();
    let source = Checkpoint { dir, config: Json::new(path, &value).counted(&reads), family };
    let Some((_, plan)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
        return Err(Error::format(path, format!("model_type {family:?} is no other library's")));
    };
    let plan = plan(&source)?;
    source.config.finish(&Keys::new(&[KEYS])?, family)?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Score;
    use serde_json::json;
    use std::collections::BTreeSet;

    /// What each family's reader looks for in the weights before it believes the configuration.
    const PROBES: [&str; 10] = [
        "embeddings.cls_token",
        "embeddings.class_embedding",
        "embeddings.patch_embedding.weight",
        "embeddings.token_embedding.weight",
        "audio_encoder.patch_embed.proj.weight",
        "embeddings.word_embeddings.weight",
        "encoder.conv1.weight",
        "text_model.embeddings.token_embedding.weight",
        "vision_proj.weight",
        "text_encoder.embeddings.word_embeddings.weight",
    ];

    /// Every key that the libraries write (`fixtures/keys.py`).
    fn written() -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/keys.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn folder() -> tempfile::TempDir {
        folder_with(&[])
    }

    fn folder_with(more: &[(String, tch::Tensor)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut all: Vec<_> = PROBES.map(|n| (n.to_owned(), tch::Tensor::from_slice(&[1f32]))).into();
        all.extend(more.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())));
        unisono_nn::tensors::write(&dir.path().join("model.safetensors"), &all, Default::default()).unwrap();
        dir
    }

    fn read(dir: &Path, family: &str, config: &Value) -> Result<Plan> {
        let path = dir.join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        plan(&path, dir, family)
    }

    /// Dotted paths of all values that are no objects, and of objects that may have any keys.
    fn paths(at: &str, value: &Value, out: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let path = format!("{at}/{key}");
            match value {
                Value::Object(_) if !key.ends_with("id2label") && !key.ends_with("label2id") => {
                    paths(&path, value, out)
                }
                _ => out.push(path),
            }
        }
    }

    #[test]
    fn kin_are_of_families_that_are_read_and_none_of_them_is() {
        let known: BTreeSet<&str> = names().collect();
        let mut seen = BTreeSet::new();
        for (of, nearest, lacks) in kin::lines() {
            assert!(known.contains(nearest) && !known.contains(of), "{of}: {nearest}");
            assert!(seen.insert(of) && !lacks.is_empty() && !lacks.ends_with('.'), "{of}");
        }
        let text = include_str!("../../data/kin.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(text.count(), seen.len(), "a line has another form");
        assert!(seen.len() > 60);
    }

    /// What `transformers` 5 writes beside a model: each part is the processor's, and nothing stands beside them that is passed over.
    #[test]
    fn processors_files_are_read_whole() {
        let written = written();
        let (mut wrong, mut keys) = (Vec::new(), 0);
        for (family, whole) in written["processor_config.json"].as_object().unwrap() {
            let dir = folder();
            let path = dir.path().join("processor_config.json");
            let read = |value: &Value| {
                std::fs::write(&path, value.to_string()).unwrap();
                let config = match family.as_str() {
                    // Its images are as large as those of its processor.
                    "blip" => json!({"vision_config": {"image_size": 384}}),
                    _ => json!({}),
                };
                read(dir.path(), family, &config).map(|plan| format!("{:?}", plan.processors))
            };
            let usual = read(whole).unwrap_or_else(|e| panic!("{family}: {e}"));
            assert!(
                usual.contains("Some(ImageProcessor") || usual.contains("Some(LogMel"),
                "{family}: {usual}"
            );
            let mut all = Vec::new();
            paths("", whole, &mut all);
            for at in all {
                keys += 1;
                let (mut changed, never) = (whole.clone(), json!({"never": 1}));
                *changed.pointer_mut(&at).unwrap() = never;
                let name = at.rsplit('/').next().unwrap();
                match read(&changed) {
                    Err(e) if e.to_string().contains(name) => {}
                    Ok(found) if found == usual => {}
                    other => wrong.push(format!("{family} {at}: {other:?}")),
                }
            }
            let mut more = whole.clone();
            more["a_new_key"] = json!(1);
            let e = read(&more).unwrap_err().to_string();
            assert!(e.contains("processor_config.json: a_new_key: expected no such key"), "{e}");
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(keys > 40, "{keys}");
    }

    #[test]
    fn every_key_that_the_library_writes_is_read_or_listed_or_refused() {
        let (written, dir) = (written(), folder());
        let (mut keys, mut wrong) = (0, Vec::new());
        for (family, whole) in written["config.json"].as_object().unwrap() {
            if FAMILIES.iter().all(|(name, _)| name != family) {
                wrong.push(format!("{family}: not read"));
                continue;
            }
            // As it is written, and with everything left to its default: the same model.
            let usual = match (read(dir.path(), family, whole), read(dir.path(), family, &json!({}))) {
                (Ok(a), Ok(b)) if a.config == b.config => a.config,
                // It has no towers of its own by default.
                (Ok(a), Err(_)) if family == "vision-text-dual-encoder" => a.config,
                (Ok(a), Ok(b)) => {
                    wrong.push(format!("{family}: written {:?}, by default {:?}", a.config, b.config));
                    continue;
                }
                (a, b) => {
                    wrong
                        .extend([a, b].into_iter().filter_map(|r| r.err()).map(|e| format!("{family}: {e}")));
                    continue;
                }
            };
            let mut all = Vec::new();
            paths("", whole, &mut all);
            for path in all {
                keys += 1;
                // No key may have this value: it is told by its name, unless the key is listed with a reason whatever it says.
                let (mut changed, never) = (whole.clone(), json!({"never": 1}));
                *changed.pointer_mut(&path).unwrap() = never.clone();
                let dotted = path[1..].replace('/', ".");
                let listed = Keys::new(&[KEYS]).unwrap().reason(&dotted, &never, family).is_some();
                match read(dir.path(), family, &changed) {
                    Err(e) if e.to_string().contains(dotted.split('.').next_back().unwrap()) => {}
                    Ok(found) if listed && found.config == usual => {}
                    Ok(_) => wrong.push(format!("{family} {dotted}: neither read nor listed")),
                    Err(e) => wrong.push(format!("{family} {dotted}: {e}")),
                }
            }
            let mut more = whole.clone();
            more["a_new_key"] = json!(1);
            let e = read(dir.path(), family, &more).unwrap_err().to_string();
            assert!(e.contains("config.json: a_new_key: expected no such key"), "{e}");
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(keys > 500, "{keys}");
    }

    /// A model with a classifier writes what its family does, all of it, and its labels.
    #[test]
    fn every_key_of_an_image_classifier_is_read_or_listed_or_refused() {
        let written = written();
        let head = ("classifier.weight".to_owned(), tch::Tensor::zeros([3, 768], tch::kind::FLOAT_CPU));
        let dir = folder_with(&[head]);
        let (mut keys, mut wrong) = (0, Vec::new());
        for (family, head) in written["classifiers"].as_object().unwrap() {
            let mut whole = written["config.json"][family].clone();
            for (key, value) in head.as_object().unwrap() {
                whole[key] = value.clone();
            }
            let usual = read(dir.path(), family, &whole).unwrap_or_else(|e| panic!("{family}: {e}")).config;
            let classifier = usual.classifier.as_ref().unwrap();
            assert_eq!(
                (&classifier.labels[..], classifier.score),
                (&["cat", "dog", "owl"].map(String::from)[..], Score::Sigmoid)
            );
            assert!(usual.text.is_none() && usual.image.is_some());
            let mut all = Vec::new();
            paths("", &whole, &mut all);
            for path in all {
                keys += 1;
                let (mut changed, never) = (whole.clone(), json!({"never": 1}));
                *changed.pointer_mut(&path).unwrap() = never.clone();
                let dotted = path[1..].replace('/', ".");
                // Its class makes no text tower, and nothing projects.
                let idle =
                    dotted.starts_with("text_config.") || family == "clip" && dotted == "projection_dim";
                let listed = idle || Keys::new(&[KEYS]).unwrap().reason(&dotted, &never, family).is_some();
                match read(dir.path(), family, &changed) {
                    Err(e) if e.to_string().contains(dotted.split('.').next_back().unwrap()) => {}
                    Ok(found) if listed && found.config == usual => {}
                    Ok(_) => wrong.push(format!("{family} {dotted}: neither read nor listed")),
                    Err(e) => wrong.push(format!("{family} {dotted}: {e}")),
                }
            }
            for at in ["", "vision_config"] {
                let mut more = whole.clone();
                let object = if at.is_empty() { &mut more } else { &mut more[at] };
                object["a_new_key"] = json!(1);
                let e = read(dir.path(), family, &more).unwrap_err().to_string();
                assert!(e.contains("a_new_key: expected no such key"), "{e}");
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(keys > 150, "{keys}");
    }
}
