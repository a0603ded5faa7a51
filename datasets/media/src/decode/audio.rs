//! Audio files: WAV by its chunks and `hound`, OGG Vorbis, MP3 and FLAC through `symphonia`; whatever else through FFmpeg, where it is there.
//! What a file is, its first bytes say.

mod adpcm;
mod law;
mod mix;
mod mpeg;
mod ogg;
mod packets;
mod riff;
mod wav;

pub(crate) use mix::Mix;
pub(crate) use mpeg::seconds as mpeg_seconds;
pub(crate) use ogg::shows_images as ogg_shows_images;
pub(crate) use wav::piped;

use std::path::Path;

use super::options::describe;
use super::resample;
use super::samples::{Audio, check_length, check_rate};
use crate::video::{Ffmpeg, Time, VideoLimits};
use crate::{Blob, Error, Limits, Result};
use ogg::Stream;
use packets::Container;
use wav::{Coding, Wave};

const EXPECTED: &str = "a WAV, OGG Vorbis, MP3 or FLAC audio file";

/// Decodes an audio file and mixes its channels to one (their mean). Samples beyond full scale are clipped, as a player would. What the kept
/// decoders do not know goes through FFmpeg, which is looked for then.
///
/// # Errors
/// [`Error::Files`], [`Error::Limit`], [`Error::ToolMissing`] where only FFmpeg could read it, [`Error::Media`] for anything that is not a whole
/// audio of finite samples.
pub fn audio(from: impl Into<Blob>, limits: &Limits) -> Result<Audio> {
    audio_by(from, limits, None)
}

/// [`audio`], by the FFmpeg that the user named, who may have chosen a track.
///
/// # Errors
/// As [`audio`]; a track that the file does not have.
pub fn audio_by(from: impl Into<Blob>, limits: &Limits, ffmpeg: Option<&Ffmpeg>) -> Result<Audio> {
    let ears = Ears { blob: &from.into(), limits, ffmpeg };
    match ears.listen()? {
        Decoded::Audio(audio) => ears.check(audio),
        Decoded::Foreign(what) => Ok(ears.foreign(&what)?.0),
    }
}

/// [`audio_by`], and when the audio begins, in seconds on the clock of its container: 0 where that has none.
///
/// # Errors
/// As [`audio_by`].
pub fn audio_on_clock(
    from: impl Into<Blob>,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<(Audio, f64)> {
    let ears = Ears { blob: &from.into(), limits, ffmpeg };
    match ears.listen()? {
        Decoded::Audio(audio) => Ok((ears.check(audio)?, 0.0)),
        Decoded::Foreign(what) => {
            let _lent = ears.blob.lend()?;
            let (audio, ffmpeg) = ears.foreign(&what)?;
            let limits = ears.video_limits();
            let start = ffmpeg.audio_start(&ffmpeg.probe(ears.blob, &limits)?, &limits)?;
            Ok((audio, start.map_or(0.0, Time::seconds)))
        }
    }
}

/// The kept decoders alone; `None` for what only FFmpeg may read.
///
/// # Errors
/// As [`audio`].
pub fn kept_audio(from: impl Into<Blob>, limits: &Limits) -> Result<Option<Audio>> {
    let ears = Ears { blob: &from.into(), limits, ffmpeg: None };
    match ears.kept(&ears.blob.read(EXPECTED, limits)?)? {
        Decoded::Audio(audio) => ears.check(audio).map(Some),
        Decoded::Foreign(_) => Ok(None),
    }
}

/// What the kept decoders make of a file.
enum Decoded {
    Audio(Audio),
    /// It is theirs not: what it seems to be, in words that follow "found".
    Foreign(String),
}

struct Ears<'a> {
    blob: &'a Blob,
    limits: &'a Limits,
    ffmpeg: Option<&'a Ffmpeg>,
}

