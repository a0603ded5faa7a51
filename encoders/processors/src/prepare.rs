//! From a file to what a model sees: decoded and processed as its contract says. The one way in for training, evaluation and jobs.

use crate::{Alpha, ImageProcessor, LogMel, Result};
use image::RgbImage;
use std::ops::Range;
use unisono_media::decode::{Wanted, resample_part, resampled, source_of};
use unisono_media::video::{Ffmpeg, Span, Time, VideoLimits};
use unisono_media::{Audio, Blob, ImageOptions, Limits, decode};

/// How an image is decoded for `processor`: over its background, vector images drawn at least as large as it looks.
pub fn image_options(processor: &ImageProcessor, limits: Limits) -> ImageOptions {
    ImageOptions {
        background: processor.background,
        drop_alpha: processor.alpha != Alpha::Background,
        svg_size: processor.longest_side().max(16),
        limits,
    }
}

/// An image file, by the FFmpeg that the user named → what the image tower sees.
///
/// # Errors
/// The decoder's, naming the file.
pub fn image(
    blob: &Blob,
    processor: &ImageProcessor,
    limits: Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<RgbImage> {
    let options = image_options(processor, limits);
    if processor.alpha == Alpha::Drop {
        return Ok(processor.prepare_stored(&decode::stored_by(blob, &options, ffmpeg)?));
    }
    Ok(processor.prepare(&decode::image_by(blob, &options, ffmpeg)?))
}

/// An audio file, by the FFmpeg that the user named → mono samples at the rate of `processor`, and its length in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn audio(
    blob: &Blob,
    processor: &LogMel,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<(Audio, f64)> {
    let audio = decode::audio_by(blob, limits, ffmpeg)?;
    let seconds = audio.seconds();
    Ok((at_rate(audio, processor)?, seconds))
}

/// An audio file, by the FFmpeg that the user named → mono samples at the rate of `processor`, and when it begins on the clock of its
/// container, in seconds.
///
/// # Errors
/// The decoder's, naming the file.
pub fn audio_on_clock(
    blob: &Blob,
    processor: &LogMel,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<(Audio, f64)> {
    let (audio, start) = decode::audio_on_clock(blob, limits, ffmpeg)?;
    Ok((at_rate(audio, processor)?, start))
}

/// An audio file, by the FFmpeg that the user named → its log-mel spectrogram `[T, M]`, and its length in seconds. Of a long file the beginning
/// alone is decoded, where no more is heard; of what FFmpeg reads, the length is then what its container claims.
///
/// # Errors
/// The decoder's, naming the file.
pub fn spectrogram(
    blob: &Blob,
    processor: &LogMel,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<(Vec<f32>, f64)> {
    let rate = processor.config().sample_rate;
    let Some(most) = processor.most_samples().map(|most| most as u64) else {
        let (audio, seconds) = audio(blob, processor, limits, ffmpeg)?;
        return Ok((processor.process(&audio.samples)?, seconds));
    };
    // A rate that cannot be resampled is told where it is.
    let first = |from: u32| source_of(&(0..most), from, rate).map_or(u64::MAX, |source| source.end);
    let found = decode::excerpt(blob, limits, ffmpeg, Wanted::First(&first))?;
    let length = resampled(found.extent.samples, found.extent.sample_rate, rate)?;
    let heard = resample_part(found.audio, rate, &(0..length.min(most)))?;
    Ok((processor.process(&heard.samples)?, found.extent.seconds()))
}

/// A part of an audio file, by the FFmpeg that the user named, as [`audio`] has it, bit for bit: the samples that `part` picks of so many. What
/// they are made of is decoded, and no more.
///
/// # Errors
/// The decoder's, naming the file.
pub fn audio_part(
    blob: &Blob,
    processor: &LogMel,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
    part: &dyn Fn(u64) -> Range<u64>,
) -> Result<Audio> {
    let rate = processor.config().sample_rate;
    let of = |samples: u64, from: u32| {
        let length = resampled(samples, from, rate)?;
        let range = part(length);
        let start = range.start.min(length);
        Ok::<_, unisono_media::Error>(start..range.end.clamp(start, length))
    };
    let wanted = |extent: decode::Extent| {
        of(extent.samples, extent.sample_rate)
            .and_then(|range| source_of(&range, extent.sample_rate, rate))
            .unwrap_or(0..0)
    };
    let found = decode::excerpt(blob, limits, ffmpeg, Wanted::Range(&wanted))?;
    let range = of(found.extent.samples, found.extent.sample_rate)?;
    Ok(resample_part(found.audio, rate, &range)?)
}

/// A part of a video file → up to `count` frames, spread evenly over it, as the image tower sees them.
///
/// # Errors
/// The decoder's, naming the file.
pub fn frames_in(
    blob: &Blob,
    span: &Span,
    processor: &ImageProcessor,
    ffmpeg: &Ffmpeg,
    count: usize,
    limits: &VideoLimits,
) -> Result<Vec<RgbImage>> {
    let video = ffmpeg.probe(blob, limits)?;
    let frames = ffmpeg.sample_span(&video, span, count, limits)?;
    Ok(frames.iter().map(|frame| processor.prepare(&frame.image)).collect())
}

/// A clip as towers take it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clip {
    /// Its frames in their order, from the image processor; at least one.
    pub frames: Vec<RgbImage>,
    /// The log-mel spectrogram `[T, M]` of its audio, where the model listens and the clip has one.
    pub audio: Option<Vec<f32>>,
}

/// How the clips of one model are decoded.
#[derive(Debug, Clone, Copy)]
pub struct ClipInput<'a> {
    /// For the frames.
    pub image: &'a ImageProcessor,
    /// For the audio; absent where the model does not listen to clips.
    pub audio: Option<&'a LogMel>,
    /// Frames of a clip, at most.
    pub frames: usize,
}

impl ClipInput<'_> {
    /// A part of a video file → its frames, and its audio where it is wanted and there is one.
    ///
    /// # Errors
    /// The decoder's, naming the file.
    pub fn read(&self, blob: &Blob, span: &Span, ffmpeg: &Ffmpeg, limits: &VideoLimits) -> Result<Clip> {
        let Some(mel) = self.audio else {
            let frames = frames_in(blob, span, self.image, ffmpeg, self.frames, limits)?;
            return Ok(Clip { frames, audio: None });
        };
        let (frames, audio) = ffmpeg.clip(&ffmpeg.probe(blob, limits)?, span, self.frames, limits)?;
        let frames = frames.iter().map(|frame| self.image.prepare(&frame.image)).collect();
        // A clip without audio is no worse for it.
        let audio = audio.map(|audio| mel.process(&at_rate(audio, mel)?.samples)).transpose()?;
        Ok(Clip { frames, audio })
    }
}

