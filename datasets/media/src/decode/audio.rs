//! Audio files: WAV by its chunks and `hound`, OGG Vorbis, MP3 and FLAC through `symphonia`; whatever else through FFmpeg, where it is there.
//! What a file is, its first bytes say.

mod adpcm;
mod flac;
mod foreign;
mod law;
mod mix;
mod mpeg;
mod ogg;
mod packets;
mod riff;
mod wav;
mod wave_part;
mod window;

pub(crate) use mix::Mix;
pub(crate) use mpeg::seconds as mpeg_seconds;
pub(crate) use ogg::shows_images as ogg_shows_images;
pub(crate) use wav::piped;

use std::path::Path;

use super::options::describe;
use super::resample;
use super::samples::{Audio, Excerpt, Extent, Wanted, check_length, check_rate};
use crate::video::{Ffmpeg, Time, VideoLimits};
use crate::{Blob, Error, Limits, Result};
use foreign::{IMAGE, foreign};
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
    excerpt(from, limits, ffmpeg, Wanted::Whole).map(|excerpt| excerpt.audio)
}

/// A part of an audio file, sample by sample that of the [whole](audio_by); of what lies around it as little is decoded as tells that. Its end
/// is looked for, so that a file that is cut off is refused all the same, but for what FFmpeg reads: of that the beginning alone is decoded
/// where no more is [wanted](Wanted::First), and how long it is its container says.
///
/// # Errors
/// As [`audio_by`]; broken frames, or samples that are no numbers, elsewhere in the file are not met with.
pub fn excerpt(
    from: impl Into<Blob>,
    limits: &Limits,
    ffmpeg: Option<&Ffmpeg>,
    wanted: Wanted,
) -> Result<Excerpt> {
    let ears = Ears { blob: &from.into(), limits, ffmpeg, wanted };
    match ears.listen()? {
        Decoded::Audio(excerpt) => ears.check(excerpt),
        Decoded::Foreign(what) => Ok(ears.foreign(&what)?.0),
    }
}

/// Whether the kept decoders read an audio file, by its first bytes: parts of it cost what they are long.
///
/// # Errors
/// [`Error::Files`].
pub fn is_kept(from: impl Into<Blob>) -> Result<bool> {
    let head = from.into().open()?.head(4096)?;
    let (links, _) = ogg::links(&head);
    let streams = links.iter().flat_map(|link| &link.streams);
    let others = streams.filter(|stream| matches!(stream, Stream::Audio(_) | Stream::Image)).count();
    Ok(foreign(&head).is_none() && others == 0)
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
    let ears = Ears { blob: &from.into(), limits, ffmpeg, wanted: Wanted::Whole };
    match ears.listen()? {
        Decoded::Audio(excerpt) => Ok((ears.check(excerpt)?.audio, 0.0)),
        Decoded::Foreign(what) => {
            let _lent = ears.blob.lend()?;
            let (excerpt, ffmpeg) = ears.foreign(&what)?;
            let limits = ears.video_limits();
            let start = ffmpeg.audio_start(&ffmpeg.probe(ears.blob, &limits)?, &limits)?;
            Ok((excerpt.audio, start.map_or(0.0, Time::seconds)))
        }
    }
}

/// The kept decoders alone; `None` for what only FFmpeg may read.
///
/// # Errors
/// As [`audio`].
pub fn kept_audio(from: impl Into<Blob>, limits: &Limits) -> Result<Option<Audio>> {
    let ears = Ears { blob: &from.into(), limits, ffmpeg: None, wanted: Wanted::Whole };
    match ears.kept(&ears.blob.read(EXPECTED, limits)?)? {
        Decoded::Audio(excerpt) => ears.check(excerpt).map(|excerpt| Some(excerpt.audio)),
        Decoded::Foreign(_) => Ok(None),
    }
}

/// What the kept decoders make of a file.
enum Decoded {
    Audio(Excerpt),
    /// It is theirs not: what it seems to be, in words that follow "found".
    Foreign(String),
}

struct Ears<'a> {
    blob: &'a Blob,
    limits: &'a Limits,
    ffmpeg: Option<&'a Ffmpeg>,
    wanted: Wanted<'a>,
}

