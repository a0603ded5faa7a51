//! What a model's towers see of a file: the one dispatch by modality, with one set of limits and one guard.

use crate::prepare::{self, Clip, ClipInput};
use crate::{Error, ImageProcessor, LogMel, Result, TextProcessor};
use image::RgbImage;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use unisono_media::decode::Wanted;
use unisono_media::video::{Ffmpeg, Span};
use unisono_media::{Blob, MediaLimits, decode};

/// What turns media into the towers' inputs; each present when its tower is.
#[derive(Debug, Clone, Default)]
pub struct Processors {
    /// For the text tower.
    pub text: Option<TextProcessor>,
    /// For the image tower.
    pub image: Option<ImageProcessor>,
    /// For the audio tower.
    pub audio: Option<LogMel>,
    /// The vocabulary in which a decoder behind the audio tower writes.
    pub speech: Option<TextProcessor>,
}

impl Processors {
    /// The text processor.
    ///
    /// # Errors
    /// The model came without its tokenizer.
    pub fn text(&self) -> Result<&TextProcessor> {
        self.text.as_ref().ok_or_else(|| missing("tokenizer.json", "text"))
    }

    /// The image processor.
    ///
    /// # Errors
    /// The model came without it.
    pub fn image(&self) -> Result<&ImageProcessor> {
        self.image.as_ref().ok_or_else(|| missing("preprocessor_config.json", "image"))
    }

    /// The audio processor.
    ///
    /// # Errors
    /// The model came without it.
    pub fn audio(&self) -> Result<&LogMel> {
        self.audio.as_ref().ok_or_else(|| missing("preprocessor_config.json", "audio"))
    }
}

fn missing(file: &str, tower: &str) -> Error {
    Error::Input(format!("the model came without its {file}: its {tower} tower cannot be fed"))
}

