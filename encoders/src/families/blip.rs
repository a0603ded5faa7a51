//! BLIP's towers (Li et al. 2022). Its Transformers over text and image together are the fusion crate's.
//!
//! - **stem**: ViT's; texts: BERT's embeddings without segments
//! - **blocks**: images pre-norm, texts post-norm; GELU
//! - **norms**: layer norms, 1e-5 for images, the last one over all tokens; BERT's for texts
//! - **pooling**: the class token of each
//! - **projection**: linear with a bias in checkpoints for retrieval; others have no text tower and no shared space
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`; BERT's word pieces
//! - **map**: `blip_image.map`, `bert_text.map`
//! - **largest golden difference**: at most 1e-5, which the golden test of the fusion crate holds it to

use super::common::{BASE, blocks, plan};
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::{
    FinalNorm, ImageConfig, ModelConfig, NormPlace, Pooling, ProjectionConfig, StemConfig, TextConfig,
    TransformerConfig, VitConfig,
};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::Json;
use unisono_processors::Size;

const IMAGE: &str = include_str!("../../maps/blip_image.map");
const TEXT: &str = include_str!("../../maps/bert_text.map");

/// BLIP's text Transformers: BERT's blocks without segments, with eight heads by default.
pub(super) fn text_blocks(json: Json) -> Result<TransformerConfig> {
    Ok(TransformerConfig {
        heads: json.int("num_attention_heads", 8)?,
        norm: NormPlace::Post,
        input_norm: true,
        final_norm: FinalNorm::None,
        ..blocks(json, BASE, "gelu", 1e-12)?
    })
}

pub(super) fn blip(source: &Checkpoint) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let weights = Weights::open(source.dir)?;
    // Only checkpoints for retrieval share a space: their text encoder, run without an image, is the text tower.
    let aligned = weights.has("vision_proj.weight");
    // The shared width is retrieval's; the other kinds write it too.
    let (width, shared) =
        (vision.int("hidden_size", 768)?, source.config.int("image_text_hidden_size", 256)?);
    if !aligned {
        // What writes is no tower: the fusion crate reads it.
        source.config.pass_over(&["text_config"]);
    }
    let projection = if aligned { ProjectionConfig::Linear { bias: true } } else { ProjectionConfig::None };
    let config = ModelConfig {
        text: if aligned {
            Some(TextConfig {
                pooling: Pooling::First,
                projection,
                ..TextConfig::new(
                    text.int("vocab_size", 30524)?,
                    text.int("max_position_embeddings", 512)?,
                    text_blocks(text)?,
                )
            })
        } else {
            None
        },
        image: Some(ImageConfig::from(VitConfig {
            size: Size { sides: vision.pair("image_size", 384)? },
            stem: StemConfig::Patch { size: vision.pair("patch_size", 16)?, stride: None },
            flexible: false,
            prefix: 1,
            transformer: blocks(vision, BASE, "gelu", 1e-5)?,
            pooling: Pooling::First,
            projection,
        })),
        ..ModelConfig::new(if aligned { shared } else { width })
    };
    let mut map = Map::default();
    map.add(IMAGE, &[("p", "vision_model.")])?;
    if aligned {
        // There are no segments in BLIP's embeddings.
        let positions = "text_encoder.embeddings.position_embeddings.weight";
        let bert = TEXT.replace(
            "add(rows({p}embeddings.position_embeddings.weight, {first}, {end}), rows({p}embeddings.token_type_embeddings.weight, 0, 1))",
            positions,
        );
        map.add(&bert, &[("p", "text_encoder.")])?;
    }
    map.add(
        "ignore text_encoder.*\nignore text_decoder.*\nignore itm_head.*\nignore *position_ids\nignore logit_scale",
        &[],
    )?;
    plan(source, config, map)
}
