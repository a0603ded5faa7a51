//! A vision-text dual encoder (LiT, Zhai et al. 2022) as Hugging Face saves it: CLIP's image tower beside a text tower of BERT's kin.
//!
//! - **stem**, **blocks**, **norms**: CLIP's for images, BERT's or RoBERTa's for texts
//! - **pooling**: the class token; BERT's pooler for texts
//! - **projection**: linear, without a bias; one logit scale
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`; the text tower's tokenizer
//! - **map**: `bert_text.map`, `clip_blocks.map`, `clip_image.map`, `logits.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 9.5e-7

use super::bert;
use super::clip::{BLOCKS, IMAGE, clip_vision};
use super::common::{LOGITS, plan};
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::{ModelConfig, Pooling, ProjectionConfig, TextConfig};
use unisono_nn::Map;

pub(super) fn dual_encoder(source: &Checkpoint) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    if vision.text("model_type", "")? != "clip_vision_model" {
        return Err(vision.wrong("model_type", "clip_vision_model, whose pooled vector is read").into());
    }
    let family = text.text("model_type", "")?;
    if !["bert", "roberta", "xlm-roberta"].contains(&family) {
        return Err(text.wrong("model_type", "bert, roberta or xlm-roberta").into());
    }
    let (tower, rows) = bert::tower(text, family, None)?;
    let config = ModelConfig {
        text: Some(TextConfig {
            pooling: Pooling::First,
            pooler: true,
            projection: ProjectionConfig::Linear { bias: false },
            ..tower
        }),
        image: Some(clip_vision(vision)?.into()),
        ..ModelConfig::new(source.config.int("projection_dim", 512)?)
    };
    let mut map = Map::default();
    bert::add_bert(&mut map, "text_model.", &rows)?;
    map.add("text.projection.weight = text_projection.weight", &[])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(IMAGE, &[("p", "vision_model.")])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    // Its texts are those of the text tower's family.
    plan(&Checkpoint { dir: source.dir, config: text, family }, config, map)
}
