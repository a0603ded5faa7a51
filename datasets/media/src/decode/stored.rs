//! Images as Pillow keeps them, where that decides how they are resized before they become RGB.

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, RgbImage, RgbaImage};

use super::decoded::{Decoded, Form};
use super::image::{EXPECTED, decode_bytes};
use super::options::ImageOptions;
use super::palettes;
use super::tiff::Directory;
use crate::video::Ffmpeg;
use crate::{Blob, Result};

/// Greys of 16 bits.
pub type DeepImage = ImageBuffer<Luma<u16>, Vec<u16>>;

/// An image as Pillow keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Colours or greys: each channel by itself.
    Plain(RgbImage),
    /// With transparency (straight alpha): colours weighted by it.
    Transparent(RgbaImage),
    /// Numbers of colours, or single bits: they cannot be mixed. The colours in their place, and what each number stands for, where it is known;
    /// black is what lies beyond.
    Indexed(RgbImage, Vec<[u8; 3]>),
    /// Four inks in place of the channels: cyan, magenta, yellow, black. Each by itself; [`printed`](super::printed) makes colours of them.
    Inks(RgbaImage),
    /// Greys of 16 bits, of which Pillow's conversion to RGB cuts all above 255.
    Deep(DeepImage),
}

/// An image as Pillow keeps it: palettes and single bits of PNG, GIF, BMP and TIFF are indexed; a colour that PNG calls transparent is a note beside
/// plain pixels.
///
/// # Errors
/// As [`image`](fn@super::image).
pub fn stored(from: impl Into<Blob>, options: &ImageOptions) -> Result<Stored> {
    stored_by(from, options, None)
}

/// [`stored`], by the FFmpeg that the user named: HEIC and AVIF need one.
///
/// # Errors
/// As [`stored`].
pub fn stored_by(from: impl Into<Blob>, options: &ImageOptions, ffmpeg: Option<&Ffmpeg>) -> Result<Stored> {
    let blob = from.into();
    let bytes = blob.read(EXPECTED, &options.limits)?;
    let decoded = decode_bytes(blob.name(), &bytes, options, ffmpeg)?;
    let image = match decoded {
        Decoded { image, form: Form::Inks } => return Ok(Stored::Inks(image.into_rgba8())),
        Decoded { image, form: Form::Indexed(palette) } => {
            return Ok(Stored::Indexed(image.into_rgb8(), palette));
        }
        Decoded { image, form: Form::Colours } => image,
    };
    let format = image::guess_format(&bytes).ok();
    let plain = |image: DynamicImage| match image {
        DynamicImage::ImageLuma16(deep) => Stored::Deep(deep),
        DynamicImage::ImageLumaA16(_) => Stored::Deep(image.into_luma16()),
        image => Stored::Plain(colours(image)),
    };
    // Depth and colour type stand in the first chunk of every PNG.
    Ok(match (format, bytes.get(24..26)) {
        (Some(ImageFormat::Png), Some(&[_, 3])) => {
            Stored::Indexed(colours(image), palettes::png(&bytes).unwrap_or_default())
        }
        (Some(ImageFormat::Png), Some(&[1, 0])) => Stored::Indexed(colours(image), palettes::bits()),
        (Some(ImageFormat::Gif), _) => {
            Stored::Indexed(colours(image), palettes::gif(&bytes).unwrap_or_default())
        }
        (Some(ImageFormat::Png), Some(&[_, 0 | 2])) => plain(image),
        (Some(ImageFormat::Bmp), _) => match palettes::bmp(&bytes) {
            Some(palette) => Stored::Indexed(colours(image), palette),
            None => plain(image),
        },
        (Some(ImageFormat::Tiff), _) => match Directory::read(&bytes) {
            Some(directory) if directory.is_bits() => Stored::Indexed(colours(image), palettes::bits()),
            _ if image.color().has_alpha() => transparent(image),
            // Pillow takes such greys as they stand.
            Some(directory) if directory.is_negative() => match plain(image) {
                Stored::Deep(mut deep) => {
                    deep.iter_mut().for_each(|v| *v = !*v);
                    Stored::Deep(deep)
                }
                other => other,
            },
            _ => plain(image),
        },
        _ if image.color().has_alpha() => transparent(image),
        _ => plain(image),
    })
}

fn transparent(image: DynamicImage) -> Stored {
    Stored::Transparent(Decoded { image, form: Form::Colours }.colours().into_rgba8())
}

/// Colours of 8 bits, whatever transparency lies over them.
fn colours(image: DynamicImage) -> RgbImage {
    Decoded { image, form: Form::Colours }.colours().into_rgb8()
}