/// One thing to be seen, heard or read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Medium<'a> {
    /// A text.
    Text(&'a str),
    /// An image file.
    Image(&'a Blob),
    /// An audio file.
    Audio(&'a Blob),
    /// A part of a video: frames, and the audio where the contract [listens](Contract::listens).
    Video(&'a Blob, Span),
    /// Frames of a part of a video.
    Frames(&'a Blob, Span),
    /// The audio of a part of a video.
    Track(&'a Blob, Span),
}

/// A medium as a tower takes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    /// Token ids.
    Text(Vec<i64>),
    /// An image of the processor's size.
    Image(RgbImage),
    /// A log-mel spectrogram `[T, M]`, and when the audio is that it is of.
    Audio(Vec<f32>, AudioTiming),
    /// Frames of the processor's size, and the audio's spectrogram.
    Video(Clip),
}

/// When an audio file is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AudioTiming {
    /// When it begins on its container's clock, in seconds.
    pub start: f64,
    /// How long it is.
    pub seconds: f64,
}

impl AudioTiming {
    /// How long it is, in whole milliseconds, as times are written: none that is rounded lies beyond its end.
    pub fn whole_millis(&self) -> f64 {
        (self.seconds * 1000.0).floor() / 1000.0
    }
}

/// How one model is fed. Shared by threads: a model's tensors are not.
#[derive(Debug, Clone)]
pub struct Contract<'a> {
    /// The model's processors.
    pub processors: &'a Processors,
    /// Frames of a video, at most.
    pub frames: usize,
    /// A video's audio is a part of it.
    pub listens: bool,
    /// Audio files keep their length, however long they are, and tell when they begin.
    pub whole: bool,
    /// What files may cost.
    pub limits: MediaLimits,
    /// What decodes videos, and audio files that nothing else does; absent: it is looked for when one is met.
    pub ffmpeg: Option<Ffmpeg>,
}

impl<'a> Contract<'a> {
    /// With the usual limits, one frame of a video, and audio files cut to what the model takes.
    pub fn new(processors: &'a Processors) -> Self {
        Self {
            processors,
            frames: 1,
            listens: false,
            whole: false,
            limits: MediaLimits::default(),
            ffmpeg: None,
        }
    }

    /// Decodes and processes a medium. A decoder's bug on a stranger's file costs that file, not the process.
    ///
    /// # Errors
    /// The decoder's, naming the file; no processor for it; [`Error::Panicked`].
    pub fn prepare(&self, medium: Medium) -> Result<Prepared> {
        guarded(medium, || self.decoded(medium))
    }

    /// The samples of an audio file, or of the audio of a part of a video, of which [`prepare`](Self::prepare) makes a spectrogram: at the rate of
    /// the audio processor, to be changed before they are processed. `None` for a video without audio, and for media without samples.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn samples(&self, medium: Medium) -> Result<Option<Vec<f32>>> {
        guarded(medium, || {
            let processor = self.processors.audio()?;
            match medium {
                Medium::Audio(blob) => {
                    let audio =
                        prepare::audio(blob, processor, &self.limits.files(), self.ffmpeg.as_ref())?.0;
                    Ok(Some(audio.samples))
                }
                Medium::Video(blob, span) | Medium::Track(blob, span) => {
                    let limits = self.limits.videos();
                    let audio = prepare::track(blob, &span, processor, &self.ffmpeg()?, &limits)?;
                    Ok(audio.map(|s| s.samples))
                }
                Medium::Text(_) | Medium::Image(_) | Medium::Frames(..) => Ok(None),
            }
        })
    }

    /// The part of an audio file's [`samples`](Self::samples) that `part` picks of so many, bit for bit; no more of the file is decoded than that
    /// takes. `part` may be asked twice, and has to say the same.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn samples_in(&self, blob: &Blob, part: &dyn Fn(u64) -> Range<u64>) -> Result<Vec<f32>> {
        guarded(Medium::Audio(blob), || {
            let (processor, limits) = (self.processors.audio()?, self.limits.files());
            Ok(prepare::audio_part(blob, processor, &limits, self.ffmpeg.as_ref(), part)?.samples)
        })
    }

    /// How long an audio file is, in seconds; `None` for media that are none.
    ///
    /// # Errors
    /// The decoder's, naming the file; [`Error::Panicked`].
    pub fn seconds(&self, medium: Medium) -> Result<Option<f64>> {
        guarded(medium, || match medium {
            Medium::Audio(blob) => {
                // None of its samples is needed to count them.
                let none = Wanted::Range(&|_| 0..0);
                let found = decode::excerpt(blob, &self.limits.files(), self.ffmpeg.as_ref(), none)?;
                Ok(Some(found.extent.seconds()))
            }
            _ => Ok(None),
        })
    }

    fn decoded(&self, medium: Medium) -> Result<Prepared> {
        let (files, videos) = (self.limits.files(), self.limits.videos());
        match medium {
            Medium::Text(text) => Ok(Prepared::Text(self.processors.text()?.encode(text)?)),
            Medium::Image(blob) => {
                let processor = self.processors.image()?;
                prepare::image(blob, processor, files, self.ffmpeg.as_ref()).map(Prepared::Image)
            }
            Medium::Audio(blob) if self.whole => {
                let (processor, limits) = (self.processors.audio()?, self.limits.speech());
                let (audio, start) = prepare::audio_on_clock(blob, processor, &limits, self.ffmpeg.as_ref())?;
                let heard = AudioTiming { start, seconds: audio.seconds() };
                Ok(Prepared::Audio(processor.whole(&audio.samples)?, heard))
            }
            Medium::Audio(blob) => {
                let processor = self.processors.audio()?;
                let (mel, seconds) = prepare::spectrogram(blob, processor, &files, self.ffmpeg.as_ref())?;
                Ok(Prepared::Audio(mel, AudioTiming { start: 0.0, seconds }))
            }
            Medium::Video(blob, span) => {
                let audio = if self.listens { Some(self.processors.audio()?) } else { None };
                let input = ClipInput { image: self.processors.image()?, audio, frames: self.frames };
                input.read(blob, &span, &self.ffmpeg()?, &videos).map(Prepared::Video)
            }
            Medium::Frames(blob, span) => {
                let (processor, ffmpeg) = (self.processors.image()?, self.ffmpeg()?);
                let frames = prepare::frames_in(blob, &span, processor, &ffmpeg, self.frames, &videos)?;
                Ok(Prepared::Video(Clip { frames, audio: None }))
            }
            Medium::Track(blob, span) => {
                let (processor, ffmpeg) = (self.processors.audio()?, self.ffmpeg()?);
                let limits = self.limits.spoken_videos();
                let (audio, start) = prepare::audio_track(blob, &span, processor, &ffmpeg, &limits)?;
                let heard = AudioTiming { start, seconds: audio.seconds() };
                let mel = match self.whole {
                    true => processor.whole(&audio.samples)?,
                    false => processor.process(&audio.samples)?,
                };
                Ok(Prepared::Audio(mel, heard))
            }
        }
    }

    fn ffmpeg(&self) -> Result<Ffmpeg> {
        Ok(self.ffmpeg.clone().map_or_else(|| Ffmpeg::find(None), Ok)?)
    }
}

