//! A part of a FLAC file: its frames depend on nothing before them, and each says where it is.

use super::super::samples::{Audio, Excerpt, Extent, Wanted, check_length, check_rate};
use super::mix::Mix;
use crate::{Limits, Opened, Result};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;
use symphonia::default::formats::FlacReader;

/// The samples that are wanted, and the frames that they are in alone. `None` where a file has to be read whole: it is broken, or does not say
/// how long it is.
///
/// # Errors
/// [`Error::Limit`](crate::Error::Limit), and a rate that cannot be.
pub(super) fn part(path: &Path, file: Opened, limits: &Limits, wanted: &Wanted) -> Result<Option<Excerpt>> {
    let Some(mut stream) = Stream::open(file) else { return Ok(None) };
    let extent = stream.extent;
    check_rate(path, extent.sample_rate)?;
    check_length(path, extent.samples, extent.sample_rate, limits)?;
    if !stream.is_whole() {
        return Ok(None);
    }
    let range = wanted.of(extent);
    let samples = if range.is_empty() { Some(Vec::new()) } else { stream.read(range.start, range.end) };
    Ok(samples.map(|samples| {
        let audio = Audio { samples, sample_rate: extent.sample_rate };
        Excerpt { audio, start: range.start, extent }
    }))
}

struct Stream {
    reader: FlacReader<'static>,
    extent: Extent,
}

impl Stream {
    fn open(file: Opened) -> Option<Self> {
        let stream = MediaSourceStream::new(Box::new(Source(file)), Default::default());
        let reader = FlacReader::try_new(stream, FormatOptions::default()).ok()?;
        let track = reader.tracks().first()?;
        let sample_rate = track.codec_params.as_ref()?.audio()?.sample_rate?;
        let samples = track.num_frames.filter(|samples| *samples > 0)?;
        Some(Self { reader, extent: Extent { samples, sample_rate } })
    }

    /// The frame that a sample is in.
    fn at(&mut self, sample: u64) -> Option<Packet> {
        let to = SeekTo::Timestamp { ts: Timestamp::from(i64::try_from(sample).ok()?), track_id: 0 };
        self.reader.seek(SeekMode::Accurate, to).ok()?;
        self.reader.next_packet().ok()?
    }

    /// Whether the last sample that the head promises is there, and none behind it.
    fn is_whole(&mut self) -> bool {
        let end = |packet: &Packet| Some(begin(packet)? + packet.dur.get());
        let last = self.at(self.extent.samples - 1);
        last.and_then(|packet| end(&packet)) == Some(self.extent.samples)
    }

    /// The samples from one up to another; `None` where a frame of them is missing or broken.
    fn read(&mut self, start: u64, end: u64) -> Option<Vec<f32>> {
        let parameters = self.reader.tracks().first()?.codec_params.as_ref()?.audio()?.clone();
        let mut decoder = symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .ok()?;
        let mut packet = self.at(start)?;
        let mut at = begin(&packet).filter(|at| *at <= start)?;
        let skip = start - at;
        let (mut mix, mut layout, mut samples) = (Mix::new(1), 0, Vec::<f32>::new());
        loop {
            let buffer = decoder.decode(&packet).ok()?;
            let channels = buffer.spec().channels().count().max(1);
            if layout == 0 {
                (layout, mix) = (channels, Mix::new(channels));
            }
            if (channels, buffer.spec().rate()) != (layout, self.extent.sample_rate) {
                return None;
            }
            samples.resize(buffer.samples_interleaved(), 0.0);
            buffer.copy_to_slice_interleaved(&mut samples);
            mix.push(&samples);
            at += (samples.len() / channels) as u64;
            if at >= end {
                break;
            }
            packet = self.reader.next_packet().ok()??;
            if begin(&packet) != Some(at) {
                return None;
            }
        }
        let mut found = mix.finish();
        found.truncate(usize::try_from(end - start + skip).ok()?);
        found.drain(..usize::try_from(skip).ok()?);
        Some(found)
    }
}

/// The number of a frame's first sample.
fn begin(packet: &Packet) -> Option<u64> {
    u64::try_from(packet.pts.get()).ok()
}

/// A blob, for the reader to go to and fro in.
struct Source(Opened);

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.0.len())
    }
}
