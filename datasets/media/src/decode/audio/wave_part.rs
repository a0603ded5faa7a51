//! A part of a WAV file, read by its place.

use super::super::samples::{Audio, Excerpt, Extent, Wanted, check_length, check_rate};
use super::mix::Mix;
use super::riff::{self, Riff};
use super::wav::Wave;
use crate::{Error, Limits, Opened, Result};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Within so many bytes the samples begin, of a file that is read by place.
const HEAD: u64 = 1 << 16;

/// The samples that are wanted, and nothing else of the file but its head. `None` where a file has to be read whole: its samples are no
/// frames of bytes, or only they tell how they are written.
///
/// # Errors
/// As of the whole file.
pub(super) fn part(
    path: &Path,
    file: &mut Opened,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Option<Excerpt>> {
    let head = file.head(HEAD)?;
    // What is wrong with a file the reader of whole ones says.
    let Ok(Some(Riff { format, data })) = riff::read(&head, file.len()) else { return Ok(None) };
    // 24 bits in four bytes or in three: all samples are looked at.
    if format.u16(14).is_some_and(|bits| (17..=24).contains(&bits)) && format.u16(12) != Some(3) {
        let (channels, block) = (format.u16(2).unwrap_or(1).max(1), format.u16(12).unwrap_or(0));
        if block / channels == 4 {
            return Ok(None);
        }
    }
    let Some((bytes, rate)) = Wave::of(path, format, &[]).ok().and_then(|w| Some((w.frame()?, w.rate)))
    else {
        return Ok(None);
    };
    let frame = bytes as u64;
    let extent = Extent { samples: (data.end - data.start) / frame, sample_rate: rate };
    check_rate(path, rate)?;
    check_length(path, extent.samples, rate, limits)?;
    let range = wanted.of(extent);
    let mut samples = vec![0; ((range.end - range.start) * frame) as usize];
    file.seek(SeekFrom::Start(data.start + range.start * frame))
        .and_then(|_| file.read_exact(&mut samples))
        .map_err(Error::io(path, "read"))?;
    let wave = Wave::of(path, format, &samples)?;
    let mut mix = Mix::new(wave.channels);
    wave.samples(path, &mut |samples| {
        mix.push(samples);
        Ok(())
    })?;
    let audio = Audio { samples: mix.finish(), sample_rate: rate };
    Ok(Some(Excerpt { audio, start: range.start, extent }))
}
