//! WAV samples. The chunks are read here, because files differ from the book in more ways than one reader forgives; whole numbers and
//! floats of 32 bits are then `hound`'s, which is handed a clean file. What is heard is what libsndfile gives, bit for bit.

use super::riff::{self, Numbers, Riff};
use super::{adpcm, law};
use crate::{Error, Result};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::path::Path;

const EXPECTED: &str = "a whole WAV audio file";
/// As many as libsndfile takes.
const MOST_CHANNELS: u16 = 1024;
/// Samples that are handed on at once.
const BLOCK: usize = 1 << 14;

/// How samples are written. The numbers of formats are those of Microsoft's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Whole numbers, in so many bytes each: unsigned where it is one. Fewer valid bits stand at the top.
    Integer(usize),
    /// Floats of so many bytes: 4 or 8.
    Float(usize),
    ALaw,
    MuLaw,
    /// Blocks of so many bytes.
    Ima(usize),
    /// Blocks of so many bytes.
    Microsoft(usize),
    /// Frames of MPEG audio.
    Mpeg,
    /// A format by its number, which FFmpeg may know.
    Other(u16),
}

/// A WAV file's samples and what they are.
#[derive(Debug)]
pub(super) struct Wave<'a> {
    pub(super) coding: Coding,
    pub(super) channels: usize,
    pub(super) rate: u32,
    pub(super) data: &'a [u8],
    big: bool,
}

/// Takes samples, interleaved.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[f32]) -> Result<()>;

impl<'a> Wave<'a> {
    /// Reads the chunks.
    ///
    /// # Errors
    /// [`Error::Media`] for a file that is cut off or describes itself in no possible way.
    pub(super) fn read(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let found = riff::read(bytes, bytes.len() as u64).map_err(|f| Error::media(path, EXPECTED, f))?;
        let Riff { format, data } =
            found.ok_or_else(|| Error::media(path, EXPECTED, "one that is cut off"))?;
        let data = bytes.get(data.start as usize..data.end as usize).unwrap_or_default();
        Self::of(path, format, data)
    }

    /// By what the chunks hold; of `data` a part, where frames of it are told by their number of bytes alone.
    ///
    /// # Errors
    /// [`Error::Media`] for a file that describes itself in no possible way.
    pub(super) fn of(path: &Path, format: Numbers, data: &'a [u8]) -> Result<Self> {
        let (Some(tag), Some(channels), Some(rate), Some(block), Some(bits)) =
            (format.u16(0), format.u16(2), format.u32(4), format.u16(12), format.u16(14))
        else {
            return Err(Error::media(path, EXPECTED, "one that is cut off: its format chunk is too short"));
        };
        if channels == 0 || channels > MOST_CHANNELS {
            let expected = format!("a WAV audio file of 1 to {MOST_CHANNELS} channels");
            return Err(Error::media(path, expected, channels.to_string()));
        }
        let tag = if tag == 0xfffe { extended(format).unwrap_or(tag) } else { tag };
        let (channels, block) = (usize::from(channels), usize::from(block));
        let coding = match (tag, bits) {
            (1, 1..=32) => Coding::Integer(width(bits, block / channels, data)),
            (1 | 3, 0) => {
                return Err(Error::media(path, EXPECTED, "one that says its samples have no bits"));
            }
            (3, 32 | 64) => Coding::Float(usize::from(bits / 8)),
            (6, _) => Coding::ALaw,
            (7, _) => Coding::MuLaw,
            (0x11, 4) if adpcm::possible(block, channels, 4) => Coding::Ima(block),
            (2, 4) if adpcm::possible(block, channels, 7) => Coding::Microsoft(block),
            (0x50 | 0x55, _) => Coding::Mpeg,
            (tag, _) => Coding::Other(tag),
        };
        Ok(Self { coding, channels, rate, data, big: format.big })
    }

    /// Bytes of a frame: of all channels' samples at a time. `None` where frames are not told by their number of bytes.
    pub(super) fn frame(&self) -> Option<usize> {
        match self.coding {
            Coding::Integer(bytes) | Coding::Float(bytes) => Some(bytes * self.channels),
            Coding::ALaw | Coding::MuLaw => Some(self.channels),
            Coding::Ima(_) | Coding::Microsoft(_) | Coding::Mpeg | Coding::Other(_) => None,
        }
    }

    /// Frames: samples of a channel. 0 where only their decoder knows.
    pub(super) fn frames(&self) -> u64 {
        let frames = match self.coding {
            Coding::Integer(bytes) | Coding::Float(bytes) => self.data.len() / (bytes * self.channels),
            Coding::ALaw | Coding::MuLaw => self.data.len() / self.channels,
            // A nibble a sample, and the first ones of each block.
            Coding::Ima(_) | Coding::Microsoft(_) => self.data.len() * 2 / self.channels,
            Coding::Mpeg | Coding::Other(_) => 0,
        };
        frames as u64
    }

