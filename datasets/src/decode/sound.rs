//! Sounds: WAV through `hound`; OGG Vorbis, MP3 and FLAC through `symphonia`.

use std::io::Cursor;
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::picture::describe;
use crate::files::read_media;
use crate::{Error, Limits, Result};

const EXPECTED: &str = "a WAV, OGG Vorbis, MP3 or FLAC sound";
/// Sample rates outside are mistakes in a header; resampling from 1 Hz would make a small file enormous.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// A decoded sound: one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples in [-1, 1].
    pub samples: Vec<f32>,
    /// Samples per second, in Hz.
    pub sample_rate: u32,
}

impl Sound {
    /// Duration in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }
}

/// Decodes a sound and mixes its channels to one (their mean). Samples beyond full scale are clipped, as a player would.
///
/// # Errors
/// [`Error::Io`], [`Error::Limit`], [`Error::Media`] for anything that is not a whole sound of finite samples.
pub fn sound(path: &Path, limits: &Limits) -> Result<Sound> {
    let bytes = read_media(path, EXPECTED, limits)?;
    let mut sound = match bytes.get(..4) {
        Some(b"RIFF") if bytes.get(8..12) == Some(b"WAVE") => wav(path, &bytes, limits)?,
        Some(b"OggS" | b"fLaC") => compressed(path, bytes, limits)?,
        Some([b'I', b'D', b'3', _]) => compressed(path, bytes, limits)?,
        // The first eleven bits of an MPEG audio frame are set.
        Some([0xff, second, ..]) if second & 0xe0 == 0xe0 => compressed(path, bytes, limits)?,
        _ => return Err(Error::media(path, EXPECTED, describe(&bytes))),
    };
    if sound.samples.is_empty() {
        return Err(Error::media(path, "at least one sample of sound", "none"));
    }
    for (index, sample) in sound.samples.iter_mut().enumerate() {
        if !sample.is_finite() {
            return Err(Error::media(path, "finite samples", format!("{sample} at sample {index}")));
        }
        *sample = sample.clamp(-1.0, 1.0);
    }
    Ok(sound)
}

fn wav(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Sound> {
    let broken = |e: hound::Error| {
        let found = match e {
            hound::Error::IoError(_) => "one that is cut off".into(),
            other => other.to_string(),
        };
        Error::media(path, "a whole WAV sound of 8 to 32-bit integers or 32-bit floats", found)
    };
    let reader = hound::WavReader::new(Cursor::new(bytes)).map_err(broken)?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels).max(1);
    check_rate(path, spec.sample_rate)?;
    check_length(path, u64::from(reader.duration()), spec.sample_rate, limits)?;
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.into_samples::<f32>().collect::<std::result::Result<_, _>>(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader.into_samples::<i32>().map(|s| s.map(|s| s as f32 * scale)).collect()
        }
    }
    .map_err(broken)?;
    Ok(Sound { samples: mix(&samples, channels), sample_rate: spec.sample_rate })
}

fn compressed(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<Sound> {
    let broken = |e: Symphonia| {
        let found = match e {
            Symphonia::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                "one that is cut off".into()
            }
            other => other.to_string(),
        };
        Error::media(path, "a whole OGG Vorbis, MP3 or FLAC sound", found)
    };
    let missing = |what: &str| Error::media(path, EXPECTED, format!("no {what}"));
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
        .map_err(broken)?;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| missing("audio track"))?;
    let (id, promised) = (track.id, track.num_frames);
    let parameters =
        track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| missing("known audio codec"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(broken)?;
    let (mut samples, mut packet_samples, mut rate) = (Vec::new(), Vec::<f32>::new(), 0);
    while let Some(packet) = format.next_packet().map_err(broken)? {
        if packet.track_id != id {
            continue;
        }
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            // MP3 frames borrow bits from the ones before: after a cut, the first few cannot be decoded.
            Err(Symphonia::DecodeError(_)) if samples.is_empty() => continue,
            Err(e) => return Err(broken(e)),
        };
        let channels = buffer.spec().channels().count().max(1);
        if rate == 0 {
            rate = buffer.spec().rate();
            check_rate(path, rate)?;
        } else if rate != buffer.spec().rate() {
            return Err(Error::media(
                path,
                format!("one sample rate ({rate} Hz)"),
                format!("also {} Hz", buffer.spec().rate()),
            ));
        }
        packet_samples.resize(buffer.samples_interleaved(), 0.0);
        buffer.copy_to_slice_interleaved(&mut packet_samples);
        samples.extend(mix(&packet_samples, channels));
        // While decoding, not after: a small file can decompress to days of silence.
        check_length(path, samples.len() as u64, rate, limits)?;
    }
    match promised {
        Some(frames) if (samples.len() as u64) < frames => {
            Err(Error::media(path, format!("{frames} samples"), format!("{}: it is cut off", samples.len())))
        }
        _ => Ok(Sound { samples, sample_rate: rate }),
    }
}

fn mix(interleaved: &[f32], channels: usize) -> Vec<f32> {
    if channels == 1 {
        return interleaved.to_vec();
    }
    let scale = 1.0 / channels as f32;
    interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * scale).collect()
}

fn check_rate(path: &Path, rate: u32) -> Result<()> {
    if RATES.contains(&rate) {
        return Ok(());
    }
    let expected = format!("a sample rate of {} to {} Hz", RATES.start(), RATES.end());
    Err(Error::media(path, expected, format!("{rate} Hz")))
}

fn check_length(path: &Path, samples: u64, rate: u32, limits: &Limits) -> Result<()> {
    let seconds = samples as f64 / f64::from(rate);
    if seconds <= limits.max_seconds {
        return Ok(());
    }
    Err(Error::Limit {
        path: path.to_path_buf(),
        what: "the sound",
        found: format!("at least {seconds:.1} seconds"),
        limit: format!("{} seconds", limits.max_seconds),
        option: "max_seconds",
    })
}

#[cfg(test)]
#[path = "../tests/sound.rs"]
mod tests;
