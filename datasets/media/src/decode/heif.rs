//! HEIC and AVIF images: what they are made of is read here, and looked at before anything is decoded; FFmpeg decodes the tiles; what is made of
//! them is made here.

mod colour;
mod items;
mod meta;
mod stream;

pub(crate) use items::{is_heif, size};

use super::decoded::{Decoded, Form};
use super::options::check_size;
use crate::video::{Ffmpeg, Told, VideoLimits};
use crate::{Blob, Error, Limits, Result};
use colour::Plane;
use image::DynamicImage;
use items::{Coded, Step, Still};
use std::path::Path;

const EXPECTED: &str = "a whole HEIC or AVIF image";

/// Decodes the image that a file shows, upright, with its opacity.
///
/// # Errors
/// [`Error::Limit`], found before anything is decoded; [`Error::Media`]; [`Error::NeedsFfmpeg`].
pub(super) fn decode(path: &Path, bytes: &[u8], limits: &Limits, ffmpeg: Option<&Ffmpeg>) -> Result<Decoded> {
    let refuse = |found: String| Error::media(path, EXPECTED, found);
    let still = Still::read(bytes).map_err(refuse)?;
    for coded in std::iter::once(&still.colours).chain(&still.alpha) {
        check_size(path, coded.size.0, coded.size.1, limits)?;
        // Tiles reach beyond the image by less than one of them: each is within the limit, too.
        check_size(path, coded.tile.0, coded.tile.1, limits)?;
    }
    if still.alpha.as_ref().is_some_and(|alpha| alpha.size != still.colours.size) {
        return Err(refuse("an image whose opacity is of another size".into()));
    }
    let ffmpeg = match ffmpeg {
        Some(ffmpeg) => ffmpeg.clone(),
        None => Ffmpeg::find(None).map_err(|e| match e {
            Error::ToolMissing { tool, .. } if tool == "ffmpeg" => {
                Error::NeedsFfmpeg { path: path.to_owned(), found: "a HEIC or AVIF image".into() }
            }
            e => e,
        })?,
    };
    let reader = Reader { path, ffmpeg: &ffmpeg };
    let (told, planes) = reader.planes(&still.colours)?;
    let size = || refuse("one of another size than it says".into());
    let colours = colour::colours(&still.colours, &told, &planes).ok_or_else(size)?;
    drop(planes);
    let mut image = match &still.alpha {
        None => DynamicImage::ImageRgb8(colours),
        Some(alpha) => {
            let (told, planes) = reader.planes(alpha)?;
            let whole = colour::beside(colours, (alpha, &told, &planes), still.premultiplied);
            DynamicImage::ImageRgba8(whole.ok_or_else(size)?)
        }
    };
    for step in still.steps {
        image = match step {
            Step::Turn(quarters) => match quarters {
                1 => image.rotate270(),
                2 => image.rotate180(),
                3 => image.rotate90(),
                _ => image,
            },
            Step::Mirror { sideways: true } => image.fliph(),
            Step::Mirror { sideways: false } => image.flipv(),
            Step::Crop([left, top, width, height]) => image.crop_imm(left, top, width, height),
        };
    }
    Ok(Decoded { image, form: Form::Colours })
}

/// What a file's lists say, for who reads strangers' bytes: whether there is an image, and how many bytes its decoder would be given.
pub(crate) fn outline(bytes: &[u8]) -> Option<usize> {
    let still = Still::read(bytes).ok()?;
    stream::stream(&still.colours).ok().map(|stream| stream.len())
}

struct Reader<'a> {
    path: &'a Path,
    ffmpeg: &'a Ffmpeg,
}

impl Reader<'_> {
    fn planes(&self, coded: &Coded) -> Result<(Told, Vec<Plane>)> {
        let refuse = |found: String| Error::media(self.path, EXPECTED, found);
        let stream = stream::stream(coded).map_err(refuse)?;
        // Decoders pad tiles to whole blocks.
        let padded = |side: u32| u64::from(side.next_multiple_of(128));
        let max_pixels = padded(coded.tile.0) * padded(coded.tile.1);
        let limits = VideoLimits { max_pixels, ..VideoLimits::default() };
        let blob = Blob::bytes(self.path, stream);
        let (told, raw) = self.ffmpeg.still(&blob, coded.tiles.len(), &limits, &refuse)?;
        let planes =
            colour::planes(coded, &raw).ok_or_else(|| refuse("one of another size than it says".into()))?;
        Ok((told, planes))
    }
}

#[cfg(test)]
#[path = "../tests/heif.rs"]
mod tests;
