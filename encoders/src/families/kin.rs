//! What a folder is that is not read, and which family that is read is nearest to it (`data/kin.txt`).

use serde_json::Value;
use std::path::Path;

const KIN: &str = include_str!("../../data/kin.txt");

/// Files that say by their names what a folder without a model of ours is.
const FILES: [(&str, &str); 5] = [
    (
        "model_index.json",
        "a pipeline of diffusers; its parts lie in the folders below, and one that is read may be given by itself",
    ),
    ("params.json", "weights of a large language model in the form of its makers"),
    ("model.onnx", "an export to ONNX: give the folder that it was exported from"),
    ("openvino_model.xml", "an export to OpenVINO: give the folder that it was exported from"),
    ("tf_model.h5", "weights of TensorFlow: save them with PyTorch, as safetensors"),
];

/// The nearest family that is read, and what it lacks.
pub(super) fn nearest(model_type: &str) -> Option<(&'static str, &'static str)> {
    lines().find(|(of, ..)| *of == model_type).map(|(_, nearest, lacks)| (nearest, lacks))
}

/// Families that are not read, each with the nearest one and what that lacks.
pub(super) fn lines() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = KIN.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.filter_map(|line| {
        let (of, rest) = line.split_once(" = ")?;
        let (nearest, lacks) = rest.split_once("  # ")?;
        Some((of, nearest, lacks))
    })
}

/// What a configuration of a family that is not read says of itself; `known`: the families that are.
pub(super) fn told(config: &Value, known: &[&str]) -> String {
    let kind = config.get("model_type").and_then(Value::as_str).unwrap_or("none");
    let class = config.get("architectures").and_then(|all| all.get(0)).and_then(Value::as_str);
    let class = class.map(|class| format!(" ({class})")).unwrap_or_default();
    match nearest(kind) {
        Some((nearest, lacks)) => {
            format!(
                "model_type is {kind:?}{class}, which is not read; the nearest family that is read is {nearest}, which lacks: {lacks}"
            )
        }
        None => format!(
            "model_type is {kind:?}{class}; known are unisono, {} and OpenCLIP's format",
            known.join(", ")
        ),
    }
}

/// What a folder without any configuration of ours is.
pub(super) fn folder(dir: &Path) -> String {
    let named = FILES.iter().find(|(file, _)| dir.join(file).exists());
    let ending = |ending: &str| {
        let mut entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.any(|entry| entry.path().extension().is_some_and(|e| e == ending))
    };
    let what = match named {
        Some((file, what)) => format!("{file} is there: {what}"),
        None if ending("gguf") => {
            "a .gguf file is there: weights of llama.cpp, which are not read".to_owned()
        }
        None => return "not a model: neither config.json nor open_clip_config.json is there".to_owned(),
    };
    format!("not a model that is read: neither config.json nor open_clip_config.json is there. {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_folder_that_is_not_read_is_told_in_a_line() {
        let of = |config: Value| told(&config, &["clip", "vit"]);
        assert_eq!(
            of(json!({"model_type": "deberta-v2", "architectures": ["DebertaV2Model"]})),
            "model_type is \"deberta-v2\" (DebertaV2Model), which is not read; the nearest family that is read is bert, which lacks: attention over contents and places apart"
        );
        assert_eq!(
            of(json!({})),
            "model_type is \"none\"; known are unisono, clip, vit and OpenCLIP's format"
        );
        let dir = tempfile::tempdir().unwrap();
        assert!(folder(dir.path()).starts_with("not a model: neither"));
        for (file, word) in [("weights.gguf", "llama.cpp"), ("model_index.json", "diffusers")] {
            std::fs::write(dir.path().join(file), "{}").unwrap();
            let said = folder(dir.path());
            assert!(said.contains(word) && !said.contains('\n'), "{said}");
        }
    }
}
