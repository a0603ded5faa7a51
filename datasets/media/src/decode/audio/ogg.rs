//! The pages of an Ogg file: what its streams are, and where one chain link ends and the next begins (RFC 3533).

use std::ops::Range;

/// One of several files that stand one after another in one; its streams begin together.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) bytes: Range<usize>,
    pub(super) streams: Vec<Stream>,
}

/// What a stream holds, by its first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Vorbis or FLAC: the kept decoders'.
    Kept,
    /// Another audio file.
    Audio(&'static str),
    Image,
    /// Tables of contents, subtitles, anything that is neither.
    Other,
}

const AUDIOS: [(&[u8], &str); 5] = [
    (b"OpusHead", "Opus"),
    (b"Speex   ", "Speex"),
    (b"CELT    ", "CELT"),
    (b"PCM     ", "PCM"),
    (b"\x01audio\0\0\0", "another audio file"),
];

const IMAGES: [&[u8]; 5] = [b"\x80theora", b"\x01video\0\0\0", b"BBCD\0", b"KW-DIRAC", b"OVP80"];

fn stream(packet: &[u8]) -> Stream {
    if packet.starts_with(b"\x01vorbis") || packet.starts_with(b"\x7fFLAC") {
        return Stream::Kept;
    }
    if IMAGES.iter().any(|p| packet.starts_with(p)) {
        return Stream::Image;
    }
    AUDIOS
        .iter()
        .find(|(magic, _)| packet.starts_with(magic))
        .map_or(Stream::Other, |(_, name)| Stream::Audio(name))
}

/// Whether an Ogg file that begins so holds images: all its streams begin before the first goes on.
pub(crate) fn shows_images(head: &[u8]) -> bool {
    links(head).0.first().is_some_and(|link| link.streams.contains(&Stream::Image))
}

/// The links, and whether the last page is whole.
pub(super) fn links(bytes: &[u8]) -> (Vec<Link>, bool) {
    let mut links: Vec<Link> = Vec::new();
    let (mut at, mut beginning) = (0, false);
    while let Some(found) = find(bytes, at) {
        let Some(page) = page(bytes, found) else { return (links, false) };
        if page.first && !beginning {
            links.push(Link { bytes: found..found, streams: Vec::new() });
        }
        beginning = page.first;
        let Some(link) = links.last_mut() else {
            // It begins in the middle of a stream, which nothing can decode.
            at = page.end;
            continue;
        };
        if page.first {
            link.streams.push(stream(&bytes[page.body..page.end.min(bytes.len())]));
        }
        link.bytes.end = page.end.min(bytes.len());
        if page.end > bytes.len() {
            return (links, false);
        }
        at = page.end;
    }
    (links, true)
}

struct Page {
    first: bool,
    body: usize,
    /// May lie beyond the file's end.
    end: usize,
}

fn page(bytes: &[u8], at: usize) -> Option<Page> {
    let head = bytes.get(at..at + 27)?;
    let sizes = bytes.get(at + 27..at + 27 + usize::from(head[26]))?;
    let body = at + 27 + sizes.len();
    let end = body + sizes.iter().map(|s| usize::from(*s)).sum::<usize>();
    Some(Page { first: head[5] & 2 != 0, body: body.min(bytes.len()), end })
}

/// The next page: pages stand one after another, where a file is whole.
fn find(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    if rest.starts_with(b"OggS") {
        return Some(at);
    }
    rest.windows(5).position(|w| w == b"OggS\0").map(|n| at + n)
}
