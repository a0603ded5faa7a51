//! Where a model is: a folder, or the Hugging Face hub's cache and the hub itself.

use crate::store::{self, Named, Store};
use crate::{Error, Result};
use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo};
use std::path::{Path, PathBuf};
pub use unisono_encoders::model_dir;

/// Files that a model may have beside its weights.
const SMALL: [&str; 19] = [
    "config.json",
    "adapter_config.json",
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
    "config_sentence_transformers.json",
    "router_config.json",
    "processor_config.json",
    "README.md",
];

/// Weights, the preferred ones first: the first that the repository has is taken, with its shards.
const WEIGHTS: [&str; 8] = [
    "open_clip_model.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.bin",
    "adapter_model.safetensors",
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

/// The folder of `model`, and of the base model where that is an adapter: itself when it is there, of a training run its best checkpoint, else what the store ([`crate::store`]) holds under this `NAME` or
/// `NAME@VERSION`, else what the hub's cache or the hub holds under this id; of `OWNER/NAME@REVISION` what the cache holds. What is missing is
/// downloaded to the cache (`HF_HOME`); `HF_ENDPOINT` names another hub, and `HF_HUB_OFFLINE=1` asks none.
///
/// # Errors
/// Neither a folder nor an id, or the hub cannot be reached or does not have it.
pub fn locate(model: &Path) -> Result<PathBuf> {
    let dir = located(model)?;
    // An adapter alone names its base model, which is to be had as well.
    if let Some(base) = unisono_encoders::adapters::named_base(&dir)?.map(PathBuf::from)
        && !base.exists()
        && !dir.join(&base).exists()
        && is_id(&base)
    {
        located(&base)?;
    }
    Ok(dir)
}

fn located(model: &Path) -> Result<PathBuf> {
    if model.exists() {
        return Ok(model_dir(model));
    }
    let text = model.to_string_lossy();
    if let Ok(named) = text.parse::<Named>() {
        let store = Store::new(None);
        if let Some(card) = store.find(&named)? {
            return Ok(store.place(&card));
        }
    }
    if let Some((id, revision)) = text.split_once('@').filter(|(id, _)| is_id(Path::new(id))) {
        return store::revision(id, revision).ok_or_else(|| {
            Error::Input(format!(
                "{text}: the hub's cache has no such revision, or several that begin so; `unisono model list` shows those that are there"
            ))
        });
    }
    if !is_id(model) {
        let message = "no such folder, and no hub id of the form OWNER/NAME, nor a model of the store (unisono model list)";
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
    let config = ["config.json", "open_clip_config.json", "modules.json", "adapter_config.json"]
        .iter()
        .find_map(|n| repo.get(n))?;
    let nested = config.ends_with("modules.json");
    WEIGHTS.iter().find_map(|n| repo.get(n)).or(nested.then(|| config.clone()))?;
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
    let names: Vec<&str> = info.siblings.iter().map(|s| s.rfilename.as_str()).collect();
    let below = match &folder {
        Some(folder) => of_modules(&names, &modules(folder)?),
        None => Vec::new(),
    };
    for name in &below {
        get(&repo, name)?;
    }
    let Some(weights) = WEIGHTS.into_iter().find(|n| has(n)) else {
        // An encoder may lie in the folder of its module, and its weights with it.
        let whole = folder.filter(|_| below.iter().any(|name| is_weights(name)));
        return whole.ok_or_else(|| "the repository has no weights that are read here".to_owned());
    };
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

/// The folders that the modules of sentence-transformers have files in.
fn modules(folder: &Path) -> Result<Vec<String>, String> {
    let read = |name: &str| match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => serde_json::from_str::<serde_json::Value>(&text).map_err(|e| format!("{name}: {e}")),
        Err(_) => Ok(serde_json::Value::Null),
    };
    let (listed, router) = (read("modules.json")?, read("router_config.json")?);
    let listed = listed.as_array().into_iter().flatten().filter_map(|m| m["path"].as_str());
    let routed = router["types"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    Ok(listed.chain(routed).filter(|path| !path.is_empty() && *path != ".").map(str::to_owned).collect())
}

fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".bin")
}

/// The files that are read of these folders: weights in PyTorch's own form only where there are no others.
fn of_modules<'a>(names: &[&'a str], folders: &[String]) -> Vec<&'a str> {
    let parent = |name: &'a str| name.rsplit_once('/').map(|(folder, _)| folder);
    let within = |name: &&'a str| {
        parent(name).is_some_and(|at| {
            folders.iter().any(|f| {
                at.strip_prefix(f.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        })
    };
    let safe = |at| names.iter().any(|n| parent(n) == at && n.ends_with(".safetensors"));
    let read = |name: &&'a str| match name.rsplit('.').next() {
        Some("json" | "txt" | "model" | "safetensors") => true,
        Some("bin") => !safe(parent(name)),
        _ => false,
    };
    names.iter().copied().filter(within).filter(read).collect()
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
    fn folders_of_modules_are_fetched_with_what_is_read_of_them() {
        let names = [
            "modules.json",
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "2_Dense/pytorch_model.bin",
            "onnx/model.onnx",
            "onnx/config.json",
            "0_CLIPModel/pytorch_model.bin",
            "0_CLIPModel/vocab.json",
            "1_PoolingX/config.json",
            "2_Router/query_0_Dense/config.json",
            "2_Dense/README.md",
        ];
        let folders = ["1_Pooling", "2_Dense", "0_CLIPModel", "2_Router"].map(str::to_owned);
        let wanted = [
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "0_CLIPModel/pytorch_model.bin",
            "0_CLIPModel/vocab.json",
            "2_Router/query_0_Dense/config.json",
        ];
        assert_eq!(of_modules(&names, &folders), wanted);
        let dir = tempfile::tempdir().unwrap();
        assert!(modules(dir.path()).unwrap().is_empty());
        std::fs::write(dir.path().join("modules.json"), r#"[{"path": ""}, {"path": "1_Pooling"}]"#).unwrap();
        std::fs::write(
            dir.path().join("router_config.json"),
            r#"{"types": {"query_0_StaticEmbedding": "x"}}"#,
        )
        .unwrap();
        assert_eq!(modules(dir.path()).unwrap(), ["1_Pooling", "query_0_StaticEmbedding"]);
        std::fs::write(dir.path().join("modules.json"), "[").unwrap();
        assert!(modules(dir.path()).unwrap_err().starts_with("modules.json: "));
    }

    #[test]
    fn what_is_neither_a_folder_nor_an_id_is_said() {
        let e = locate(Path::new("./none/such")).unwrap_err().to_string();
        assert!(e.contains("no such folder, and no hub id"), "{e}");
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(locate(dir.path()).unwrap(), dir.path());
    }
}
