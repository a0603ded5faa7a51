//! Tokens of towers, and how they enter a memory.

use crate::Result;
use tch::Tensor;
use unisono_encoders::{Modality, Model};
use unisono_nn::Linear;

/// Tokens of one modality, a part of a memory.
#[derive(Debug)]
pub struct Sequence {
    /// Whose they are.
    pub modality: Modality,
    /// `[N, S, W]`.
    pub tokens: Tensor,
    /// `[N, S]` bool, true = real; `None`: all.
    pub mask: Option<Tensor>,
    /// Number of the frame, for the images of a video; 0 otherwise.
    pub frame: i64,
}

/// How tower tokens enter a memory of this project's own: projected to its width, told by modality and by frame.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub modality: Modality,
    pub projection: Linear,
    /// `[W]`.
    pub kind: Tensor,
}

/// The width of a tower's tokens.
pub(crate) fn tower_width(towers: &Model, modality: Modality) -> Result<i64> {
    let width = match (modality, &towers.config().text) {
        (Modality::Text, Some(text)) => Some(text.transformer.width),
        // What is attended to of a video are its frames' tokens, the image tower's.
        (Modality::Image | Modality::Audio, _) => {
            towers.config().projection(modality).map(|(width, _)| width)
        }
        _ => None,
    };
    Ok(width.ok_or_else(|| towers.no_tower(modality))?)
}
