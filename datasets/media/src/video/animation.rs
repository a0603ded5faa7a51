//! Images that move (GIF, WebP, PNG) and folders of images, without FFmpeg.

use super::{Frame, Ratio, Time, VideoLimits};
use crate::decode::PNG_BESIDE;
use crate::{Blob, Error, Limits, Opened, Result};
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbaImage};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Ticks a second of animations: delays are written in hundredths (GIF), thousandths (WebP) or fractions (PNG) of a second.
const TICKS: u32 = 1_000_000;

const EXPECTED: &str = "a GIF, WebP or PNG that moves";

/// Whether a file is a GIF, WebP or PNG with more than one frame. Only its headers are read.
///
/// # Errors
/// It cannot be read.
pub fn is_animation(from: impl Into<Blob>) -> Result<bool> {
    let blob = from.into();
    let mut opened = blob.open()?;
    let head = opened.head(1 << 16)?;
    Ok(match image::guess_format(&head) {
        // A second image stands beyond the headers: decoding tells.
        Ok(ImageFormat::Gif) => moving(blob.name(), opened, &VideoLimits::default())
            .is_ok_and(|f| f.take(2).flatten().count() == 2),
        Ok(ImageFormat::WebP) => {
            head.get(12..16) == Some(b"VP8X") && head.get(20).is_some_and(|flags| flags & 2 != 0)
        }
        Ok(ImageFormat::Png) => head.windows(4).any(|w| w == b"acTL"),
        _ => false,
    })
}

/// Frames with their times, over black where they are transparent.
pub type Animation = Box<dyn Iterator<Item = Result<Frame>>>;

/// Frames of a GIF, WebP or PNG that moves; the time of each is the sum of the delays before it, in microseconds.
///
/// # Errors
/// Another format, or an image beyond the limits; later, a frame that is broken.
pub fn animation(from: impl Into<Blob>, limits: &VideoLimits) -> Result<Animation> {
    let blob = from.into();
    moving(blob.name(), blob.open()?, limits)
}

fn moving(path: &Path, opened: Opened, limits: &VideoLimits) -> Result<Animation> {
    let wrong = |e: image::ImageError| Error::media(path, EXPECTED, e.to_string());
    let reader = ImageReader::new(BufReader::new(opened));
    let reader = reader.with_guessed_format().map_err(Error::io(path, "read"))?;
    let (format, file) = (reader.format(), reader.into_inner());
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits.max_memory << 20);
    let small = |(width, height): (u32, u32)| match u64::from(width) * u64::from(height) {
        pixels if pixels <= limits.max_pixels => Ok(pixels),
        _ => Err(Error::Limit {
            path: path.to_owned(),
            what: "a frame",
            found: format!("{width} x {height} pixels"),
            limit: format!("{} pixels", limits.max_pixels),
            option: "max_pixels",
        }),
    };
    let (frames, pixels) = match format {
        Some(ImageFormat::Gif) => {
            let mut decoder = GifDecoder::new(file).map_err(wrong)?;
            let pixels = small(decoder.dimensions())?;
            decoder.set_limits(bounds).map_err(wrong)?;
            (decoder.into_frames(), pixels)
        }
        Some(ImageFormat::WebP) => {
            let mut decoder = WebPDecoder::new(file).map_err(wrong)?;
            let pixels = small(decoder.dimensions())?;
            decoder.set_limits(bounds).map_err(wrong)?;
            (decoder.into_frames(), pixels)
        }
        Some(ImageFormat::Png) => {
            let mut beside = image::Limits::default();
            beside.max_alloc = Some(PNG_BESIDE);
            let mut decoder = PngDecoder::with_limits(file, beside).map_err(wrong)?;
            let pixels = small(decoder.dimensions())?;
            decoder.set_limits(bounds).map_err(wrong)?;
            (decoder.apng().map_err(wrong)?.into_frames(), pixels)
        }
        _ => return Err(Error::media(path, EXPECTED, "another format")),
    };
    let path = path.to_owned();
    let (mut ticks, mut count) = (0i64, 0u64);
    let (most, most_pixels) = (limits.max_frames, limits.max_total_pixels);
    let next = move |frame: image::ImageResult<image::Frame>| {
        let frame = frame.map_err(|e| Error::media(&path, "frames that are whole", e.to_string()))?;
        count += 1;
        if count > most {
            return Err(Error::Limit {
                path: path.clone(),
                what: "the animation",
                found: format!("more than {most} frames"),
                limit: format!("{most} frames"),
                option: "max_frames",
            });
        }
        // Every frame is laid over the whole canvas, however few bytes tell it.
        if count.saturating_mul(pixels) > most_pixels {
            return Err(Error::Limit {
                path: path.clone(),
                what: "the animation",
                found: format!("more than {most_pixels} pixels in all its frames"),
                limit: format!("{most_pixels} pixels"),
                option: "max_total_pixels",
            });
        }
        let time = Time { pts: ticks, base: Ratio { num: 1, den: TICKS } };
        let (num, den) = frame.delay().numer_denom_ms();
        // Frames without a delay last a tenth of a second, as browsers show them.
        let micros = i64::from(num) * 1000 / i64::from(den.max(1));
        ticks += if micros == 0 { 100_000 } else { micros };
        Ok(Frame { time, ticks: ticks - time.pts, image: over_black(&frame.into_buffer()) })
    };
    // What follows a broken frame is not known; some decoders would say so for ever.
    let mut broken = false;
    Ok(Box::new(frames.map(next).take_while(move |frame| !std::mem::replace(&mut broken, frame.is_err()))))
}

