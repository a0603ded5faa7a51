//! StaticEmbedding: a text is the mean of its tokens' vectors, whatever their order.

use super::super::source::Plan;
use super::file::Module;
use crate::config::{FinalNorm, ModelConfig, Pooling, ProjectionConfig, TextConfig, TransformerConfig};
use crate::{Error, Processors, Result};
use serde_json::Value;
use unisono_files::Budget;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{TextProcessor, TextRules};

/// The table's names: sentence-transformers', and the one of the models that are distilled for it.
const TABLES: [&str; 2] = ["embedding.weight", "embeddings"];
/// Tokens of the longest text, where its tokenizer says nothing: there is no place that a token could be too far behind for.
const LONGEST: i64 = 1 << 20;

/// What the folder asks for.
pub(super) fn plan(module: &Module) -> Result<Plan> {
    module.there()?;
    let weights = Weights::open(&module.at)?;
    let table = TABLES.into_iter().find(|name| weights.has(name));
    let Some((table, &[rows, width])) = table.and_then(|t| Some((t, weights.shape(t)?))) else {
        let message = format!("expected a table of vectors, {}", TABLES.join(" or "));
        return Err(Error::format(weights.path(), message));
    };
    let path = module.at.join("tokenizer.json");
    let file: Value = unisono_files::read_json(&path, &Budget::VOCABULARY)?;
    // The one setting of the file that this module keeps to: it is not run by its tokenizer's library.
    let most =
        file["truncation"]["max_length"].as_i64().filter(|n| (1..LONGEST).contains(n)).unwrap_or(LONGEST);
    let blocks = TransformerConfig { final_norm: FinalNorm::None, ..TransformerConfig::new(width, 0, 1) };
    let text = TextConfig {
        positions: false,
        pooling: Pooling::Mean,
        projection: ProjectionConfig::None,
        ..TextConfig::new(rows, most, blocks)
    };
    let rules = TextRules { no_special: true, ..TextRules::default() };
    let context = usize::try_from(most).unwrap_or(1);
    let processor = TextProcessor::load(&path, context, rows)?.with_rules(rules);
    let mut map = Map::default();
    map.add(&format!("text.embedding.weight = {table}"), &[])?;
    Ok(Plan {
        config: ModelConfig { text: Some(text), ..ModelConfig::new(width) },
        map,
        weights,
        processors: Processors { text: Some(processor), ..Processors::default() },
    })
}
