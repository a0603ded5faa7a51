//! Patches that are painted over.

use image::RgbImage;
use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::check_value;
use crate::Result;

/// Patches of [`ImageAugment`](super::ImageAugment) that are painted over with the colour that the tower takes for zero. FLIP (Li et al. 2023) and
/// masked autoencoders leave such patches out; here the tower sees them, without content, and takes as long as before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PatchMask {
    /// Share of the patches, rounded to a whole number of them; one is always left.
    pub share: f32,
    /// Edge of a patch in pixels, best the tower's own.
    pub size: u32,
    /// Their colour: the mean that the tower's input is normalised by.
    #[serde(skip)]
    pub fill: [u8; 3],
}

impl Default for PatchMask {
    fn default() -> Self {
        Self { share: 0.0, size: 16, fill: [128; 3] }
    }
}

impl PatchMask {
    pub(super) fn validate(&self) -> Result<()> {
        check_value("patch_mask.share", self.share, [0.0, 1.0])?;
        check_value("patch_mask.size", self.size as f32, [1.0, 1024.0])
    }

    pub(super) fn apply(&self, img: &mut RgbImage, rng: &mut impl Rng) {
        if self.share <= 0.0 || img.is_empty() {
            return;
        }
        let (width, height, edge) = (img.width(), img.height(), self.size.max(1));
        let columns = width.div_ceil(edge);
        let mut patches: Vec<u32> = (0..columns * height.div_ceil(edge)).collect();
        let hidden = ((patches.len() as f32 * self.share).round() as usize).min(patches.len() - 1);
        for patch in patches.partial_shuffle(rng, hidden).0 {
            let (left, top) = (*patch % columns * edge, *patch / columns * edge);
            for y in top..(top + edge).min(height) {
                for x in left..(left + edge).min(width) {
                    img.put_pixel(x, y, image::Rgb(self.fill));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "../tests/augment_patches.rs"]
mod tests;
