//! Random changes to media that do not change what they show or say. Every parameter's default is the identity, so a
//! recipe names only what it switches on; each transformation is one pass, because it runs on the cores that train.

mod audio;
mod blur;
mod colour;
mod image;
mod noise;
mod patches;
mod spectrogram;
mod text;
mod warp;

pub use audio::AudioAugment;
pub use blur::Blur;
pub use image::{Crop, Erase, ImageAugment};
pub use noise::NoiseColour;
pub use patches::PatchMask;
pub use spectrogram::SpectrogramAugment;
pub use text::TextAugment;

use rand::Rng;

use crate::{Error, Result};

/// A value between the two ends; both ends equal give that value without drawing.
fn between(range: [f32; 2], rng: &mut impl Rng) -> f32 {
    if range[0] >= range[1] { range[0] } else { rng.random_range(range[0]..=range[1]) }
}

/// A coin that falls true with probability `p`; 0 and 1 need no draw.
fn chance(p: f32, rng: &mut impl Rng) -> bool {
    p > 0.0 && (p >= 1.0 || rng.random::<f32>() < p)
}

/// Refuses a range that is turned round or leaves `allowed`.
fn check_range(name: &str, range: [f32; 2], allowed: [f32; 2]) -> Result<()> {
    if range[0] <= range[1] && range[0] >= allowed[0] && range[1] <= allowed[1] {
        return Ok(());
    }
    Err(Error::Options(format!(
        "{name} must be [low, high] within [{}, {}], found [{}, {}]",
        allowed[0], allowed[1], range[0], range[1]
    )))
}

/// Refuses a value outside `allowed`.
fn check_value(name: &str, value: f32, allowed: [f32; 2]) -> Result<()> {
    if (allowed[0]..=allowed[1]).contains(&value) {
        return Ok(());
    }
    Err(Error::Options(format!("{name} must be within [{}, {}], found {value}", allowed[0], allowed[1])))
}
