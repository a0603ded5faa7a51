//! Images, audio files and videos as `data:` URIs.

use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage, imageops};
use maud::{Markup, html};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An encoded file as it lies on disk, small enough to be carried inside the page. In JSON: base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    bytes: Vec<u8>,
}

/// What a file is, told from its first bytes, never from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// An image every browser shows: PNG, JPEG, WebP, GIF.
    Image(&'static str),
    /// An audio file browsers play: OGG, WAV, MP3, FLAC, M4A.
    Audio(&'static str),
    /// A video browsers play, if its streams are of a kind that they know: MP4, WebM and their kin.
    Video(&'static str),
    /// Anything else: the page shows a placeholder.
    Unknown,
}

impl Media {
    /// Wraps encoded bytes. Scale images down first: the page carries them whole.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into() }
    }

    /// `image` as a PNG that fits into `width` x `height` pixels; for drawings, whose edges JPEG would blur.
    pub fn png(image: &RgbImage, width: u32, height: u32) -> Option<Self> {
        let mut bytes = Cursor::new(Vec::new());
        fit(image, width, height).write_to(&mut bytes, ImageFormat::Png).ok()?;
        Some(Self::new(bytes.into_inner()))
    }

    /// `image` as a JPEG of this quality (1 to 100) that fits into `width` x `height` pixels.
    pub fn jpeg(image: &RgbImage, width: u32, height: u32, quality: u8) -> Option<Self> {
        let mut bytes = Vec::new();
        fit(image, width, height)
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))
            .ok()?;
        Some(Self::new(bytes))
    }

    /// The encoded bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the bytes are.
    pub fn kind(&self) -> MediaKind {
        match self.bytes.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => MediaKind::Image("image/png"),
            [0xff, 0xd8, 0xff, ..] => MediaKind::Image("image/jpeg"),
            [b'G', b'I', b'F', b'8', ..] => MediaKind::Image("image/gif"),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
                MediaKind::Image("image/webp")
            }
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => MediaKind::Audio("audio/wav"),
            [b'O', b'g', b'g', b'S', ..] => MediaKind::Audio("audio/ogg"),
            [b'f', b'L', b'a', b'C', ..] => MediaKind::Audio("audio/flac"),
            [b'I', b'D', b'3', ..] => MediaKind::Audio("audio/mpeg"),
            [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand {
                [b'M', b'4', b'A' | b'B', b' ', ..] => MediaKind::Audio("audio/mp4"),
                [b'a', b'v', b'i', b'f' | b's', ..] => MediaKind::Image("image/avif"),
                // Photographs in a box like a video's, which few browsers show.
                [b'h', b'e', b'i' | b'v', ..] | [b'm', b'i' | b's', b'f', b'1', ..] => MediaKind::Unknown,
                _ => MediaKind::Video("video/mp4"),
            },
            [0x1a, 0x45, 0xdf, 0xa3, ..] => MediaKind::Video("video/webm"),
            // An MPEG audio frame: eleven set bits, then a layer that is not the reserved one.
            [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => {
                MediaKind::Audio("audio/mpeg")
            }
            _ => MediaKind::Unknown,
        }
    }

    /// The `data:` URI; `None` for unknown bytes.
    pub fn data_uri(&self) -> Option<String> {
        match self.kind() {
            MediaKind::Image(mime) | MediaKind::Audio(mime) | MediaKind::Video(mime) => {
                Some(format!("data:{mime};base64,{}", STANDARD.encode(&self.bytes)))
            }
            MediaKind::Unknown => None,
        }
    }
}

/// An image or a player; a plain note where the bytes are neither.
pub fn show(media: &Media, name: &str) -> Markup {
    html! {
        @match (media.kind(), media.data_uri()) {
            (MediaKind::Image(_), Some(uri)) => img src=(uri) alt=(name) title=(name) loading="lazy" decoding="async";,
            (MediaKind::Audio(_), Some(uri)) => audio controls="controls" preload="metadata" src=(uri) aria-label=(name) {},
            (MediaKind::Video(_), Some(uri)) => video controls="controls" preload="metadata" src=(uri) aria-label=(name) {},
            _ => div.missing { "cannot be shown" },
        }
    }
}

/// Never enlarged; at least a pixel either way.
fn fit(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (w, h) = image.dimensions();
    let scale = (f64::from(width) / f64::from(w.max(1))).min(f64::from(height) / f64::from(h.max(1)));
    if scale >= 1.0 {
        return image.clone();
    }
    let to = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    imageops::resize(image, to(w), to(h), imageops::FilterType::Triangle)
}

impl Serialize for Media {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.bytes))
    }
}

impl<'de> Deserialize<'de> for Media {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self::new).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_from_bytes() {
        let image = |bytes: &[u8]| matches!(Media::new(bytes).kind(), MediaKind::Image(_));
        let audio = |bytes: &[u8]| matches!(Media::new(bytes).kind(), MediaKind::Audio(_));
        assert!(image(b"\x89PNG\r\n\x1a\n") && image(b"\xff\xd8\xff\xe0") && image(b"RIFF\0\0\0\0WEBPVP8 "));
        assert!(
            audio(b"OggS\0") && audio(b"RIFF\0\0\0\0WAVEfmt ") && audio(b"ID3\x04") && audio(b"\xff\xfb\x90")
        );
        let box_of = |brand: &[u8]| Media::new([b"\0\0\0\x18ftyp", brand].concat());
        assert!(matches!(box_of(b"isom").kind(), MediaKind::Video("video/mp4")));
        assert!(matches!(box_of(b"M4A ").kind(), MediaKind::Audio("audio/mp4")));
        assert!(matches!(box_of(b"avif").kind(), MediaKind::Image("image/avif")));
        assert_eq!([box_of(b"heic").kind(), box_of(b"mif1").kind()], [MediaKind::Unknown; 2]);
        assert!(show(&Media::new(b"\x1a\x45\xdf\xa3"), "x").into_string().starts_with("<video controls"));
        for hostile in [&b""[..], b"RIFF", b"<svg onload=alert(1)>", b"\xff", b"\xff\xe0"] {
            assert_eq!(Media::new(hostile).kind(), MediaKind::Unknown);
            assert_eq!(Media::new(hostile).data_uri(), None);
            assert_eq!(
                show(&Media::new(hostile), "x").into_string(),
                "<div class=\"missing\">cannot be shown</div>"
            );
        }
    }

    #[test]
    fn images_fit_and_are_never_enlarged() {
        for (w, h, fitted) in [(800, 300, (100, 38)), (30, 3000, (1, 50)), (7, 5, (7, 5))] {
            let image = RgbImage::from_pixel(w, h, image::Rgb([10, 90, 200]));
            for media in [Media::png(&image, 100, 50), Media::jpeg(&image, 100, 50, 80)] {
                let media = media.unwrap();
                assert_eq!(image::load_from_memory(media.bytes()).unwrap().into_rgb8().dimensions(), fitted);
                assert!(show(&media, "\"><x").into_string().contains("alt=\"&quot;&gt;&lt;x\""));
            }
        }
    }

    #[test]
    fn json_keeps_every_byte() {
        let media = Media::new((0..=255).collect::<Vec<u8>>());
        let text = serde_json::to_string(&media).unwrap();
        assert_eq!(serde_json::from_str::<Media>(&text).unwrap(), media);
        assert!(serde_json::from_str::<Media>("\"not base64!\"").is_err());
    }
}