    /// Decodes the samples; half a frame at the end is left out.
    ///
    /// # Errors
    /// [`Error::Media`], or the sink's.
    pub(super) fn samples(&self, path: &Path, sink: Sink) -> Result<()> {
        match self.coding {
            Coding::Integer(bytes) => {
                let scale = 1.0 / (1u64 << (8 * bytes - 1)) as f32;
                let reader = self.clean(path, 1, bytes)?;
                blocks(reader.into_samples::<i32>().map(|s| s.map(|s| s as f32 * scale)), path, sink)
            }
            Coding::Float(4) => blocks(self.clean(path, 3, 4)?.into_samples::<f32>(), path, sink),
            Coding::Float(_) => {
                let doubles = self.whole(8).as_chunks::<8>().0.iter();
                let big = self.big;
                let value =
                    move |b: &[u8; 8]| if big { f64::from_be_bytes(*b) } else { f64::from_le_bytes(*b) };
                blocks(doubles.map(|b| Ok(value(b) as f32)), path, sink)
            }
            Coding::ALaw => blocks(self.whole(1).iter().map(|b| Ok(law::a(*b))), path, sink),
            Coding::MuLaw => blocks(self.whole(1).iter().map(|b| Ok(law::mu(*b))), path, sink),
            Coding::Ima(block) => self.adpcm(path, block, adpcm::ima, sink),
            Coding::Microsoft(block) => self.adpcm(path, block, adpcm::microsoft, sink),
            Coding::Mpeg | Coding::Other(_) => Err(Error::media(path, EXPECTED, "one of another coding")),
        }
    }

    fn adpcm(&self, path: &Path, block: usize, decode: adpcm::Decode, sink: Sink) -> Result<()> {
        let mut samples = Vec::new();
        for part in self.data.chunks(block) {
            samples.clear();
            decode(part, self.channels, &mut samples)
                .map_err(|found| Error::media(path, "a whole WAV audio file of ADPCM blocks", found))?;
            sink(&samples.iter().map(|s| f32::from(*s) * (1.0 / 32768.0)).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// The whole frames, of samples of so many bytes.
    fn whole(&self, bytes: usize) -> &'a [u8] {
        &self.data[..self.data.len() - self.data.len() % (bytes * self.channels)]
    }

    /// The samples as a file by the book, of one channel: who mixes knows how many there are.
    fn clean(&self, path: &Path, tag: u16, bytes: usize) -> Result<hound::WavReader<impl Read + use<'a>>> {
        let data = self.whole(bytes);
        let data = if self.big && bytes > 1 {
            let mut swapped = data.to_vec();
            swapped.chunks_exact_mut(bytes).for_each(<[u8]>::reverse);
            Cow::Owned(swapped)
        } else {
            Cow::Borrowed(data)
        };
        let (length, wide) = (data.len() as u32, bytes as u16);
        let mut header = Vec::with_capacity(44);
        header.extend(b"RIFF");
        header.extend(length.saturating_add(36).to_le_bytes());
        header.extend(b"WAVEfmt \x10\0\0\0");
        header.extend([tag, 1].map(u16::to_le_bytes).concat());
        header.extend([self.rate, self.rate.saturating_mul(wide.into())].map(u32::to_le_bytes).concat());
        header.extend([wide, wide * 8].map(u16::to_le_bytes).concat());
        header.extend(b"data");
        header.extend(length.to_le_bytes());
        hound::WavReader::new(Cursor::new(header).chain(Cursor::new(data)))
            .map_err(|e| Error::media(path, EXPECTED, e.to_string()))
    }
}

/// What a decoder's pipe begins with: channels, rate and length of the head of a WAV file of 32-bit floats.
pub(crate) fn piped(head: &[u8]) -> Option<(usize, u32, usize)> {
    let wave = Wave::read(Path::new(""), head).ok()?;
    (wave.coding == Coding::Float(4)).then(|| (wave.channels, wave.rate, head.len() - wave.data.len()))
}

/// Hands samples on in blocks.
fn blocks(samples: impl Iterator<Item = hound::Result<f32>>, path: &Path, sink: Sink) -> Result<()> {
    let mut block = Vec::with_capacity(BLOCK);
    for sample in samples {
        block.push(sample.map_err(|e| Error::media(path, EXPECTED, e.to_string()))?);
        if block.len() == BLOCK {
            sink(&block)?;
            block.clear();
        }
    }
    sink(&block)
}

/// The format that an extensible header names by a GUID, of Microsoft's or the ambisonic base.
fn extended(format: Numbers) -> Option<u16> {
    let tag = u16::try_from(format.u32(24)?).ok()?;
    let base = format.bytes.get(28..40)?;
    let swapped = |b: &[u8; 12]| [b[1], b[0], b[3], b[2], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11]];
    let known = [
        *b"\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71",
        *b"\x21\x07\xd3\x11\x86\x44\xc8\xc1\xca\x00\x00\x00",
    ];
    known.iter().any(|k| base == k || (format.big && base == swapped(k))).then_some(tag)
}

/// Bytes of a sample of so many bits: as few as hold them, as libsndfile has it, whatever the block size says; unless it says four and
/// the lowest of each four is empty, which samples of three bytes that stand close never are.
fn width(bits: u16, claimed: usize, data: &[u8]) -> usize {
    let close = usize::from(bits).div_ceil(8);
    let empty = || data.as_chunks::<4>().0.iter().all(|sample| sample[0] == 0);
    if close == 3 && claimed == 4 && data.len() >= 8 && empty() { 4 } else { close }
}
