//! What a file's first bytes say that it is, and which endings promise that.

/// A form of media files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// As people call it.
    pub(crate) name: &'static str,
    /// The endings of its files' names.
    endings: &'static [&'static str],
}

const fn form(name: &'static str, endings: &'static [&'static str]) -> Form {
    Form { name, endings }
}

const PNG: Form = form("a PNG image", &["png", "apng"]);
const JPEG: Form = form("a JPEG image", &["jpg", "jpeg", "jpe", "jfif"]);
const GIF: Form = form("a GIF", &["gif"]);
const WEBP: Form = form("a WebP image", &["webp"]);
const BMP: Form = form("a BMP image", &["bmp", "dib"]);
const TIFF: Form = form("a TIFF image", &["tif", "tiff"]);
const SVG: Form = form("an SVG image", &["svg"]);
const HEIF: Form = form("a HEIF or AVIF image", &["heic", "heif", "hif", "avif", "avifs"]);
const WAV: Form = form("a WAV audio file", &["wav", "wave", "bwf", "rf64"]);
const OGG: Form = form("an OGG file", &["ogg", "oga", "ogv", "ogx", "opus", "spx"]);
const FLAC: Form = form("a FLAC audio file", &["flac"]);
// A tag stands in front of other audio files than MP3, too.
const TAGGED: Form = form("an MP3 or AAC file", &["mp3", "mp2", "mp1", "mpga", "aac", "adts", "flac"]);
const AIFF: Form = form("an AIFF audio file", &["aif", "aiff", "aifc"]);
const MP4: Form = form(
    "an MP4 or QuickTime file",
    &["mp4", "m4v", "mov", "qt", "m4a", "m4b", "m4p", "m4r", "3gp", "3g2", "f4v", "mj2", "alac"],
);
const MATROSKA: Form = form("a Matroska or WebM file", &["mkv", "webm", "mka", "mk3d"]);
const AVI: Form = form("an AVI video", &["avi", "divx"]);
const TS: Form = form("an MPEG transport stream", &["ts", "m2ts", "mts", "m2t", "trp", "tod"]);
const PS: Form = form("an MPEG video", &["mpg", "mpeg", "mpe", "vob", "m2v", "m1v", "mod", "dat", "evo"]);
const ASF: Form = form("a Windows Media file", &["wmv", "wma", "asf", "wm"]);
const FLV: Form = form("an FLV video", &["flv"]);
const Y4M: Form = form("a YUV4MPEG2 video", &["y4m"]);

/// Enough of a file for [`Form::of`].
pub(crate) const HEAD: u64 = 1024;

impl Form {
    /// What a file that begins so is; `None` for anything else.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        Some(match head {
            [0x89, b'P', b'N', b'G', ..] => PNG,
            [0xff, 0xd8, 0xff, ..] => JPEG,
            [b'G', b'I', b'F', b'8', ..] => GIF,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => WEBP,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => AVI,
            [b'R', b'I', b'F', b'F' | b'X', ..]
            | [b'R', b'F', b'6', b'4', ..]
            | [b'B', b'W', b'6', b'4', ..]
                if head.get(8..12) == Some(b"WAVE") =>
            {
                WAV
            }
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => BMP,
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => TIFF,
            [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
                let still = [&b"avif"[..], b"avis", b"heic", b"heix", b"heif", b"mif1", b"msf1"];
                if still.iter().any(|b| brand.starts_with(b)) { HEIF } else { MP4 }
            }
            [b'O', b'g', b'g', b'S', ..] => OGG,
            [b'f', b'L', b'a', b'C', ..] => FLAC,
            [b'I', b'D', b'3', ..] => TAGGED,
            [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => AIFF,
            [0x1a, 0x45, 0xdf, 0xa3, ..] => MATROSKA,
            [0x30, 0x26, 0xb2, 0x75, ..] => ASF,
            [0, 0, 1, 0xba | 0xb3, ..] => PS,
            [b'F', b'L', b'V', ..] => FLV,
            _ if head.starts_with(b"YUV4MPEG2") => Y4M,
            // Packets of 188 bytes, or of 192, each behind its clock.
            [0x47, ..] if head.get(188) == Some(&0x47) => TS,
            [_, _, _, _, 0x47, ..] if head.get(196) == Some(&0x47) => TS,
            [0xff, second, ..] if second & 0xe0 == 0xe0 => TAGGED,
            _ if head.windows(4).any(|w| w == b"<svg") => SVG,
            _ => return None,
        })
    }

    /// Whether this ending, in lower case, promises something else.
    pub(crate) fn belied_by(&self, ending: &str) -> bool {
        !ending.is_empty() && !self.endings.contains(&ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_told_by_its_first_bytes() {
        let mut stream = vec![0u8; 400];
        (stream[0], stream[188]) = (0x47, 0x47);
        let mut clocked = vec![0u8; 400];
        (clocked[4], clocked[196]) = (0x47, 0x47);
        for (head, name, ending, other) in [
            (&b"\x89PNG\r\n\x1a\n"[..], "a PNG image", "png", "mp4"),
            (b"\xff\xd8\xff\xe0", "a JPEG image", "jpeg", "png"),
            (b"RIFF\0\0\0\0WAVEfmt ", "a WAV audio file", "wav", "mp3"),
            (b"RF64\xff\xff\xff\xffWAVEds64", "a WAV audio file", "wav", "flac"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP image", "webp", "jpg"),
            (b"\0\0\0\x20ftypisom", "an MP4 or QuickTime file", "m4a", "mkv"),
            (b"\0\0\0\x20ftypheic", "a HEIF or AVIF image", "heic", "jpg"),
            (b"OggS", "an OGG file", "opus", "wav"),
            (b"ID3\x03", "an MP3 or AAC file", "mp3", "wav"),
            (b"\xff\xfb\x90", "an MP3 or AAC file", "mp3", "jpg"),
            (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file", "webm", "mp4"),
            (b"<?xml version='1.0'?><svg/>", "an SVG image", "svg", "png"),
            (&stream, "an MPEG transport stream", "ts", "mp4"),
            (&clocked, "an MPEG transport stream", "m2ts", "mp4"),
        ] {
            let form = Form::of(head).unwrap();
            assert_eq!(form.name, name);
            assert!(!form.belied_by(ending) && form.belied_by(other) && !form.belied_by(""), "{name}");
        }
        for other in [&b""[..], b"words in a file", b"%PDF-1.7", b"PK\x03\x04", b"BM words"] {
            assert_eq!(Form::of(other), None);
        }
    }
}
