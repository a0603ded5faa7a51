//! Text towers of Hugging Face inside OpenCLIP: BERT, RoBERTa, XLM-R. A file only names them, and the library asks the hub for their
//! configuration: here it is the `config.json` beside the weights, or what is known of the name. Sizes are read off the weights.

use super::bert::{self, Rows, add_bert};
use super::source::KEYS;
use crate::Result;
use crate::config::{Activation, Pooling, ProjectionConfig, TextConfig};
use serde_json::{Value, json};
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Json, Keys, Reads, optional_json};

/// What the published configurations say and their weights do not: the family, and heads. BERT's epsilon is 1e-12, the others' 1e-5.
const KNOWN: [(&str, &str, i64); 19] = [
    ("roberta-base", "roberta", 12),
    ("roberta-large", "roberta", 16),
    ("distilroberta-base", "roberta", 12),
    ("xlm-roberta-base", "xlm-roberta", 12),
    ("xlm-roberta-large", "xlm-roberta", 16),
    ("xlm-v-base", "xlm-roberta", 12),
    ("multilingual-e5-base", "xlm-roberta", 12),
    ("multilingual-e5-large", "xlm-roberta", 16),
    ("bert-base-uncased", "bert", 12),
    ("bert-base-cased", "bert", 12),
    ("bert-base-chinese", "bert", 12),
    ("bert-base-multilingual-cased", "bert", 12),
    ("bert-base-multilingual-uncased", "bert", 12),
    ("bert-large-uncased", "bert", 16),
    ("bert-large-cased", "bert", 16),
    ("chinese-roberta-wwm-ext", "bert", 12),
    ("chinese-roberta-wwm-ext-large", "bert", 16),
    ("all-MiniLM-L6-v2", "bert", 12),
    ("all-MiniLM-L12-v2", "bert", 12),
];

/// The folders on the hub that [`KNOWN`] names are in.
const OWNERS: [&str; 7] =
    ["", "FacebookAI/", "facebook/", "google-bert/", "hfl/", "intfloat/", "sentence-transformers/"];

/// The configuration of the tower, wherever it is.
fn configuration(dir: &Path, name: &str, sizes: [i64; 4], at: Json) -> Result<Value> {
    if let Some(value) = optional_json(&dir.join("config.json"))?
        && value.get("model_type").and_then(Value::as_str).is_some_and(|t| FAMILIES.contains(&t))
    {
        return Ok(value);
    }
    let bare = |known: &str| OWNERS.iter().any(|owner| name.strip_prefix(owner) == Some(known));
    let Some((_, family, heads)) = KNOWN.iter().find(|(known, ..)| bare(known)) else {
        let expected = "a text tower that is known, or its config.json beside this file: heads and epsilon are in no weights";
        return Err(at.wrong("hf_model_name", expected).into());
    };
    let [vocab, width, positions, hidden] = sizes;
    let (eps, pad) = if *family == "bert" { (1e-12, 0) } else { (1e-5, 1) };
    Ok(
        json!({"model_type": family, "num_attention_heads": heads, "layer_norm_eps": eps, "pad_token_id": pad, "vocab_size": vocab,
        "hidden_size": width, "intermediate_size": hidden, "max_position_embeddings": positions}),
    )
}

const FAMILIES: [&str; 3] = ["bert", "roberta", "xlm-roberta"];

/// The text tower, and the id that its library takes for padding wherever it stands.
pub(super) fn text(
    dir: &Path,
    json: Json,
    dim: i64,
    weights: &Weights,
    map: &mut Map,
) -> Result<(TextConfig, Option<i64>)> {
    let name = json.text("hf_model_name", "")?;
    let p = "text.transformer.";
    let shape = |n: &str| weights.shape(&format!("{p}{n}"));
    let (Some(&[vocab, width]), Some(&[positions, _]), Some(&[hidden, _])) = (
        shape("embeddings.word_embeddings.weight"),
        shape("embeddings.position_embeddings.weight"),
        shape("encoder.layer.0.intermediate.dense.weight"),
    ) else {
        return Err(json.wrong("hf_model_name", "BERT, RoBERTa or XLM-R; only those are supported").into());
    };
    let path = dir.join("config.json");
    let mut value = configuration(dir, name, [vocab, width, positions, hidden], json)?;
    let depth = (0..)
        .take_while(|l| shape(&format!("encoder.layer.{l}.intermediate.dense.weight")).is_some())
        .count();
    if let Some(config) = value.as_object_mut() {
        config.entry("num_hidden_layers").or_insert_with(|| depth.into());
    }
    let reads = Reads::default();
    let config = Json::new(&path, &value).counted(&reads);
    let family = config.text("model_type", "")?;
    let limit = json.int("context_length", 77)?;
    let (tower, rows) = bert::tower(config, family, Some(limit))?;
    let padding = config.int("pad_token_id", if family == "bert" { 0 } else { 1 })?;
    config.finish(&Keys::new(&[KEYS])?, family)?;
    let pooler = match json.text("hf_pooler_type", "")? {
        // The file's null asks for what is usual for the family, without BERT's linear layer.
        "" if json.is_null("hf_pooler_type") && family == "bert" => "cls_last_hidden_state_pooler",
        "" => "mean_pooler",
        kind => kind,
    };
    let pooling = match pooler {
        "mean_pooler" => Pooling::Mean,
        "cls_pooler" | "cls_last_hidden_state_pooler" => Pooling::First,
        _ => {
            return Err(json
                .wrong("hf_pooler_type", "mean_pooler, cls_pooler or cls_last_hidden_state_pooler")
                .into());
        }
    };
    let projection = match json.text("hf_proj_type", "mlp")? {
        // The file's null is not the default: nothing projects.
        _ if json.is_null("hf_proj_type") => ProjectionConfig::None,
        "linear" => ProjectionConfig::Linear { bias: false },
        "mlp" => {
            let hidden = (width + dim) / 2;
            ProjectionConfig::mlp(hidden, Activation::Gelu, false)
        }
        _ => return Err(json.wrong("hf_proj_type", "linear, mlp or null").into()),
    };
    let Rows { first, end } = rows;
    add_bert(map, p, &Rows { first, end })?;
    map.add("text.projection.weight = text.proj.weight", &[])?;
    map.add("text.projection.fc1.weight = text.proj.0.weight", &[])?;
    map.add("text.projection.fc2.weight = text.proj.2.weight", &[])?;
    let pooler = pooler == "cls_pooler" && shape("pooler.dense.weight").is_some();
    Ok((TextConfig { pooling, pooler, projection, ..tower }, Some(padding)))
}
