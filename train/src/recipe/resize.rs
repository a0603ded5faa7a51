//! What a recipe says of other sizes: `[resize]`.

use serde::{Deserialize, Serialize};
use unisono_encoders::config::Size;

/// Other sizes for towers of checkpoints; their position embeddings are interpolated, and their processors follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeConfig {
    /// Size of the images in pixels: an edge, or height and width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Size>,
    /// Longest text, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<i64>,
}
