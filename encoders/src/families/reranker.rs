//! Scorers of pairs of texts (Nogueira and Cho 2019): BERT, DistilBERT, RoBERTa and XLM-R with a head for sequences (`…ForSequenceClassification`), as
//! `transformers` and sentence-transformers' `CrossEncoder` save them.
//!
//! - **stem**, **blocks**, **norms**: the encoder's (`bert.rs`, `distilbert.rs`); the second text's tokens are of BERT's second segment
//! - **head**: the first token through a linear layer and tanh (BERT's pooler, RoBERTa's own; DistilBERT's ends in ReLU), then a linear layer
//! - **score**: what `activation_fn` says, a sigmoid or none; a sigmoid where nothing is said
//! - **processor**: the checkpoint's tokenizer and its template for pairs; pairs are cut to `model_max_length`, the longer text first
//! - **map**: `bert_text.map` or `distilbert_text.map`, `reranker.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 6e-7

use super::classifier::labels;
use super::sentence;
use super::source::Checkpoint;
use crate::config::{Activation, ClassifierConfig, ClassifierInput, PairConfig, Score};
use crate::{Error, Modality, Result};
use serde_json::Value;
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Json, optional_json};

const MAP: &str = include_str!("../../maps/reranker.map");

/// Where a family keeps the last layer of its head, and the one before it: below the encoder's prefix, or not.
struct Place {
    linear: &'static str,
    hidden: &'static str,
    below: bool,
    /// Between the two.
    activation: Activation,
}

fn place(family: &str) -> Option<Place> {
    match family {
        "bert" => Some(Place {
            linear: "classifier",
            hidden: "pooler.dense",
            below: true,
            activation: Activation::Tanh,
        }),
        "distilbert" => Some(Place {
            linear: "classifier",
            hidden: "pre_classifier",
            below: false,
            activation: Activation::Relu,
        }),
        "roberta" | "xlm-roberta" => Some(Place {
            linear: "classifier.out_proj",
            hidden: "classifier.dense",
            below: false,
            activation: Activation::Tanh,
        }),
        _ => None,
    }
}

/// Whether sentence-transformers calls what it saved in `dir` a scorer of pairs: its list of modules embeds nothing then.
///
/// # Errors
/// A file that is no JSON.
pub(super) fn is(dir: &Path) -> Result<bool> {
    let config = optional_json(&dir.join("config_sentence_transformers.json"))?;
    Ok(config.is_some_and(|config| config["model_type"] == "CrossEncoder"))
}

/// Whether models of this family may have such a head.
pub(super) fn is_place(family: &str) -> bool {
    place(family).is_some()
}

/// How many numbers the head in these weights gives a pair; `None` where there is none.
pub(super) fn numbers(weights: &Weights, family: &str) -> Option<i64> {
    let place = place(family)?;
    weights.shape(&format!("{}.weight", place.linear)).and_then(|shape| shape.first().copied())
}

/// The head of a checkpoint that has one: its encoder's tensors stand under `p`.
pub(super) fn read(source: &Checkpoint, p: &str, map: &mut Map) -> Result<Option<ClassifierConfig>> {
    let weights = Weights::open(source.dir)?;
    let (Some(place), Some(count)) = (place(source.family), numbers(&weights, source.family)) else {
        return Ok(None);
    };
    let hidden = if place.below { format!("{p}{}", place.hidden) } else { place.hidden.to_owned() };
    map.add(MAP, &[("p", p), ("hidden", &hidden), ("linear", place.linear)])?;
    let segments = weights.shape(&format!("{p}embeddings.token_type_embeddings.weight"));
    let segments = segments.and_then(|shape| shape.first()).is_some_and(|rows| *rows > 1);
    Ok(Some(ClassifierConfig {
        input: ClassifierInput::First,
        hidden: Some(place.activation),
        pair: Some(PairConfig { segments }),
        score: score(source, count)?,
        ..ClassifierConfig::new(Modality::Text, labels(source.config, count, weights.path())?)
    }))
}

/// Reads a file of sentence-transformers whole, where it is there.
fn with<T>(path: &Path, read: impl FnOnce(Json) -> Result<Option<T>>) -> Result<Option<T>> {
    let Some(value) = optional_json(path)? else { return Ok(None) };
    sentence::with(path, &value, "cross-encoder", read)
}

/// Tokens of the longest pair, where a file says so.
pub(super) fn limit(source: &Checkpoint) -> Result<Option<i64>> {
    modules(source)?;
    let own = with(&source.dir.join("sentence_bert_config.json"), |json| {
        Ok(json.has("max_seq_length").then(|| json.int("max_seq_length", 1)).transpose()?)
    })?;
    Ok(own.or(sentence::tokenizers_limit(source.dir)?))
}

/// Any module behind the encoder would change the score.
fn modules(source: &Checkpoint) -> Result<()> {
    let path = source.dir.join("modules.json");
    for module in optional_json(&path)?.iter().flat_map(|all| all.as_array().into_iter().flatten()) {
        let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
        let folder = module.get("path").and_then(Value::as_str).unwrap_or_default();
        if kind.rsplit('.').next() != Some("Transformer") || !folder.is_empty() {
            let found = format!("found {kind:?} in {folder:?}");
            let message = format!("a scorer of pairs: expected a Transformer in this folder alone, {found}");
            return Err(Error::format(&path, message));
        }
    }
    Ok(())
}

/// What becomes of the numbers: sentence-transformers' own file says it, else a key of the configuration, as its versions have written it.
fn score(source: &Checkpoint, count: i64) -> Result<Score> {
    let usual = if count == 1 { Score::Sigmoid } else { Score::Raw };
    let own = with(&source.dir.join("config_sentence_transformers.json"), |json| {
        let prompt = json.text("default_prompt_name", "")?;
        let prompts = json.object("prompts");
        for key in prompts.value.as_object().into_iter().flatten().map(|(key, _)| key) {
            if !prompts.text(key, "")?.is_empty() && key == prompt {
                let expected = "none: prompts are not put before pairs here";
                return Err(json.wrong("default_prompt_name", expected).into());
            }
        }
        json.has("activation_fn").then(|| activation(json, "activation_fn")).transpose()
    })?;
    let (theirs, older) =
        (source.config.object("sentence_transformers"), "sbert_ce_default_activation_function");
    Ok(match own {
        Some(score) => {
            theirs.pass_over(&["activation_fn"]);
            source.config.pass_over(&[older]);
            score
        }
        None if theirs.has("activation_fn") => {
            source.config.pass_over(&[older]);
            activation(theirs, "activation_fn")?
        }
        None if source.config.has(older) => activation(source.config, older)?,
        None => usual,
    })
}

fn activation(json: Json, key: &str) -> Result<Score> {
    match json.text(key, "")? {
        "torch.nn.modules.activation.Sigmoid" => Ok(Score::Sigmoid),
        "torch.nn.modules.linear.Identity" => Ok(Score::Raw),
        _ => {
            let expected = "torch.nn.modules.activation.Sigmoid or torch.nn.modules.linear.Identity";
            Err(json.wrong(key, expected).into())
        }
    }
}
