//! DistilBERT (Sanh et al. 2019), alone or as a sentence encoder in the layout of sentence-transformers.
//!
//! - **stem**: token and position embeddings; there are no segments
//! - **blocks**: BERT's, under other names
//! - **norms**: layer norms, 1e-12; one over the embeddings, none at the end
//! - **pooling**: the mean, or what `modules.json` says (`sentence/`)
//! - **projection**: none
//! - **classifier**: of pairs of texts (`reranker.rs`)
//! - **processor**: the checkpoint's tokenizer, BERT's
//! - **map**: `distilbert_text.map`
//! - **largest golden difference**: at most 1e-5, which its golden test holds it to (`fixtures/sentences`); measured 1.5e-7

use super::bert::alone;
use super::common::{plan, prefix};
use super::source::{Checkpoint, Plan, activation};
use super::{reranker, sentence};
use crate::Result;
use crate::config::{FinalNorm, ModelConfig, NormPlace, ProjectionConfig, TextConfig, TransformerConfig};
use unisono_nn::Map;

const DISTILBERT: &str = include_str!("../../maps/distilbert_text.map");

pub(super) fn distilbert(source: &Checkpoint) -> Result<Plan> {
    let json = source.config;
    let width = json.int("dim", 768)?;
    let transformer = TransformerConfig {
        mlp_ratio: json.ratio("hidden_dim", 3072, width)?,
        activation: activation(json, "activation", "gelu")?,
        norm: NormPlace::Post,
        norm_eps: 1e-12,
        input_norm: true,
        final_norm: FinalNorm::None,
        ..TransformerConfig::new(width, json.int("n_layers", 6)?, json.int("n_heads", 12)?)
    };
    let rows = json.int("max_position_embeddings", 512)?;
    let p = prefix(source, &["", "distilbert."], "embeddings.word_embeddings.weight")?;
    let mut map = Map::default();
    let classifier = reranker::read(source, &p, &mut map)?;
    let limit = if classifier.is_some() { reranker::limit(source)? } else { sentence::limit(source)? };
    let context = limit.map_or(rows, |limit| limit.min(rows));
    let tower = TextConfig {
        projection: ProjectionConfig::None,
        ..TextConfig::new(json.int("vocab_size", 30522)?, context, transformer)
    };
    map.add(DISTILBERT, &[("p", &p), ("end", &context.to_string())])?;
    match classifier {
        None => alone(source, tower, map),
        head => {
            plan(source, ModelConfig { text: Some(tower), classifier: head, ..ModelConfig::new(width) }, map)
        }
    }
}
