//! From files to what a model's processors make of them, within the default limits.

use crate::Result;
use image::RgbImage;
use std::path::Path;
use unisono_datasets::Limits;
use unisono_encoders::processors::{ImageProcessor, LogMel};
use unisono_eval::inputs;

/// A picture file → a square of the processor's size.
pub(crate) fn picture(path: &Path, processor: &ImageProcessor) -> Result<RgbImage> {
    Ok(inputs::picture(path, processor, Limits::default())?)
}

/// A sound file → its log-mel spectrogram `[T, M]`.
pub(crate) fn spectrogram(path: &Path, processor: &LogMel) -> Result<Vec<f32>> {
    Ok(inputs::spectrogram(path, processor, &Limits::default())?.0)
}
