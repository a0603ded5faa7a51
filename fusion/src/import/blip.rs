//! BLIP (Li et al. 2022) as Hugging Face saves it: captioning, image-text matching, question answering.

use super::plan::Plan;
use crate::Result;
use crate::config::{CrossPlace, FusionConfig, Generation, LanguageHead, MemoryConfig, StackConfig, Tokens};
use serde_json::Value;
use std::path::Path;
use unisono_encoders::Modality;
use unisono_encoders::config::{FinalNorm, NormPlace, TransformerConfig};
use unisono_encoders::families::activation;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::read_json;
use unisono_processors::{Json, Reads};
use unisono_processors::{TextProcessor, TextRules};

const MAP: &str = include_str!("../../maps/blip.map");

fn stack(json: Json, memory: i64, head: Option<LanguageHead>) -> Result<StackConfig> {
    let width = json.int("hidden_size", 768)?;
    Ok(StackConfig {
        vocab_size: json.int("vocab_size", 30524)?,
        context_length: json.int("max_position_embeddings", 512)?,
        transformer: TransformerConfig {
            mlp_ratio: json.ratio("intermediate_size", 3072, width)?,
            activation: activation(json, "hidden_act", "gelu")?,
            norm: NormPlace::Post,
            norm_eps: json.float("layer_norm_eps", 1e-12)?,
            input_norm: true,
            final_norm: FinalNorm::None,
            ..TransformerConfig::new(
                width,
                json.int("num_hidden_layers", 12)?,
                json.int("num_attention_heads", 8)?,
            )
        },
        memory_width: Some(memory),
        cross: CrossPlace::Inside,
        unimodal: 0,
        head,
    })
}

pub(super) fn plan(dir: &Path) -> Result<Plan> {
    let path = dir.join("config.json");
    let value: Value = read_json(&path)?;
    let reads = Reads::default();
    let json = Json::new(&path, &value).counted(&reads);
    let text = json.object("text_config");
    let weights = Weights::open(dir)?;
    let (reads, writes) = (
        weights.has("text_encoder.embeddings.word_embeddings.weight"),
        weights.has("text_decoder.bert.embeddings.word_embeddings.weight"),
    );
    let images = json.object("vision_config").int("hidden_size", 768)?;
    // The decoder of a question answerer attends to what the encoder makes of the question.
    let seen = if reads && writes { text.int("hidden_size", 768)? } else { images };
    let mut map = Map::default();
    let encoder = if reads { Some(stack(text, images, None)?) } else { None };
    let decoder = if writes { Some(stack(text, seen, Some(LanguageHead::Transform))?) } else { None };
    if reads {
        map.add(MAP, &[("s", "encoder"), ("p", "text_encoder."), ("head", "none.")])?;
    }
    if writes {
        let head = "text_decoder.cls.predictions.";
        map.add(MAP, &[("s", "decoder"), ("p", "text_decoder.bert."), ("head", head)])?;
    }
    map.add(
        "match.* = itm_head.*\nignore vision_model.*\nignore vision_proj.*\nignore text_proj.*\nignore logit_scale",
        &[],
    )?;
    let end = text.int("sep_token_id", 102)?;
    let saved = super::plan::generation(dir)?;
    let vocab = text.int("vocab_size", 30524)?;
    let context = usize::try_from(text.int("max_position_embeddings", 512)?).unwrap_or(1);
    let processor = TextProcessor::from_checkpoint(dir, "blip", context, vocab, TextRules::default())?;
    let first = processor.as_ref().and_then(|p| p.tokenizer().token_to_id("[CLS]")).map(i64::from);
    let config = FusionConfig {
        memory: MemoryConfig::Tower { modality: Modality::Image, skip: 0 },
        encoder,
        decoder,
        matching: weights.has("itm_head.weight"),
        last_token: false,
        answers: reads && writes,
        tokens: Tokens {
            start: text.int("bos_token_id", 30522)?,
            end: vec![end],
            pad: text.int("pad_token_id", 0)?,
            first,
        },
        generation: Generation { end: vec![end], ..saved },
        words: Vec::new(),
        speech: None,
    };
    super::plan::finish(json, "blip")?;
    Ok(Plan { config, map, weights, text: processor })
}
