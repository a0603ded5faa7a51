//! Pictures and sounds as `data:` URIs.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An encoded file as it lies on disk, small enough to be carried inside the page. In JSON: base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    bytes: Vec<u8>,
}

/// What a file is, told from its first bytes, never from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture every browser shows: PNG, JPEG, WebP, GIF.
    Picture(&'static str),
    /// A sound browsers play: OGG, WAV, MP3, FLAC.
    Sound(&'static str),
    /// Anything else: the page shows a placeholder.
    Unknown,
}

impl Media {
    /// Wraps encoded bytes. Scale pictures down first: the page carries them whole.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into() }
    }

    /// The encoded bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the bytes are.
    pub fn kind(&self) -> MediaKind {
        match self.bytes.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => MediaKind::Picture("image/png"),
            [0xff, 0xd8, 0xff, ..] => MediaKind::Picture("image/jpeg"),
            [b'G', b'I', b'F', b'8', ..] => MediaKind::Picture("image/gif"),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
                MediaKind::Picture("image/webp")
            }
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => MediaKind::Sound("audio/wav"),
            [b'O', b'g', b'g', b'S', ..] => MediaKind::Sound("audio/ogg"),
            [b'f', b'L', b'a', b'C', ..] => MediaKind::Sound("audio/flac"),
            [b'I', b'D', b'3', ..] => MediaKind::Sound("audio/mpeg"),
            // An MPEG audio frame: eleven set bits, then a layer that is not the reserved one.
            [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => {
                MediaKind::Sound("audio/mpeg")
            }
            _ => MediaKind::Unknown,
        }
    }

    /// The `data:` URI; `None` for unknown bytes.
    pub fn data_uri(&self) -> Option<String> {
        match self.kind() {
            MediaKind::Picture(mime) | MediaKind::Sound(mime) => {
                Some(format!("data:{mime};base64,{}", STANDARD.encode(&self.bytes)))
            }
            MediaKind::Unknown => None,
        }
    }
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
        let picture = |bytes: &[u8]| matches!(Media::new(bytes).kind(), MediaKind::Picture(_));
        let sound = |bytes: &[u8]| matches!(Media::new(bytes).kind(), MediaKind::Sound(_));
        assert!(
            picture(b"\x89PNG\r\n\x1a\n") && picture(b"\xff\xd8\xff\xe0") && picture(b"RIFF\0\0\0\0WEBPVP8 ")
        );
        assert!(
            sound(b"OggS\0") && sound(b"RIFF\0\0\0\0WAVEfmt ") && sound(b"ID3\x04") && sound(b"\xff\xfb\x90")
        );
        for hostile in [&b""[..], b"RIFF", b"<svg onload=alert(1)>", b"\xff", b"\xff\xe0"] {
            assert_eq!(Media::new(hostile).kind(), MediaKind::Unknown);
            assert_eq!(Media::new(hostile).data_uri(), None);
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