impl Ears<'_> {
    /// For messages.
    fn name(&self) -> &Path {
        self.blob.name()
    }

    /// Reads the file, unless its first bytes say that it is FFmpeg's to do.
    fn listen(&self) -> Result<Decoded> {
        let mut opened = self.blob.open()?;
        let head = opened.head(512)?;
        if let Some(what) = foreign(&head) {
            return opened.fits(self.limits).map(|()| Decoded::Foreign(what.to_owned()));
        }
        if !matches!(self.wanted, Wanted::Whole) {
            opened.fits(self.limits)?;
            let part = match head.as_slice() {
                head if head.starts_with(b"fLaC") => {
                    flac::part(self.name(), self.blob.open()?, self.limits, &self.wanted)?
                }
                head if riff::is_wave(head) => {
                    wave_part::part(self.name(), &mut opened, self.limits, &self.wanted)?
                }
                _ => None,
            };
            if let Some(part) = part {
                return self.only_track().map(|()| Decoded::Audio(part));
            }
        }
        self.kept(&opened.all(EXPECTED, self.limits)?)
    }

    fn kept(&self, bytes: &[u8]) -> Result<Decoded> {
        let only = |excerpt: Excerpt| self.only_track().map(|()| Decoded::Audio(excerpt));
        let of = |audio: Audio| Excerpt::of(audio, &self.wanted);
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
                _ => only(of(self.wave(&wave)?)),
            };
        }
        if rest.starts_with(b"fLaC") {
            return only(of(packets::decode(self.name(), rest, Container::Flac, self.limits)?));
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

    fn mpeg(&self, bytes: &[u8], first: usize) -> Result<Excerpt> {
        let parts = mpeg::parts(bytes, first);
        if let [part] = parts.as_slice()
            && part.broken == 0
            && let Some(found) = self.window(&part.bytes, Container::Mpeg { broken: 0 })?
        {
            return Ok(found);
        }
        let parts = parts.into_iter().map(|part| {
            packets::decode(self.name(), &part.bytes, Container::Mpeg { broken: part.broken }, self.limits)
        });
        Ok(Excerpt::of(self.joined(parts)?, &self.wanted))
    }

    /// What is wanted of packets that are one audio file, where that is not all of it and no other packets are needed.
    fn window(&self, bytes: &[u8], container: Container) -> Result<Option<Excerpt>> {
        match self.wanted {
            Wanted::Whole => Ok(None),
            _ => window::part(self.name(), bytes, container, self.limits, &self.wanted),
        }
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
        let bytes = |link: &ogg::Link| &bytes[link.bytes.clone()];
        let found = match links.as_slice() {
            [link] => self.window(bytes(link), Container::Ogg)?,
            _ => None,
        };
        let parts = links.iter().filter(|link| audios(&link.streams) == 1 || links.len() == 1);
        let found = match found {
            Some(found) => found,
            None => {
                let parts =
                    parts.map(|l| packets::decode(self.name(), bytes(l), Container::Ogg, self.limits));
                Excerpt::of(self.joined(parts)?, &self.wanted)
            }
        };
        self.only_track().map(|()| Decoded::Audio(found))
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

    fn check(&self, mut excerpt: Excerpt) -> Result<Excerpt> {
        if excerpt.extent.samples == 0 {
            return Err(Error::media(self.name(), "at least one sample of audio", "none"));
        }
        for (index, sample) in (excerpt.start..).zip(&mut excerpt.audio.samples) {
            if !sample.is_finite() {
                return Err(Error::media(
                    self.name(),
                    "finite samples",
                    format!("{sample} at sample {index}"),
                ));
            }
            *sample = sample.clamp(-1.0, 1.0);
        }
        Ok(excerpt)
    }

    fn video_limits(&self) -> VideoLimits {
        VideoLimits { max_seconds: self.limits.max_seconds, ..VideoLimits::default() }
    }

    /// Through FFmpeg, where it is there.
    fn foreign(&self, what: &str) -> Result<(Excerpt, Ffmpeg)> {
        let expected = || format!("{EXPECTED}, or any other that FFmpeg reads");
        // No program makes an audio file of them.
        if ["text", IMAGE].contains(&what) {
            return Err(Error::media(self.name(), EXPECTED, what));
        }
        let ffmpeg = match self.ffmpeg {
            Some(ffmpeg) => ffmpeg.clone(),
            None => match Ffmpeg::find(None) {
                Ok(ffmpeg) => ffmpeg,
                Err(Error::ToolMissing { tool, .. }) if tool == "ffmpeg" && foreign::known(what) => {
                    return Err(Error::NeedsFfmpeg { path: self.name().to_owned(), found: what.to_owned() });
                }
                Err(Error::ToolMissing { tool, .. }) if tool == "ffmpeg" => {
                    return Err(Error::media(self.name(), EXPECTED, what));
                }
                Err(e) => return Err(e),
            },
        };
        let most: Option<&dyn Fn(u32) -> u64> = match &self.wanted {
            Wanted::First(count) => Some(count),
            Wanted::Whole | Wanted::Range(_) => None,
        };
        let (audio, claimed) = ffmpeg.listen(self.blob, &self.video_limits(), most, &|found| {
            // FFmpeg's words say less than the first bytes do, where it does not know the file at all.
            Error::media(self.name(), expected(), if found == "something else" { what } else { found })
        })?;
        let rate = audio.sample_rate;
        check_rate(self.name(), rate)?;
        let mut excerpt = Excerpt::of(audio, &self.wanted);
        if let Some(seconds) = claimed {
            let samples = (seconds * f64::from(rate)).round() as u64;
            excerpt.extent = Extent { samples: samples.max(excerpt.extent.samples), sample_rate: rate };
        }
        Ok((self.check(excerpt)?, ffmpeg))
    }
}

#[cfg(test)]
#[path = "../tests/audio.rs"]
mod tests;
