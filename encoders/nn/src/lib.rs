//! What towers, the fusion Transformer and TransNetV2 are built of: layers, one attention, one block, precision, and weights in and out.
//!
//! Start at [`Transformer`]: blocks over `[B, T, W]` as [`TransformerConfig`] says. Parameters are defined under a [`Scope`].

mod activation;
mod adapter;
mod archive;
mod attention;
mod block;
mod cache;
mod checkpoint;
pub mod config;
mod conv;
mod ctranslate2;
pub mod draws;
mod entry;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod linear;
mod map;
mod mask;
mod messages;
mod mlp;
mod norm;
mod onednn;
mod packed;
pub mod params;
mod pass;
mod pickle;
mod position;
mod precision;
mod relative;
mod report;
mod rotary;
pub mod tensors;
mod transformer;
pub mod weights;

pub use adapter::{lengths, merged};
pub use attention::{Attention, AttentionConfig};
pub use block::Block;
pub use cache::{Cache, CrossKv, KeyValues, KvCache};
pub use checkpoint::Checkpoint;
pub use config::{Activation, TransformerConfig};
pub use conv::{BatchNorm, Bottleneck, Conv2d, ConvNorm, ConvShape, Padding};
pub use draws::Draws;
pub use error::{Error, Result};
pub use linear::Linear;
pub use map::{Map, number};
pub use mask::{Mask, length_mask};
pub use mlp::Mlp;
pub use norm::{LayerNorm, Norm, RmsNorm};
pub use params::{Init, Mode, Param, Params, Scope};
pub use pass::{Pass, Trace};
pub use position::Positions;
pub use precision::Precision;
pub use report::LoadReport;
pub use rotary::{Rotary, Rotation};
pub use transformer::Transformer;