/// [`audio_track`], and `None` where the file has none or nothing of it is in that part.
///
/// # Errors
/// The decoder's, naming the file.
pub fn track(
    blob: &Blob,
    span: &Span,
    processor: &LogMel,
    ffmpeg: &Ffmpeg,
    limits: &VideoLimits,
) -> Result<Option<Audio>> {
    let audio = ffmpeg.audio_if_any(&ffmpeg.probe(blob, limits)?, span, limits)?;
    audio.map(|audio| at_rate(audio, processor)).transpose()
}

/// The audio of a part of a video file → mono samples at the rate of `processor`, and when it begins on the container's clock, in seconds.
///
/// # Errors
/// The decoder's, naming the file; a file without an audio track, or with none in that part.
pub fn audio_track(
    blob: &Blob,
    span: &Span,
    processor: &LogMel,
    ffmpeg: &Ffmpeg,
    limits: &VideoLimits,
) -> Result<(Audio, f64)> {
    let video = ffmpeg.probe(blob, limits)?;
    let audio = ffmpeg.audio_span(&video, span, limits)?;
    let begins = ffmpeg.audio_start(&video, limits)?.max(span.start);
    Ok((at_rate(audio, processor)?, begins.map_or(0.0, Time::seconds)))
}

fn at_rate(audio: Audio, processor: &LogMel) -> Result<Audio> {
    let rate = processor.config().sample_rate;
    Ok(if audio.sample_rate == rate { audio } else { decode::resample(&audio, rate)? })
}