/// Decodes within the guard: a decoder's bug on a stranger's file costs that file, not the process.
fn guarded<T>(medium: Medium, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let work = || {
        // FFmpeg runs several times on a part of a video: a copy on the disk, where it needs one, is written once.
        let _lent = match medium {
            Medium::Video(blob, _) | Medium::Frames(blob, _) | Medium::Track(blob, _) => Some(blob.lend()?),
            Medium::Text(_) | Medium::Image(_) | Medium::Audio(_) => None,
        };
        work()
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Error::Panicked))
}

impl Prepared {
    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(ids) => size_of_val(ids.as_slice()),
            Self::Image(image) => image.as_raw().len(),
            Self::Audio(mel, _) => size_of_val(mel.as_slice()),
            Self::Video(clip) => {
                let audio = clip.audio.as_deref().map_or(0, size_of_val);
                clip.frames.iter().map(|f| f.as_raw().len()).sum::<usize>() + audio
            }
        }
    }
}

impl Medium<'_> {
    /// What tells it from any other medium: for whoever remembers what came of it.
    pub fn key(&self) -> Vec<u8> {
        let (kind, span, from) = match self {
            Self::Text(text) => ("text", Span::WHOLE, text.as_bytes().into()),
            Self::Image(blob) => ("image", Span::WHOLE, blob.identity()),
            Self::Audio(blob) => ("audio", Span::WHOLE, blob.identity()),
            Self::Video(blob, span) => ("video", *span, blob.identity()),
            Self::Frames(blob, span) => ("frames", *span, blob.identity()),
            Self::Track(blob, span) => ("track", *span, blob.identity()),
        };
        [format!("{kind} {span} ").as_bytes(), &from].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MelConfig;

    fn processors() -> Processors {
        Processors {
            text: None,
            image: Some(ImageProcessor::new(8)),
            audio: Some(LogMel::new(MelConfig::speech(8, 10)).unwrap()),
            speech: None,
        }
    }

    #[test]
    fn each_kind_by_its_own_processor() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let blob = |name: &str| Blob::file(at(name));
        let folder = Blob::file(dir.path());
        RgbImage::new(20, 10).save(at("a.png")).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(at("a.wav"), spec).unwrap();
        (0..32_000).for_each(|i| wav.write_sample((i % 100) as i16).unwrap());
        wav.finalize().unwrap();
        let processors = processors();
        let short = Contract::new(&processors);
        let Ok(Prepared::Image(image)) = short.prepare(Medium::Image(&blob("a.png"))) else { panic!() };
        assert_eq!(image.dimensions(), (8, 8));
        let mel = |contract: &Contract| match contract.prepare(Medium::Audio(&blob("a.wav"))) {
            Ok(Prepared::Audio(mel, heard)) => (mel.len(), heard),
            other => panic!("{other:?}"),
        };
        let heard = AudioTiming { start: 0.0, seconds: 2.0 };
        assert_eq!(mel(&short), (80, heard));
        // The samples that it is of, whole; of an image there are none.
        let samples = short.samples(Medium::Audio(&blob("a.wav"))).unwrap().unwrap();
        assert_eq!(samples.len(), 32_000);
        let whole = processors.audio().unwrap().process(&samples).unwrap();
        let Ok(Prepared::Audio(found, _)) = short.prepare(Medium::Audio(&blob("a.wav"))) else { panic!() };
        assert_eq!((whole.len() * 4, whole), (Prepared::Audio(found.clone(), heard).bytes(), found));
        assert_eq!(short.samples(Medium::Image(&blob("a.png"))).unwrap(), None);
        assert!(short.samples(Medium::Audio(&folder)).is_err());
        // Only models that go through an audio file window by window take more of it.
        assert_eq!(mel(&Contract { whole: true, ..short.clone() }), (80, heard));
        // What it has no processor for, what is no file, what is beyond the limits.
        let said = |contract: &Contract, medium| contract.prepare(medium).unwrap_err().to_string();
        assert!(said(&short, Medium::Text("a")).contains("without its tokenizer.json"));
        assert!(said(&short, Medium::Image(&folder)).contains("regular file"));
        let limits = MediaLimits { max_seconds: Some(1.0), ..MediaLimits::default() };
        assert!(said(&Contract { limits, ..short }, Medium::Audio(&blob("a.wav"))).contains("seconds"));
    }
}