impl Ears<'_> {
    /// For messages.
    fn name(&self) -> &Path {
        self.blob.name()
    }

    /// Reads the file, unless its first bytes say that it is FFmpeg's to do.
    fn listen(&self) -> Result<Decoded> {
        let mut opened = self.blob.open()?;
        match foreign(&opened.head(512)?) {
            Some(what) => opened.fits(self.limits).map(|()| Decoded::Foreign(what.to_owned())),
            None => self.kept(&opened.all(EXPECTED, self.limits)?),
        }
    }

    fn kept(&self, bytes: &[u8]) -> Result<Decoded> {
        let only = |audio: Audio| self.only_track().map(|()| Decoded::Audio(audio));
        let start = mpeg::tags(bytes);
        let rest = bytes.get(start..).unwrap_or_default();
        if riff::is_wave(rest) {
            let wave = Wave::read(self.name(), rest)?;
            return match wave.coding {
                Coding::Mpeg => match mpeg::first(wave.data) {
                    Some(first) => only(self.mpeg(wave.data, first)?),
                    None => Ok(Decoded::Foreign("a WAV audio file whose MPEG frames are not found".into())),
                },
                // What FFmpeg takes these two for is not what they are.
                Coding::Other(0x38) => {
                    Err(Error::media(self.name(), EXPECTED, "a WAV audio file of NMS ADPCM"))
                }
                Coding::Other(0x40) => {
                    Err(Error::media(self.name(), EXPECTED, "a WAV audio file of G.721 ADPCM"))
                }
                Coding::Other(tag) => Ok(Decoded::Foreign(format!("a WAV audio file of coding {tag:#06x}"))),
                _ => only(self.wave(&wave)?),
            };
        }
        if rest.starts_with(b"fLaC") {
            return only(packets::decode(self.name(), rest, Container::Flac, self.limits)?);
        }
        if rest.starts_with(b"OggS") {
            return self.ogg(rest);
        }
        match mpeg::first(rest) {
            Some(first) if first == 0 || start > 0 || foreign(rest).is_none() => {
                only(self.mpeg(rest, first)?)
            }
            _ => Ok(Decoded::Foreign(foreign(rest).map_or_else(|| describe(rest), str::to_owned))),
        }
    }

    fn wave(&self, wave: &Wave) -> Result<Audio> {
        check_rate(self.name(), wave.rate)?;
        check_length(self.name(), wave.frames(), wave.rate, self.limits)?;
        let mut mix = Mix::new(wave.channels);
        wave.samples(self.name(), &mut |samples| {
            mix.push(samples);
            check_length(self.name(), mix.len() as u64, wave.rate, self.limits)
        })?;
        Ok(Audio { samples: mix.finish(), sample_rate: wave.rate })
    }

    fn mpeg(&self, bytes: &[u8], first: usize) -> Result<Audio> {
        let parts = mpeg::parts(bytes, first).into_iter().map(|part| {
            packets::decode(self.name(), &part.bytes, Container::Mpeg { broken: part.broken }, self.limits)
        });
        self.joined(parts)
    }

    fn ogg(&self, bytes: &[u8]) -> Result<Decoded> {
        let (links, whole) = ogg::links(bytes);
        if !whole {
            return Err(Error::media(self.name(), "a whole OGG audio file", "one that is cut off"));
        }
        let audios = |streams: &[Stream]| streams.iter().filter(|s| matches!(s, Stream::Kept)).count();
        let foreign = links.iter().flat_map(|link| &link.streams).find_map(|stream| match stream {
            Stream::Audio(name) => Some(format!("{name} in OGG")),
            Stream::Image => Some("an OGG video".into()),
            Stream::Kept | Stream::Other => None,
        });
        if let Some(what) = foreign {
            return Ok(Decoded::Foreign(what));
        }
        if links.iter().any(|link| audios(&link.streams) > 1) {
            return Ok(Decoded::Foreign("OGG with several streams at a time".into()));
        }
        let parts = links.iter().filter(|link| audios(&link.streams) == 1 || links.len() == 1).map(|link| {
            packets::decode(self.name(), &bytes[link.bytes.clone()], Container::Ogg, self.limits)
        });
        let audio = self.joined(parts)?;
        self.only_track().map(|()| Decoded::Audio(audio))
    }

    /// Audio files one after another, at the rate of the first.
    fn joined(&self, parts: impl Iterator<Item = Result<Audio>>) -> Result<Audio> {
        let mut whole: Option<Audio> = None;
        for part in parts {
            let part = part?;
            match &mut whole {
                None => whole = Some(part),
                // Nothing was decoded of it.
                Some(_) if part.samples.is_empty() => {}
                Some(whole) if whole.samples.is_empty() => *whole = part,
                Some(whole) => {
                    whole.samples.extend(resample(&part, whole.sample_rate)?.samples);
                    check_length(self.name(), whole.samples.len() as u64, whole.sample_rate, self.limits)?;
                }
            }
        }
        Ok(whole.unwrap_or(Audio { samples: Vec::new(), sample_rate: 0 }))
    }

    /// Refuses a chosen track where there is one only.
    fn only_track(&self) -> Result<()> {
        match self.ffmpeg.and_then(Ffmpeg::track) {
            Some(track) if track > 1 => {
                Err(Error::media(self.name(), format!("audio track {track}"), "one audio track"))
            }
            _ => Ok(()),
        }
    }

    fn check(&self, mut audio: Audio) -> Result<Audio> {
        if audio.samples.is_empty() {
            return Err(Error::media(self.name(), "at least one sample of audio", "none"));
        }
        for (index, sample) in audio.samples.iter_mut().enumerate() {
            if !sample.is_finite() {
                return Err(Error::media(
                    self.name(),
                    "finite samples",
                    format!("{sample} at sample {index}"),
                ));
            }
            *sample = sample.clamp(-1.0, 1.0);
        }
        Ok(audio)
    }

    fn video_limits(&self) -> VideoLimits {
        VideoLimits { max_seconds: self.limits.max_seconds, ..VideoLimits::default() }
    }

    /// Through FFmpeg, where it is there.
    fn foreign(&self, what: &str) -> Result<(Audio, Ffmpeg)> {
        let expected = || format!("{EXPECTED}, or any other that FFmpeg reads");
        // No program makes an audio file of them.
        if ["text", IMAGE].contains(&what) {
            return Err(Error::media(self.name(), EXPECTED, what));
        }
        let ffmpeg = match self.ffmpeg {
            Some(ffmpeg) => ffmpeg.clone(),
            None => match Ffmpeg::find(None) {
                Ok(ffmpeg) => ffmpeg,
                Err(Error::ToolMissing { tool, .. }) if tool == "ffmpeg" && foreign_words(what) => {
                    return Err(Error::NeedsFfmpeg { path: self.name().to_owned(), found: what.to_owned() });
                }
                Err(Error::ToolMissing { tool, .. }) if tool == "ffmpeg" => {
                    return Err(Error::media(self.name(), EXPECTED, what));
                }
                Err(e) => return Err(e),
            },
        };
        let audio = ffmpeg.listen(self.blob, &self.video_limits(), &|found| {
            // FFmpeg's words say less than the first bytes do, where it does not know the file at all.
            Error::media(self.name(), expected(), if found == "something else" { what } else { found })
        })?;
        check_rate(self.name(), audio.sample_rate)?;
        Ok((self.check(audio)?, ffmpeg))
    }
}

