//! What a file is: for folders by its name's ending, for files given by themselves by their content.

use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use unisono_encoders::Modality;

const IMAGE: [&str; 10] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "svg", "jfif"];
const AUDIO: [&str; 5] = ["wav", "ogg", "oga", "mp3", "flac"];

const VIDEO: [&str; 20] = [
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "m2ts", "mts", "wmv", "asf", "flv",
    "3gp", "3g2", "ogv", "mxf", "vob", "y4m",
];

/// Whether a file is a video, by its first bytes, and where they say nothing, by its ending.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn is_video(path: &Path) -> Result<bool> {
    let head = head(path)?;
    Ok(match head.as_slice() {
        // ISO media; pictures (AVIF, HEIC) and bare sound live in the same boxes.
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
            !["avif", "avis", "heic", "heix", "mif1", "M4A "].iter().any(|b| brand.starts_with(b.as_bytes()))
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, kind @ ..] => kind.starts_with(b"AVI "),
        [0, 0, 1, 0xba | 0xb3, ..] | [0x1a, 0x45, 0xdf, 0xa3, ..] | [0x30, 0x26, 0xb2, 0x75, ..] => true,
        head if head.starts_with(b"FLV") || head.starts_with(b"YUV4MPEG2") => true,
        head if head.first() == Some(&0x47) && head.get(188) == Some(&0x47) => true,
        head => video_by_ending(path) && of_head(head, path).is_none(),
    })
}

/// Whether a file's ending promises a video.
pub(crate) fn video_by_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    VIDEO.contains(&ending.as_str())
}

/// What a file's ending promises; `None` for anything but pictures and sounds.
pub(crate) fn by_ending(path: &Path) -> Option<Modality> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    if IMAGE.contains(&ending.as_str()) {
        Some(Modality::Image)
    } else if AUDIO.contains(&ending.as_str()) {
        Some(Modality::Audio)
    } else {
        None
    }
}

/// What a file's first bytes say, and where they say nothing, its ending.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn by_content(path: &Path) -> Result<Option<Modality>> {
    Ok(of_head(&head(path)?, path))
}

/// A file's first bytes.
fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(512).read_to_end(&mut head).map_err(Error::io(path, "read"))?;
    Ok(head)
}

fn of_head(head: &[u8], path: &Path) -> Option<Modality> {
    let sound = match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => true,
        // An MPEG audio frame begins with eleven set bits; a JPEG's second byte is 0xd8, an MPEG layer's is not.
        [0xff, second, ..] => second & 0xe0 == 0xe0 && second & 0x06 != 0,
        head => head.starts_with(b"OggS") || head.starts_with(b"fLaC") || head.starts_with(b"ID3"),
    };
    if sound {
        return Some(Modality::Audio);
    }
    if image::guess_format(head).is_ok() || head.windows(4).any(|w| w == b"<svg") {
        return Some(Modality::Image);
    }
    by_ending(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_outweighs_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let kind = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            by_content(&path).unwrap()
        };
        assert_eq!(kind("a.png", b"RIFF\0\0\0\0WAVEfmt "), Some(Modality::Audio));
        assert_eq!(kind("b", b"\x89PNG\r\n\x1a\n"), Some(Modality::Image));
        assert_eq!(kind("c.mp3", b"\xff\xd8\xff\xe0"), Some(Modality::Image));
        assert_eq!(kind("d", b"\xff\xfb\x90"), Some(Modality::Audio));
        assert_eq!(kind("e", b"<?xml version='1.0'?><svg/>"), Some(Modality::Image));
        assert_eq!(kind("f.JPG", b""), Some(Modality::Image));
        assert_eq!(kind("g.txt", b"words"), None);
        assert!(by_content(&dir.path().join("none")).is_err());
        let video = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            is_video(&path).unwrap()
        };
        assert!(video("a", b"\0\0\0\x20ftypisom"));
        assert!(!video("a.mp4", b"\0\0\0\x20ftypavif"));
        assert!(video("a.png", b"\x1a\x45\xdf\xa3"));
        assert!(video("a", b"RIFF\0\0\0\0AVI LIST"));
        assert!(!video("a.avi", b"RIFF\0\0\0\0WAVEfmt "));
        assert!(video("a.MP4", b"something else"));
        assert!(!video("a.txt", b"something else"));
    }
}
