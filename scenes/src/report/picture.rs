//! Thumbnails as `data:` URIs.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Component, Path};

/// Longest edge on a card, in pixels; twice what it is shown at would be 640 and four times the bytes.
const CARD: u32 = 400;
/// Height in the strip.
const STRIP: u32 = 76;
/// A thumbnail's file is small; anything larger is not one.
const MOST_BYTES: u64 = 8 << 20;

/// A scene's picture in its two sizes.
pub(super) struct Picture {
    pub(super) card: String,
    pub(super) strip: String,
}

/// Reads and scales a thumbnail. `None` where there is none, it lies outside `dir`, or it cannot be decoded: the page has a place for that.
pub(super) fn read(dir: &Path, thumbnail: &Path) -> Option<Picture> {
    if !thumbnail.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let file = File::open(dir.join(thumbnail)).ok().filter(|f| f.metadata().is_ok_and(|m| m.is_file()))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).ok().filter(|&n| n as u64 <= MOST_BYTES)?;
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(8192), Some(8192));
    reader.limits(limits);
    let jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let picture = DynamicImage::ImageRgb8(reader.decode().ok()?.into_rgb8());
    let small = picture.width().max(picture.height()) <= CARD;
    let card = if jpeg && small { Some(uri(&bytes)) } else { encode(&picture.thumbnail(CARD, CARD), 80) };
    // Wide pictures end somewhere: a strip tile is at most four times as wide as it is high.
    let strip = encode(&picture.thumbnail(STRIP * 4, STRIP), 70);
    Some(Picture { card: card?, strip: strip? })
}

fn encode(picture: &DynamicImage, quality: u8) -> Option<String> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).ok()?;
    Some(uri(&bytes))
}

fn uri(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", base64(jpeg))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            out.push(if digit <= three.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_the_standard_has_it() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| base64(t.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }

    #[test]
    fn only_pictures_within_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("page");
        std::fs::create_dir(&inside).unwrap();
        let picture = DynamicImage::new_rgb8(800, 300);
        picture.save(inside.join("a.jpg")).unwrap();
        picture.save(dir.path().join("secret.jpg")).unwrap();
        std::fs::write(inside.join("broken.jpg"), b"\xff\xd8\xff\xe0 no more").unwrap();
        let found = read(&inside, Path::new("a.jpg")).unwrap();
        assert!(
            found.card.starts_with("data:image/jpeg;base64,/9j/") && found.strip.len() < found.card.len()
        );
        for outside in ["../secret.jpg", "/etc/hostname", "broken.jpg", "none.jpg", "."] {
            assert!(read(&inside, Path::new(outside)).is_none(), "{outside}");
        }
    }
}
