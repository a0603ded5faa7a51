//! BERT, RoBERTa and XLM-R, alone or as sentence encoders in the layout of sentence-transformers.
//!
//! - **stem**: token, position and segment embeddings; RoBERTa's positions begin after the padding's id
//! - **blocks**: post-norm, GELU, both directions
//! - **norms**: layer norms, 1e-12; one over the embeddings, none at the end
//! - **pooling**: the mean, or what `modules.json` says (`sentence/`)
//! - **projection**: none
//! - **processor**: the checkpoint's tokenizer; `sentence_bert_config.json` or the tokenizer's `model_max_length` may shorten the context
//! - **map**: `bert_text.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 9.8e-7

use super::common::{BASE, blocks, plan};
use super::source::{Checkpoint, Plan};
use super::{reranker, sentence};
use crate::config::{FinalNorm, ModelConfig, NormPlace, ProjectionConfig, TextConfig, TransformerConfig};
use crate::{Error, Result};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::Json;

const BERT: &str = include_str!("../../maps/bert_text.map");

/// The rows of the position table that are used.
pub(super) struct Rows {
    pub first: i64,
    pub end: i64,
}

pub(super) fn add_bert(map: &mut Map, prefix: &str, rows: &Rows) -> Result<()> {
    let (first, end) = (rows.first.to_string(), rows.end.to_string());
    Ok(map.add(BERT, &[("p", prefix), ("first", &first), ("end", &end)])?)
}

/// Rows of the word and position tables where a configuration leaves them out.
fn sizes(family: &str) -> (i64, i64) {
    match family {
        "roberta" => (50265, 512),
        "clap" | "clap_text_model" => (50265, 514),
        "mpnet" => (30527, 512),
        _ => (30522, 512),
    }
}

/// The tower that a BERT-like configuration describes: post-norm, its embeddings normed, no final norm, mean pooling. `limit`: tokens of a text, if
/// another file says fewer than there are positions.
pub(super) fn tower(json: Json, family: &str, limit: Option<i64>) -> Result<(TextConfig, Rows)> {
    let (vocab, positions) = sizes(family);
    // RoBERTa's positions start after the padding's id; BERT's at 0.
    let first = match family {
        "roberta" | "xlm-roberta" | "mpnet" | "clap" | "clap_text_model" => json.int("pad_token_id", 1)? + 1,
        _ => 0,
    };
    let rows = json.int("max_position_embeddings", positions)? - first;
    let context = limit.map_or(rows, |l| l.min(rows));
    let transformer = TransformerConfig {
        norm: NormPlace::Post,
        input_norm: true,
        final_norm: FinalNorm::None,
        ..blocks(json, BASE, "gelu", 1e-12)?
    };
    let config = TextConfig {
        projection: ProjectionConfig::None,
        ..TextConfig::new(json.int("vocab_size", vocab)?, context, transformer)
    };
    Ok((config, Rows { first, end: first + context }))
}

pub(super) fn bert(source: &Checkpoint) -> Result<Plan> {
    let (p, mut map) = (prefix(source)?, Map::default());
    if let Some(classifier) = reranker::read(source, &p, &mut map)? {
        let (tower, rows) = tower(source.config, source.family, reranker::limit(source)?)?;
        add_bert(&mut map, &p, &rows)?;
        let width = tower.transformer.width;
        let config =
            ModelConfig { text: Some(tower), classifier: Some(classifier), ..ModelConfig::new(width) };
        return plan(source, config, map);
    }
    let (tower, rows) = tower(source.config, source.family, sentence::limit(source)?)?;
    add_bert(&mut map, &p, &rows)?;
    alone(source, tower, map)
}

/// A checkpoint with a head for another task names the encoder's tensors under its own name.
pub(super) fn prefix(source: &Checkpoint) -> Result<String> {
    let weights = Weights::open(source.dir)?;
    let known = ["", "bert.", "roberta.", "mpnet.", "0.auto_model."];
    let has = |p: &&str| weights.has(&format!("{p}embeddings.word_embeddings.weight"));
    known.iter().find(|p| has(p)).map(|p| (*p).to_owned()).ok_or_else(|| {
        Error::format(
            weights.path(),
            "no embeddings.word_embeddings.weight: not a BERT-like encoder's weights",
        )
    })
}

/// The encoder alone, whose tokens are pooled by their mean where no other file says how.
pub(super) fn alone(source: &Checkpoint, tower: TextConfig, map: Map) -> Result<Plan> {
    let width = tower.transformer.width;
    plan(source, ModelConfig { text: Some(tower), ..ModelConfig::new(width) }, map)
}
