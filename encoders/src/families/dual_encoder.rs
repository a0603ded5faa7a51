//! A vision-text dual encoder (LiT, Zhai et al. 2022) as Hugging Face saves it: CLIP's image tower or ViT beside a text tower of BERT's kin.
//!
//! - **stem**, **blocks**, **norms**: CLIP's or ViT's for images, BERT's or RoBERTa's for texts
//! - **pooling**: the class token; BERT's pooler for texts
//! - **projection**: linear, without a bias; of ViT its pooler before it, a linear layer and an activation. One logit scale
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`; the text tower's tokenizer
//! - **map**: `bert_text.map`; `clip_blocks.map`, `clip_image.map` or `vit_blocks.map`, `vit_image.map`; `logits.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 9.5e-7

use super::bert;
use super::clip::{BLOCKS, IMAGE, clip_vision};
use super::common::{LOGITS, plan};
use super::source::{Checkpoint, Plan, activation};
use crate::Result;
use crate::config::{ModelConfig, Pooling, ProjectionConfig, TextConfig, VitConfig};
use unisono_nn::Map;
use unisono_processors::Json;

const POOLER: &str = "image.projection.fc1.* = vision_model.pooler.dense.*
image.projection.fc2.weight = visual_projection.weight
image.projection.fc2.bias = zero()";

pub(super) fn dual_encoder(source: &Checkpoint) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let family = text.text("model_type", "")?;
    if !["bert", "roberta", "xlm-roberta"].contains(&family) {
        return Err(text.wrong("model_type", "bert, roberta or xlm-roberta").into());
    }
    let (tower, rows) = bert::tower(text, family, None)?;
    let mut map = Map::default();
    let image = match vision.text("model_type", "")? {
        "clip_vision_model" => {
            map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
            map.add(IMAGE, &[("p", "vision_model.")])?;
            clip_vision(vision)?
        }
        "vit" => vit(vision, &mut map)?,
        _ => return Err(vision.wrong("model_type", "clip_vision_model or vit").into()),
    };
    let config = ModelConfig {
        text: Some(TextConfig {
            pooling: Pooling::First,
            pooler: true,
            projection: ProjectionConfig::Linear { bias: false },
            ..tower
        }),
        image: Some(image.into()),
        ..ModelConfig::new(source.config.int("projection_dim", 512)?)
    };
    bert::add_bert(&mut map, "text_model.", &rows)?;
    map.add("text.projection.weight = text_projection.weight", &[])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    // Its texts are those of the text tower's family.
    plan(&Checkpoint { dir: source.dir, config: text, family }, config, map)
}

/// ViT with its pooler, which the projection begins with.
fn vit(vision: Json, map: &mut Map) -> Result<VitConfig> {
    let tower = super::vit::tower(vision)?;
    let width = tower.transformer.width;
    let hidden = vision.int("pooler_output_size", width)?;
    if hidden != width {
        return Err(vision.wrong("pooler_output_size", format_args!("{width}, as hidden_size")).into());
    }
    super::vit::add(map, vision, "vision_model.")?;
    map.add(POOLER, &[])?;
    let activation = activation(vision, "pooler_act", "tanh")?;
    Ok(VitConfig { projection: ProjectionConfig::mlp(hidden, activation, true), ..tower })
}
