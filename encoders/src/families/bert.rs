//! BERT, RoBERTa and XLM-R, alone or as sentence encoders in the layout of sentence-transformers.
//!
//! - **stem**: token, position and segment embeddings; RoBERTa's positions begin after the padding's id
//! - **blocks**: post-norm, GELU, both directions
//! - **norms**: layer norms, 1e-12; one over the embeddings, none at the end
//! - **pooling**: the mean, or what `modules.json` says
//! - **projection**: none
//! - **processor**: the checkpoint's tokenizer; `sentence_bert_config.json` may shorten the context
//! - **map**: `bert_text.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 9.8e-7

use super::common::{BASE, blocks, plan};
use super::source::{Checkpoint, Plan};
use crate::config::{
    FinalNorm, ModelConfig, NormPlace, Pooling, ProjectionConfig, TextConfig, TransformerConfig,
};
use crate::{Error, Result};
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Json, optional_json};

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

/// The tower that a BERT-like configuration describes: post-norm, its embeddings normed, no final norm, mean pooling.
pub(super) fn tower(json: Json, dir: &Path, family: &str) -> Result<(TextConfig, Rows)> {
    let positions = json.text("position_embedding_type", "absolute")?;
    if positions != "absolute" {
        let message = format!("position_embedding_type: expected \"absolute\", found {positions:?}");
        return Err(Error::format(json.path, message));
    }
    // RoBERTa's positions start after the padding's id; BERT's at 0.
    let first = match family {
        "roberta" | "xlm-roberta" | "mpnet" | "clap" => json.int("pad_token_id", 1)? + 1,
        _ => 0,
    };
    let rows = json.int("max_position_embeddings", 512)? - first;
    let path = dir.join("sentence_bert_config.json");
    let context = match optional_json(&path)? {
        Some(value) => Json::new(&path, &value).int("max_seq_length", rows)?.min(rows),
        None => rows,
    };
    let vocab = if family == "mpnet" { 30527 } else { 30522 };
    let config = TextConfig {
        vocab_size: json.int("vocab_size", vocab)?,
        context_length: context,
        transformer: TransformerConfig {
            norm: NormPlace::Post,
            input_norm: true,
            final_norm: FinalNorm::None,
            ..blocks(json, BASE, "gelu", 1e-12)?
        },
        pooling: Pooling::Mean,
        token_dropout: 0.0,
        class_token: None,
        pooler: false,
        projection: ProjectionConfig::None,
    };
    Ok((config, Rows { first, end: first + context }))
}

pub(super) fn bert(source: &Checkpoint) -> Result<Plan> {
    let (tower, rows) = tower(source.config, source.dir, source.family)?;
    let mut map = Map::default();
    add_bert(&mut map, &prefix(source)?, &rows)?;
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

pub(super) fn alone(source: &Checkpoint, mut tower: TextConfig, map: Map) -> Result<Plan> {
    if let Some(pooling) = sentence_pooling(source)? {
        tower.pooling = pooling;
    }
    let config = ModelConfig {
        embed_dim: tower.transformer.width,
        text: Some(tower),
        image: None,
        audio: None,
        video: None,
        logit_bias: false,
    };
    plan(source, config, map)
}

/// What sentence-transformers' `modules.json` says; `None` when there is none.
fn sentence_pooling(source: &Checkpoint) -> Result<Option<Pooling>> {
    let Some(modules) = source.json("modules.json")? else { return Ok(None) };
    let path = source.dir.join("modules.json");
    let mut pooling = None;
    for module in modules.as_array().into_iter().flatten() {
        let json = Json::new(&path, module);
        let kind = json.text("type", "")?;
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" | "Normalize" => {}
            "Pooling" => {
                let folder = json.text("path", "1_Pooling")?;
                // A name from a stranger's file must not lead out of the folder.
                if !Path::new(folder).components().all(|c| matches!(c, std::path::Component::Normal(_))) {
                    return Err(json.wrong("path", "a folder below this one").into());
                }
                let at = source.dir.join(folder).join("config.json");
                let value = unisono_processors::read_json(&at)?;
                pooling = Some(pooling_mode(Json::new(&at, &value))?);
            }
            other => {
                return Err(Error::format(
                    &path,
                    format!("module {other:?} is not supported; expected Transformer, Pooling and Normalize"),
                ));
            }
        }
    }
    Ok(pooling)
}

fn pooling_mode(json: Json) -> Result<Pooling> {
    let mean = json.bool("pooling_mode_mean_tokens", false)? || json.text("pooling_mode", "")? == "mean";
    let cls = json.bool("pooling_mode_cls_token", false)? || json.text("pooling_mode", "")? == "cls";
    let last = json.bool("pooling_mode_lasttoken", false)? || json.text("pooling_mode", "")? == "lasttoken";
    match (mean, cls, last) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::First),
        (false, false, true) => Ok(Pooling::Last),
        _ => Err(Error::format(
            json.path,
            "expected mean, CLS or last-token pooling, found another or several",
        )),
    }
}
