//! MPNet (Song et al. 2020), alone or as a sentence encoder in the layout of sentence-transformers.
//!
//! - **stem**: token and position embeddings, positions beginning after the padding's id
//! - **blocks**: BERT's, and one table of relative biases by distance for all of them
//! - **norms**: BERT's
//! - **pooling**: the mean, or what `modules.json` says
//! - **projection**: none
//! - **processor**: the checkpoint's tokenizer
//! - **map**: `mpnet_text.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 9.5e-7

use super::bert::{alone, prefix, tower};
use super::sentence;
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::RelativeConfig;
use unisono_nn::Map;

const MPNET: &str = include_str!("../../maps/mpnet_text.map");

pub(super) fn mpnet(source: &Checkpoint) -> Result<Plan> {
    let (mut tower, rows) = tower(source.config, source.family, sentence::limit(source)?)?;
    let buckets = source.config.int("relative_attention_num_buckets", 32)?;
    tower.transformer.relative = Some(RelativeConfig { buckets, max_distance: 128 });
    let mut map = Map::default();
    let (first, end) = (rows.first.to_string(), rows.end.to_string());
    map.add(MPNET, &[("p", &prefix(source)?), ("first", &first), ("end", &end)])?;
    alone(source, tower, map)
}
