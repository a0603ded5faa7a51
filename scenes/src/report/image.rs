//! Thumbnails as `data:` URIs.

use image::{ImageFormat, ImageReader, Limits};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Component, Path};
use unisono_page::Media;

/// Longest edge on a card, in pixels; twice what it is shown at would be 640 and four times the bytes.
const CARD: u32 = 400;
/// Height in the strip.
const STRIP: u32 = 76;
/// A thumbnail's file is small; anything larger is not one.
const MOST_BYTES: u64 = 8 << 20;

/// A scene's image in its two sizes.
pub(super) struct Image {
    pub(super) card: String,
    pub(super) strip: String,
}

/// Reads and scales a thumbnail. `None` where there is none, it lies outside `dir`, or it cannot be decoded: the page has a place for that.
pub(super) fn read(dir: &Path, thumbnail: &Path) -> Option<Image> {
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
    let image = reader.decode().ok()?.into_rgb8();
    let small = image.width().max(image.height()) <= CARD;
    // Wide images end somewhere: a strip tile is at most four times as wide as it is high.
    let strip = Media::jpeg(&image, STRIP * 4, STRIP, 70)?;
    let card = if jpeg && small { Media::new(bytes) } else { Media::jpeg(&image, CARD, CARD, 80)? };
    Some(Image { card: card.data_uri()?, strip: strip.data_uri()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_within_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("page");
        std::fs::create_dir(&inside).unwrap();
        let image = image::RgbImage::new(800, 300);
        image.save(inside.join("a.jpg")).unwrap();
        image.save(dir.path().join("secret.jpg")).unwrap();
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
