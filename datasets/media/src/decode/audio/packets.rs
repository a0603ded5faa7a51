//! Packets through `symphonia`: FLAC, Ogg's Vorbis and FLAC, MPEG audio.

use super::super::samples::{Audio, check_length, check_rate};
use super::mix::Mix;
use crate::{Error, Limits, Result};
use std::io::Cursor;
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{FlacReader, MpaReader, OggReader};

/// An audio file with so many broken frames in it is still one: a scratch, not a heap of shards. Of more, a tenth at most.
const FEW: usize = 4;

/// What the packets lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// Vorbis or FLAC in Ogg: one link.
    Ogg,
    Flac,
    /// Frames one after another, so many of them silent because they were broken.
    Mpeg {
        broken: usize,
    },
}

impl Container {
    /// A reader of its packets.
    pub(super) fn open(self, bytes: &[u8]) -> std::result::Result<Box<dyn FormatReader + '_>, Symphonia> {
        let (options, whole) = (FormatOptions::default(), Default::default());
        Ok(match self {
            Self::Ogg => Box::new(OggReader::try_new(
                MediaSourceStream::new(Box::new(Cursor::new(bytes)), whole),
                options,
            )?),
            Self::Flac => Box::new(FlacReader::try_new(
                MediaSourceStream::new(Box::new(Cursor::new(bytes)), whole),
                options,
            )?),
            // Of a source that cannot be sought the length is not guessed from the bit rate, which cuts audio files of varying rate.
            Self::Mpeg { .. } => {
                let source = Box::new(ReadOnlySource::new(Cursor::new(bytes)));
                Box::new(MpaReader::try_new(MediaSourceStream::new(source, whole), options)?)
            }
        })
    }

    /// How many samples it may have fewer than it promises, its longest packet being so long: an encoder's summary may count itself.
    pub(super) fn slack(self, longest: u64) -> u64 {
        if matches!(self, Self::Mpeg { .. }) { longest } else { 0 }
    }

    /// Samples that a packet becomes.
    pub(super) fn samples(self, packet: &Packet) -> u64 {
        let length = packet.dur.get();
        match self {
            // Its reader counts what is cut from both ends.
            Self::Mpeg { .. } => {
                length.saturating_sub(packet.trim_start.get()).saturating_sub(packet.trim_end.get())
            }
            Self::Ogg | Self::Flac => length,
        }
    }

    fn whole(self) -> &'static str {
        match self {
            Self::Ogg => "a whole OGG audio file",
            Self::Flac => "a whole FLAC audio file",
            Self::Mpeg { .. } => "a whole MP3 audio file",
        }
    }
}

/// Decodes all packets. A frame that cannot be decoded is silent, so that what follows keeps its time.
///
/// # Errors
/// [`Error::Media`] for an audio file that is cut off or broken in many places, [`Error::Limit`].
pub(super) fn decode(path: &Path, bytes: &[u8], container: Container, limits: &Limits) -> Result<Audio> {
    let broken = |e: Symphonia| {
        let found = match e {
            Symphonia::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                "one that is cut off".into()
            }
            other => other.to_string(),
        };
        Error::media(path, container.whole(), found)
    };
    let missing = |what: &str| Error::media(path, container.whole(), format!("one without {what}"));
    let mut format = container.open(bytes).map_err(broken)?;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| missing("an audio track"))?;
    let (id, promised) = (track.id, track.num_frames);
    let parameters =
        track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| missing("a known codec"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(broken)?;
    let mut count = Count { packets: 0, broken: 0, last: String::new() };
    if let Container::Mpeg { broken } = container {
        count.broken = broken;
    }
    let (mut mix, mut layout, mut rate, mut longest) = (Mix::new(1), 0, 0, 0);
    let mut samples = Vec::<f32>::new();
    while let Some(packet) = format.next_packet().map_err(broken)? {
        if packet.track_id != id {
            continue;
        }
        count.packets += 1;
        longest = longest.max(packet.block_dur().get());
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            // MP3 frames borrow bits from the ones before: after a cut, the first few cannot be decoded.
            Err(Symphonia::DecodeError(_)) if mix.len() == 0 => continue,
            Err(Symphonia::DecodeError(reason)) => {
                count.broken += 1;
                count.last = reason.to_string();
                mix.silence(usize::try_from(packet.dur.get()).unwrap_or(0).min(1 << 16));
                check_length(path, mix.len() as u64, rate, limits)?;
                continue;
            }
            Err(e) => return Err(broken(e)),
        };
        let channels = buffer.spec().channels().count().max(1);
        if rate == 0 {
            (rate, layout, mix) = (buffer.spec().rate(), channels, Mix::new(channels));
            check_rate(path, rate)?;
        } else if (rate, layout) != (buffer.spec().rate(), channels) {
            let expected = format!("one sample rate ({rate} Hz) and number of channels ({layout})");
            let found = format!("also {} Hz and {channels}", buffer.spec().rate());
            return Err(Error::media(path, expected, found));
        }
        samples.resize(buffer.samples_interleaved(), 0.0);
        buffer.copy_to_slice_interleaved(&mut samples);
        mix.push(&samples);
        // While decoding, not after: a small file can decompress to days of silence.
        check_length(path, mix.len() as u64, rate, limits)?;
    }
    if let Some(found) = count.too_many() {
        return Err(Error::media(path, container.whole(), found));
    }
    match promised {
        Some(frames) if (mix.len() as u64).saturating_add(container.slack(longest)) < frames => {
            Err(Error::media(path, format!("{frames} samples"), format!("{}: it is cut off", mix.len())))
        }
        _ => Ok(Audio { samples: mix.finish(), sample_rate: rate }),
    }
}

struct Count {
    packets: usize,
    broken: usize,
    last: String,
}

impl Count {
    fn too_many(&self) -> Option<String> {
        let many =
            self.broken > (self.packets / 10).max(FEW) || (self.broken > 0 && self.broken * 2 > self.packets);
        let said = if self.last.is_empty() { String::new() } else { format!(": {}", self.last) };
        many.then(|| format!("one of whose {} frames {} are broken{said}", self.packets, self.broken))
    }
}
