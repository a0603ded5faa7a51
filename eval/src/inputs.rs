//! From a file to what a model sees: decoded and processed as its contract says. The one way in for training, evaluation and jobs.

use crate::Result;
use image::RgbImage;
use std::path::Path;
use unisono_datasets::video::{Ffmpeg, VideoLimits};
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
    Ok((at_rate(sound, processor)?, seconds))
}

/// A sound file → its log-mel spectrogram `[T, M]`, and its length in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn spectrogram(path: &Path, processor: &LogMel, limits: &Limits) -> Result<(Vec<f32>, f64)> {
    let (sound, seconds) = sound(path, processor, limits)?;
    Ok((processor.process(&sound.samples)?, seconds))
}

/// A video file → up to `count` frames, spread evenly over it, as the image tower sees them.
///
/// # Errors
/// The decoder's, naming the file.
pub fn frames(
    path: &Path,
    processor: &ImageProcessor,
    ffmpeg: &Ffmpeg,
    count: usize,
    limits: &VideoLimits,
) -> Result<Vec<RgbImage>> {
    let video = ffmpeg.probe(path, limits)?;
    Ok(ffmpeg.sample(&video, count, limits)?.iter().map(|frame| processor.prepare(&frame.picture)).collect())
}

/// A video file's sound track → mono samples at the rate of `processor`.
///
/// # Errors
/// The decoder's, naming the file.
pub fn sound_track(path: &Path, processor: &LogMel, ffmpeg: &Ffmpeg, limits: &VideoLimits) -> Result<Sound> {
    at_rate(ffmpeg.sound(&ffmpeg.probe(path, limits)?, limits)?, processor)
}

fn at_rate(sound: Sound, processor: &LogMel) -> Result<Sound> {
    let rate = processor.config().sample_rate;
    Ok(if sound.sample_rate == rate { sound } else { decode::resample(&sound, rate)? })
}
