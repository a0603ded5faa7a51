//! Small pictures of large ones.

use crate::refusal::{Answer, Refusal};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use unisono_media::{Blob, ImageOptions, Limits, decode};

/// Longest edge, in pixels.
pub(crate) const EDGE: u32 = 384;

/// An image whose longest edge is no longer than `most`, as JPEG, on white where it is transparent.
pub(crate) fn small(blob: &Blob, most: u32, limits: &Limits) -> Answer<Vec<u8>> {
    let options = ImageOptions { limits: *limits, background: [255; 3], ..ImageOptions::default() };
    let decoded = decode::image(blob, &options).map_err(unisono_jobs::Error::from)?;
    let (width, height) = decoded.dimensions();
    let scale = f64::from(most) / f64::from(width.max(height).max(1));
    let image = match scale < 1.0 {
        false => decoded,
        true => {
            let edge = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
            image::imageops::resize(&decoded, edge(width), edge(height), FilterType::Triangle)
        }
    };
    jpeg(&image)
}

/// An image as JPEG.
pub(crate) fn jpeg(image: &RgbImage) -> Answer<Vec<u8>> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, 85);
    image.write_with_encoder(encoder).map_err(|e| Refusal::broken(format!("JPEG: {e}")))?;
    Ok(jpeg)
}
