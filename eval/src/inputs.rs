//! From a file to what a model sees: decoded and processed as its contract says. The one way in for training, evaluation and jobs.

use crate::Result;
use image::RgbImage;
use std::path::Path;
use unisono_datasets::{ImageOptions, Limits, Sound, decode};
use unisono_encoders::processors::{Alpha, ImageProcessor, LogMel};

/// How a picture is decoded for `processor`: over its background, vector pictures drawn at least as large as it looks.
pub fn image_options(processor: &ImageProcessor, limits: Limits) -> ImageOptions {
    ImageOptions {
        background: processor.background,
        drop_alpha: processor.alpha == Alpha::Drop,
        svg_size: processor.longest_side().max(16),
        limits,
    }
}

/// A picture file → what the image tower sees.
///
/// # Errors
/// The decoder's, naming the file.
pub fn picture(path: &Path, processor: &ImageProcessor, limits: Limits) -> Result<RgbImage> {
    Ok(processor.prepare(&decode::image(path, &image_options(processor, limits))?))
}

/// A sound file → mono samples at the rate of `processor`, and its length in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn sound(path: &Path, processor: &LogMel, limits: &Limits) -> Result<(Sound, f64)> {
    let sound = decode::sound(path, limits)?;
    let seconds = sound.seconds();
    let rate = processor.config().sample_rate;
    Ok((if sound.sample_rate == rate { sound } else { decode::resample(&sound, rate)? }, seconds))
}

/// A sound file → its log-mel spectrogram `[T, M]`, and its length in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn spectrogram(path: &Path, processor: &LogMel, limits: &Limits) -> Result<(Vec<f32>, f64)> {
    let (sound, seconds) = sound(path, processor, limits)?;
    Ok((processor.process(&sound.samples)?, seconds))
}