/// Images of a folder in the order of their names (numbers by their value), at `rate` frames a second. `limits` bound what they are as
/// frames, `each` the files.
///
/// # Errors
/// The folder cannot be read or holds no image; later, an image that is broken.
pub fn folder(path: &Path, rate: u32, limits: &VideoLimits, each: &Limits) -> Result<Animation> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::io(path, "read"))? {
        let file = entry.map_err(Error::io(path, "read"))?.path();
        let visible = file.file_name().is_some_and(|n| !n.to_string_lossy().starts_with('.'));
        if visible && file.is_file() && ImageFormat::from_path(&file).is_ok() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Error::media(path, "a folder of images", "none"));
    }
    if files.len() as u64 > limits.max_frames {
        return Err(Error::Limit {
            path: path.to_owned(),
            what: "the folder of images",
            found: format!("{} frames", files.len()),
            limit: format!("{} frames", limits.max_frames),
            option: "max_frames",
        });
    }
    files.sort_by_cached_key(|f| natural(&f.file_name().unwrap_or_default().to_string_lossy()));
    let bounds = Limits { max_pixels: limits.max_pixels, ..*each };
    let options =
        crate::ImageOptions { background: [0; 3], drop_alpha: false, svg_size: 512, limits: bounds };
    let base = Ratio { num: 1, den: rate.max(1) };
    Ok(Box::new(files.into_iter().zip(0..).map(move |(file, pts)| {
        let image = crate::decode::image(&file, &options)?;
        Ok(Frame { time: Time { pts, base }, ticks: 1, image })
    })))
}

/// `frame10` after `frame9`.
fn natural(name: &str) -> Vec<(u8, u128, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(match digits {
            // Longer than any number of frames: by its letters.
            true => (0, part.parse().unwrap_or(u128::MAX), part.to_owned()),
            false => (1, 0, part.to_owned()),
        });
        rest = after;
    }
    parts
}

fn over_black(image: &RgbaImage) -> image::RgbImage {
    if image.pixels().all(|p| p[3] == 255) {
        return DynamicImage::ImageRgba8(image.clone()).into_rgb8();
    }
    image::RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, a] = image.get_pixel(x, y).0;
        image::Rgb([r, g, b].map(|c| ((u32::from(c) * u32::from(a) + 127) / 255) as u8))
    })
}

#[cfg(test)]
#[path = "../tests/animation.rs"]
mod tests;