const IMAGE: &str = "an image";

/// Whether words tell what a file is, and not only what it is not.
fn foreign_words(what: &str) -> bool {
    !what.starts_with("a file of an unknown format")
}

/// What a file that is none of the kept decoders' seems to be.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "an audio file or video in MP4 (AAC, ALAC or another)",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "an audio file or video in Matroska or WebM",
        [0x30, 0x26, 0xb2, 0x75, ..] => "an audio file or video of Windows Media",
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => "an AIFF audio file",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => "an AVI video",
        [0, 0, 1, 0xba | 0xb3, ..] => "an MPEG video",
        [0x0b, 0x77, ..] => "an AC-3 audio file",
        [0xff, second, ..] if second & 0xf6 == 0xf0 => "an AAC audio file",
        [0x47, ..] if bytes.get(188) == Some(&0x47) => "a transport stream",
        b if b.starts_with(b"caff") => "a CAF audio file",
        b if b.starts_with(b".snd") || b.starts_with(b"dns.") => "an AU audio file",
        b if b.starts_with(b"riff\x2e\x91\xcf\x11") => "a Wave64 audio file",
        b if b.starts_with(b"#!AMR") => "an AMR audio file",
        b if b.starts_with(b"MAC ") => "a Monkey's Audio file",
        b if b.starts_with(b"wvpk") => "a WavPack audio file",
        b if b.starts_with(b"TTA1") => "a True Audio file",
        b if b.starts_with(b"MPCK") || b.starts_with(b"MP+") => "a Musepack audio file",
        b if b.starts_with(b"\x7f\xfe\x80\x01") => "a DTS audio file",
        b if b.starts_with(b"FLV") => "a Flash video",
        b if image::guess_format(b).is_ok() => IMAGE,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "../tests/audio.rs"]
mod tests;
