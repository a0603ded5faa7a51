//! From a file to what a model sees: decoded and processed as its contract says. The one way in for training, evaluation and jobs.

use crate::{Alpha, ImageProcessor, LogMel, Result};
use image::RgbImage;
use std::path::Path;
use unisono_media::video::{Ffmpeg, Span, Time, VideoLimits};
use unisono_media::{ImageOptions, Limits, Sound, decode};

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

/// A sound file, by the FFmpeg that the user named → mono samples at the rate of `processor`, and its length in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn sound(
    path: &Path,
    processor: &LogMel,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<(Sound, f64)> {
    let sound = decode::sound_by(path, limits, ffmpeg)?;
    let seconds = sound.seconds();
    Ok((at_rate(sound, processor)?, seconds))
}

/// A sound file, by the FFmpeg that the user named → mono samples at the rate of `processor`, and when it begins on the clock of its
/// container, in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn sound_on_clock(
    path: &Path,
    processor: &LogMel,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<(Sound, f64)> {
    let (sound, start) = decode::sound_on_clock(path, limits, ffmpeg)?;
    Ok((at_rate(sound, processor)?, start))
}

/// A sound file, by the FFmpeg that the user named → its log-mel spectrogram `[T, M]`, and its length in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn spectrogram(
    path: &Path,
    processor: &LogMel,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<(Vec<f32>, f64)> {
    let (sound, seconds) = sound(path, processor, limits, ffmpeg)?;
    Ok((processor.process(&sound.samples)?, seconds))
}

/// A part of a video file → up to `count` frames, spread evenly over it, as the image tower sees them.
///
/// # Errors
/// The decoder's, naming the file.
pub fn frames_in(
    path: &Path,
    span: &Span,
    processor: &ImageProcessor,
    ffmpeg: &Ffmpeg,
    count: usize,
    limits: &VideoLimits,
) -> Result<Vec<RgbImage>> {
    let video = ffmpeg.probe(path, limits)?;
    let frames = ffmpeg.sample_span(&video, span, count, limits)?;
    Ok(frames.iter().map(|frame| processor.prepare(&frame.picture)).collect())
}

/// A clip as towers take it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clip {
    /// Its frames in their order, from the image processor; at least one.
    pub frames: Vec<RgbImage>,
    /// The log-mel spectrogram `[T, M]` of its sound, where the model listens and the clip has one.
    pub sound: Option<Vec<f32>>,
}

/// How the clips of one model are decoded.
#[derive(Debug, Clone, Copy)]
pub struct ClipInput<'a> {
    /// For the frames.
    pub image: &'a ImageProcessor,
    /// For the sound; absent where the model does not listen to clips.
    pub audio: Option<&'a LogMel>,
    /// Frames of a clip, at most.
    pub frames: usize,
}

impl ClipInput<'_> {
    /// A part of a video file → its frames, and its sound where it is wanted and there is one.
    ///
    /// # Errors
    /// The decoder's, naming the file.
    pub fn read(&self, path: &Path, span: &Span, ffmpeg: &Ffmpeg, limits: &VideoLimits) -> Result<Clip> {
        let frames = frames_in(path, span, self.image, ffmpeg, self.frames, limits)?;
        let mel = |audio: &LogMel| -> Result<Option<Vec<f32>>> {
            // A clip without sound is no worse for it.
            let sound = track(path, span, audio, ffmpeg, limits)?;
            sound.map(|s| audio.process(&s.samples)).transpose()
        };
        Ok(Clip { frames, sound: self.audio.map_or(Ok(None), mel)? })
    }
}

/// [`sound_track`], and `None` where the file has none or nothing of it is in that part.
///
/// # Errors
/// The decoder's, naming the file.
pub fn track(
    path: &Path,
    span: &Span,
    processor: &LogMel,
    ffmpeg: &Ffmpeg,
    limits: &VideoLimits,
) -> Result<Option<Sound>> {
    let sound = ffmpeg.hear(&ffmpeg.probe(path, limits)?, span, limits)?;
    sound.map(|sound| at_rate(sound, processor)).transpose()
}

/// The sound of a part of a video file → mono samples at the rate of `processor`, and when it begins on the container's clock, in seconds.
///
/// # Errors
/// The decoder's, naming the file; a file without a sound track, or with none in that part.
pub fn sound_track(
    path: &Path,
    span: &Span,
    processor: &LogMel,
    ffmpeg: &Ffmpeg,
    limits: &VideoLimits,
) -> Result<(Sound, f64)> {
    let video = ffmpeg.probe(path, limits)?;
    let sound = ffmpeg.sound_span(&video, span, limits)?;
    let begins = ffmpeg.sound_start(&video, limits)?.max(span.start);
    Ok((at_rate(sound, processor)?, begins.map_or(0.0, Time::seconds)))
}

fn at_rate(sound: Sound, processor: &LogMel) -> Result<Sound> {
    let rate = processor.config().sample_rate;
    Ok(if sound.sample_rate == rate { sound } else { decode::resample(&sound, rate)? })
}
