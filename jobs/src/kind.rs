//! What a file is: for folders by its name's ending, for files given by themselves by their content.

use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use unisono_encoders::Modality;
use unisono_media::video;

const IMAGE: [&str; 14] =
    ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "svg", "jfif", "heic", "heif", "hif", "avif"];
const AUDIO: [&str; 43] = [
    "wav", "wave", "bwf", "rf64", "w64", "aif", "aiff", "aifc", "afc", "caf", "au", "snd", "voc", "mp3",
    "mp2", "mp1", "mpga", "m4a", "m4b", "m4r", "aac", "adts", "ac3", "eac3", "ec3", "dts", "amr", "awb",
    "opus", "ogg", "oga", "spx", "flac", "wma", "mka", "weba", "ape", "wv", "tta", "tak", "mpc", "alac",
    "ra",
];

const VIDEO: [&str; 21] = [
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "m2ts", "mts", "wmv", "asf", "flv",
    "3gp", "3g2", "ogv", "ogm", "mxf", "vob", "y4m",
];

/// Whether a file is a video, by its first bytes and its tables, and where they say nothing, by its ending. Containers of videos that hold
/// audio only are none.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn is_video(path: &Path) -> Result<bool> {
    let head = head(path)?;
    Ok(match container(&head, path) {
        Some(video) => video,
        None => video_by_ending(path) && of_head(&head, path).is_none(),
    })
}

/// Whether a file of a folder, which ends like a video, holds audio only.
pub(crate) fn only_audio(path: &Path) -> bool {
    // What cannot be opened is told when it is decoded.
    matches!(video::shows_images(path), Ok(Some(false)))
}

/// Whether a file of a folder, which ends like an audio file, is a video: `.ogg` may be either.
pub(crate) fn hidden_video(path: &Path) -> bool {
    ends(path, &["ogg"]) && matches!(video::shows_images(path), Ok(Some(true)))
}

/// Whether a file's ending promises a video.
pub(crate) fn video_by_ending(path: &Path) -> bool {
    ends(path, &VIDEO)
}

/// What a file's ending promises; `None` for anything but images and audio files.
pub(crate) fn by_ending(path: &Path) -> Option<Modality> {
    if ends(path, &IMAGE) {
        Some(Modality::Image)
    } else if ends(path, &AUDIO) {
        Some(Modality::Audio)
    } else {
        None
    }
}

fn ends(path: &Path, with: &[&str]) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    with.contains(&ending.as_str())
}

/// What a file's first bytes and tables say, and where they say nothing, its ending; `None` for videos.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn by_content(path: &Path) -> Result<Option<Modality>> {
    let head = head(path)?;
    Ok(match container(&head, path) {
        Some(video) => (!video).then_some(Modality::Audio),
        None => of_head(&head, path),
    })
}

/// A file's first bytes.
fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(512).read_to_end(&mut head).map_err(Error::io(path, "read"))?;
    Ok(head)
}

/// Whether a container of images and audio files is a video, or holds audio only; `None` for what is no such container.
fn container(head: &[u8], path: &Path) -> Option<bool> {
    // Where the tables are not found the name decides, and a name that says nothing is a video's.
    let told = || {
        video::shows_images(path).ok().flatten().unwrap_or_else(|| by_ending(path) != Some(Modality::Audio))
    };
    match head {
        // ISO media; images (AVIF, HEIC) live in the same boxes, books and songs say so.
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
            let is = |brands: &[&[u8; 4]]| brands.iter().any(|b| brand.starts_with(b.as_slice()));
            if is(&[b"avif", b"avis", b"heic", b"heix", b"mif1"]) {
                return None;
            }
            Some(!is(&[b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "]) && told())
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(true),
        [0, 0, 1, 0xba | 0xb3, ..] => Some(true),
        [0x1a, 0x45, 0xdf, 0xa3, ..] | [0x30, 0x26, 0xb2, 0x75, ..] => Some(told()),
        [b'O', b'g', b'g', b'S', ..] => Some(matches!(video::shows_images(path), Ok(Some(true)))),
        head if head.starts_with(b"FLV") || head.starts_with(b"YUV4MPEG2") => Some(true),
        head if head.first() == Some(&0x47) && head.get(188) == Some(&0x47) => Some(true),
        _ => None,
    }
}

/// First bytes of audio files that are nothing else.
const AUDIOS: [&[u8]; 15] = [
    b"fLaC",
    b"ID3",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"riff\x2e\x91\xcf\x11",
    b"caff",
    b".snd",
    b"#!AMR",
    b"MAC ",
    b"wvpk",
    b"TTA1",
    b"MPCK",
    b"\x0b\x77",
    b"\x7f\xfe\x80\x01",
];

fn of_head(head: &[u8], path: &Path) -> Option<Modality> {
    let audio = match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => true,
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => true,
        // An MPEG audio frame begins with eleven set bits; a JPEG's second byte is 0xd8, an MPEG layer's is not. AAC has no layer.
        [0xff, second, ..] => second & 0xe0 == 0xe0 && (second & 0x06 != 0 || second & 0xf6 == 0xf0),
        head => AUDIOS.iter().any(|magic| head.starts_with(magic)),
    };
    if audio {
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
        assert_eq!(kind("h", b"FORM\0\0\0\0AIFCFVER"), Some(Modality::Audio));
        assert_eq!(kind("i", b"\0\0\0\x1cftypM4A \0\0\0\0"), Some(Modality::Audio));
        assert_eq!(kind("j", b"\xff\xf1\x50"), Some(Modality::Audio));
        assert_eq!(kind("k", b"caff\0\x01"), Some(Modality::Audio));
        assert_eq!(
            kind("l.mp3", b"\0\0\0\x20ftypisom"),
            Some(Modality::Audio),
            "no tables: the name decides"
        );
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
