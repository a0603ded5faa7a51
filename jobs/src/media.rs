//! From files to what a model's processors make of them, within the limits of the job.

use crate::Result;
use crate::understand::Heard;
use image::RgbImage;
use std::path::Path;
use unisono_datasets::MediaLimits;
use unisono_datasets::video::{Ffmpeg, Span};
use unisono_encoders::Clip;
use unisono_encoders::processors::{ImageProcessor, LogMel};
use unisono_eval::inputs::{self, ClipInput};

/// A picture file → a square of the processor's size.
pub(crate) fn picture(path: &Path, processor: &ImageProcessor, limits: &MediaLimits) -> Result<RgbImage> {
    Ok(inputs::picture(path, processor, limits.files())?)
}

/// A sound file, by the FFmpeg that the user named → its log-mel spectrogram `[T, M]`.
pub(crate) fn spectrogram(
    path: &Path,
    processor: &LogMel,
    ffmpeg: Option<&Ffmpeg>,
    limits: &MediaLimits,
) -> Result<Vec<f32>> {
    Ok(inputs::spectrogram(path, processor, &limits.files(), ffmpeg)?.0)
}

/// A log-mel spectrogram `[T, M]`, and the sound that it is of.
pub(crate) type Mel = (Vec<f32>, Heard);

/// A sound file, by the FFmpeg that the user named → its log-mel spectrogram, however long it is.
pub(crate) fn speech(
    path: &Path,
    processor: &LogMel,
    ffmpeg: Option<&Ffmpeg>,
    limits: &MediaLimits,
) -> Result<Mel> {
    let (sound, start) = inputs::sound_on_clock(path, processor, &limits.speech(), ffmpeg)?;
    Ok((processor.whole(&sound.samples)?, Heard { start, seconds: sound.seconds() }))
}

/// A part of a video file → up to `count` frames, spread evenly over it, as squares of the processor's size.
pub(crate) fn frames(
    path: &Path,
    span: &Span,
    processor: &ImageProcessor,
    ffmpeg: &Ffmpeg,
    count: usize,
    limits: &MediaLimits,
) -> Result<Vec<RgbImage>> {
    Ok(inputs::frames_in(path, span, processor, ffmpeg, count, &limits.videos())?)
}

/// A part of a video file as `input` takes it.
pub(crate) fn clip(
    path: &Path,
    span: &Span,
    input: &ClipInput,
    ffmpeg: &Ffmpeg,
    limits: &MediaLimits,
) -> Result<Clip> {
    Ok(input.read(path, span, ffmpeg, &limits.videos())?)
}

/// The sound of a part of a video file → its log-mel spectrogram; `whole`: however long it is.
pub(crate) fn sound_track(
    path: &Path,
    span: &Span,
    processor: &LogMel,
    ffmpeg: &Ffmpeg,
    whole: bool,
    limits: &MediaLimits,
) -> Result<Mel> {
    let (sound, start) = inputs::sound_track(path, span, processor, ffmpeg, &limits.spoken_videos())?;
    let mel = if whole { processor.whole(&sound.samples)? } else { processor.process(&sound.samples)? };
    Ok((mel, Heard { start, seconds: sound.seconds() }))
}
