//! Audio files that are none of the kept decoders', by their first bytes.

use crate::decode::is_heif;

pub(super) const IMAGE: &str = "an image";

/// Whether words tell what a file is, and not only what it is not.
pub(super) fn known(what: &str) -> bool {
    !what.starts_with("a file of an unknown format")
}

/// What a file that is none of the kept decoders' seems to be.
pub(super) fn foreign(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        b if is_heif(b) => IMAGE,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "an audio file or video in MP4 (AAC, ALAC or another)",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "an audio file or video in Matroska or WebM",
        [0x30, 0x26, 0xb2, 0x75, ..] => "an audio file or video of Windows Media",
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => "an AIFF audio file",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => "an AVI video",
        [0, 0, 1, 0xba | 0xb3, ..] => "an MPEG video",
        [0x0b, 0x77, ..] => "an AC-3 audio file",
        [0xff, second, ..] if second & 0xf6 == 0xf0 => "an AAC audio file",
        [0x47, ..] if bytes.get(188) == Some(&0x47) => "a transport stream",
        b if b.starts_with(b"caff") => "a CAF audio file",
        b if b.starts_with(b".snd") || b.starts_with(b"dns.") => "an AU audio file",
        b if b.starts_with(b"riff\x2e\x91\xcf\x11") => "a Wave64 audio file",
        b if b.starts_with(b"#!AMR") => "an AMR audio file",
        b if b.starts_with(b"MAC ") => "a Monkey's Audio file",
        b if b.starts_with(b"wvpk") => "a WavPack audio file",
        b if b.starts_with(b"TTA1") => "a True Audio file",
        b if b.starts_with(b"MPCK") || b.starts_with(b"MP+") => "a Musepack audio file",
        b if b.starts_with(b"\x7f\xfe\x80\x01") => "a DTS audio file",
        b if b.starts_with(b"FLV") => "a Flash video",
        b if image::guess_format(b).is_ok() => IMAGE,
        _ => return None,
    })
}
