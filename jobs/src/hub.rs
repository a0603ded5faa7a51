//! Where a model is: a folder, or the Hugging Face hub's cache and the hub itself.

use crate::{Error, Result};
use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo};
use std::path::{Path, PathBuf};
pub use unisono_encoders::model_dir;

/// Files that a model may have beside its weights.
const SMALL: [&str; 16] = [
    "config.json",
    "open_clip_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "config_sentence_transformers.json",
];

/// Weights, the preferred ones first: the first that the repository has is taken, with its shards.
const WEIGHTS: [&str; 7] = [
    "open_clip_model.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.bin",
];

/// Whether `model` has the form of a hub id, `owner/name`.
pub fn is_id(model: &Path) -> bool {
    let text = model.to_string_lossy();
    let part = |p: &str| {
        !p.is_empty()
            && !p.starts_with('.')
            && p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// The folder of `model`: itself when it is there, of a training run its best checkpoint, else what the hub's cache or the hub holds under this id. What is missing is
/// downloaded to the cache (`HF_HOME`); `HF_ENDPOINT` names another hub, and `HF_HUB_OFFLINE=1` asks none.
///
/// # Errors
/// Neither a folder nor an id, or the hub cannot be reached or does not have it.
pub fn locate(model: &Path) -> Result<PathBuf> {
    if model.exists() {
        return Ok(model_dir(model));
    }
    if !is_id(model) {
        let message = "no such folder, and no hub id of the form OWNER/NAME";
        return Err(Error::format(model, message));
    }
    let id = model.to_string_lossy().into_owned();
    let cached = cached(&id);
    let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !matches!(v.as_str(), "" | "0"));
    if offline {
        return cached.ok_or_else(|| unreachable(&id, "HF_HUB_OFFLINE is set"));
    }
    match download(&id) {
        Ok(dir) => Ok(dir),
        // A whole copy serves without a network.
        Err(reason) => cached.ok_or_else(|| unreachable(&id, &reason)),
    }
}

fn unreachable(id: &str, reason: &str) -> Error {
    Error::Input(format!(
        "{id}: no folder of this name, not in the cache, and the hub did not give it ({reason}); where there is a network, \
         `hf download {id} --local-dir DIR`, then give DIR as the model"
    ))
}

/// The snapshot in the cache, if its configuration and weights are there.
fn cached(id: &str) -> Option<PathBuf> {
    let repo = Cache::from_env().repo(Repo::model(id.to_owned()));
    let config = ["config.json", "open_clip_config.json"].iter().find_map(|n| repo.get(n))?;
    WEIGHTS.iter().find_map(|n| repo.get(n))?;
    config.parent().map(Path::to_owned)
}

fn download(id: &str) -> Result<PathBuf, String> {
    let api = ApiBuilder::from_env().with_progress(true).build().map_err(|e| e.to_string())?;
    let repo = api.model(id.to_owned());
    let info = repo.info().map_err(|e| e.to_string())?;
    let has = |name: &str| info.siblings.iter().any(|s| s.rfilename == name);
    let mut folder = None;
    for name in SMALL.into_iter().filter(|n| has(n)) {
        let at = get(&repo, name)?;
        if !name.contains('/') {
            folder = at.parent().map(Path::to_owned);
        }
    }
    let weights =
        WEIGHTS.into_iter().find(|n| has(n)).ok_or("the repository has no weights that are read here")?;
    let at = get(&repo, weights)?;
    if weights.ends_with(".index.json") {
        let text = std::fs::read_to_string(&at).map_err(|e| e.to_string())?;
        let index: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let map = index
            .get("weight_map")
            .and_then(serde_json::Value::as_object)
            .ok_or("an index without weight_map")?;
        let mut shards: Vec<&str> = map.values().filter_map(serde_json::Value::as_str).collect();
        shards.sort_unstable();
        shards.dedup();
        for shard in shards {
            get(&repo, shard)?;
        }
    }
    folder.ok_or_else(|| "the repository has no configuration".to_owned())
}

fn get(repo: &ApiRepo, name: &str) -> Result<PathBuf, String> {
    repo.get(name).map_err(|e| format!("{name}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_paths() {
        for id in ["openai/clip-vit-base-patch32", "a/b", "laion/CLIP-ViT-B-32_x.y"] {
            assert!(is_id(Path::new(id)), "{id}");
        }
        for path in ["model", "./a/b", "../b", "a/b/c", "/a/b", "a/", "a b/c", ""] {
            assert!(!is_id(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn what_is_neither_a_folder_nor_an_id_is_said() {
        let e = locate(Path::new("./none/such")).unwrap_err().to_string();
        assert!(e.contains("no such folder, and no hub id"), "{e}");
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(locate(dir.path()).unwrap(), dir.path());
    }
}
