//! Frames of MPEG audio between what else people's files hold: tags at both ends, a stranger's bytes before the first frame, bytes that
//! are broken in the middle.

/// So far from where it should stand the first frame is looked for, and frames after a broken place.
const REACH: usize = 1 << 20;
/// As many frames in a row are no accident: their heads are found by chance in one of 2^20 places.
const ROW: usize = 4;

/// What a frame's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Version, layer and rate: the same in all frames of a stream.
    kind: (u8, u8, u8),
    length: usize,
    /// Samples a second, and how many of them the frame holds.
    hertz: usize,
    samples: usize,
}

const RATES: [usize; 3] = [44_100, 48_000, 32_000];
/// In kbit/s, by table and number.
const BITRATES: [[usize; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// ISO 11172-3, 2.4.1.3, and 13818-3. Frames of "free" bit rate are not told: their length is nowhere.
fn head(bytes: &[u8]) -> Option<Head> {
    let &[0xff, a, b, _, ..] = bytes else { return None };
    let (version, layer, rate) = (a >> 3 & 3, a >> 1 & 3, b >> 2 & 3);
    if a & 0xe0 != 0xe0 || version == 1 || layer == 0 || rate == 3 {
        return None;
    }
    let table = match (version, layer) {
        (3, layer) => 3 - usize::from(layer),
        (_, 3) => 3,
        _ => 4,
    };
    let bits = 1000 * BITRATES[table].get(usize::from(b >> 4)).filter(|n| **n > 0)?;
    let hertz = RATES[usize::from(rate)] >> [2, 0, 1, 0][usize::from(version)];
    let pad = usize::from(b >> 1 & 1);
    let length = match (layer, version) {
        (3, _) => (12 * bits / hertz + pad) * 4,
        (1, 0 | 2) => 72 * bits / hertz + pad,
        _ => 144 * bits / hertz + pad,
    };
    let samples = match (layer, version) {
        (3, _) => 384,
        (1, 0 | 2) => 576,
        _ => 1152,
    };
    Some(Head { kind: (version, layer, rate), length, hertz, samples })
}

/// How long a file of so many bytes lasts, in seconds: as many frames as an encoder's summary counts, or else as are in it if all are as long as
/// the first. `bytes` are its first ones.
pub(crate) fn seconds(bytes: &[u8], length: u64) -> Option<f64> {
    let at = first(bytes)?;
    let frame = bytes.get(at..)?;
    let first = head(frame)?;
    let frames = match summary(frame) {
        Some(counted) if counted > 0 => counted as f64,
        _ => length.saturating_sub(at as u64) as f64 / first.length as f64,
    };
    Some(frames * first.samples as f64 / first.hertz as f64)
}

/// Whether frames stand at `at`, so many in a row or up to the end.
fn row(bytes: &[u8], at: usize, kind: Option<(u8, u8, u8)>, count: usize) -> bool {
    let (mut at, mut kind, mut seen) = (at, kind, 0);
    while seen < count {
        match bytes.get(at..).and_then(head) {
            Some(h) if kind.is_none_or(|k| k == h.kind) && at + h.length <= bytes.len() => {
                (at, kind, seen) = (at + h.length, Some(h.kind), seen + 1);
            }
            // The last frame may be cut.
            _ => return seen > 0 && bytes.len().saturating_sub(at) < 4,
        }
    }
    true
}

/// Where the first frame stands, at most [`REACH`] bytes behind the beginning.
pub(super) fn first(bytes: &[u8]) -> Option<usize> {
    let bytes = &bytes[..tail(bytes)];
    // Where it should stand two are enough: the next ones may be broken.
    if row(bytes, 0, None, 2) {
        return Some(0);
    }
    (1..REACH.min(bytes.len())).find(|i| bytes[*i] == 0xff && row(bytes, *i, None, ROW))
}

/// How much stands before the audio: tags of ID3 version 2 and APE, which hold images of any size.
pub(super) fn tags(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let long = match rest {
            [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] if (a | b | c | d) & 0x80 == 0 => {
                let length = [a, b, c, d].iter().fold(0usize, |n, byte| n << 7 | usize::from(**byte));
                10 + length + if flags & 0x10 == 0 { 0 } else { 10 }
            }
            rest if rest.len() >= 32 && rest.starts_with(b"APETAGEX") => 32 + ape(rest),
            _ => return at,
        };
        match at.checked_add(long) {
            Some(next) if next <= bytes.len() => at = next,
            _ => return at,
        }
    }
}

fn ape(tag: &[u8]) -> usize {
    u32::from_le_bytes([tag[12], tag[13], tag[14], tag[15]]) as usize
}

/// Where the tags at the end begin: ID3 version 1, APE, Lyrics3, and a version 2 that is told from its end.
fn tail(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    loop {
        let here = &bytes[..end];
        let last = |n: usize| here.len().checked_sub(n).map(|at| &here[at..]);
        let long = if last(128).is_some_and(|t| t.starts_with(b"TAG")) {
            128
        } else if let Some(tag) = last(32).filter(|t| t.starts_with(b"APETAGEX")) {
            // The length counts this end, and a beginning only where its flag is set.
            ape(tag) + if tag[23] & 0x80 == 0 { 0 } else { 32 }
        } else if let Some(tag) = last(15).filter(|t| t.ends_with(b"LYRICS200")) {
            let digits = std::str::from_utf8(&tag[..6]).ok().and_then(|d| d.parse::<usize>().ok());
            digits.map_or(0, |n| n + 15)
        } else if let Some([b'3', b'D', b'I', _, _, _, a, b, c, d]) = last(10) {
            20 + [a, b, c, d].iter().fold(0usize, |n, byte| n << 7 | usize::from(**byte & 0x7f))
        } else {
            0
        };
        if long == 0 || long > end {
            return end;
        }
        end -= long;
    }
}

/// Frames that belong together: one file of several that were joined.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Frames and nothing else.
    pub(super) bytes: Vec<u8>,
    /// How many.
    pub(super) frames: usize,
    /// Of these, how many are silent because what stood there was broken.
    pub(super) broken: usize,
    /// Length of the last one that holds audio.
    last: usize,
}

/// The frames from `first` on, without what stands between and behind them. Where bytes are broken, silent frames stand for those that
/// were there, so that what follows keeps its time.
pub(super) fn parts(bytes: &[u8], first: usize) -> Vec<Part> {
    let bytes = &bytes[..tail(bytes)];
    let (mut parts, mut part, mut at) = (Vec::new(), Part::default(), first);
    let mut kind = bytes.get(first..).and_then(head).map(|h| h.kind);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let here = head(rest).filter(|h| Some(h.kind) == kind);
        if let Some(frame) =
            here.filter(|h| ends(bytes, at + h.length, h.kind)).and_then(|h| rest.get(..h.length))
        {
            if part.frames > 0 && summary(frame).is_some() {
                parts.push(std::mem::take(&mut part));
            }
            part.push(frame);
            at += frame.len();
            continue;
        }
        let tag = if rest.starts_with(b"TAG") { 128 } else { tags(rest) };
        if here.is_none() && tag > 0 {
            at += tag;
            continue;
        }
        if here.is_none() && row(bytes, at, None, ROW) {
            parts.push(std::mem::take(&mut part));
            kind = head(rest).map(|h| h.kind);
            continue;
        }
        let reach = at.saturating_add(REACH).min(bytes.len());
        let next = (at + 1..reach).find(|i| bytes[*i] == 0xff && row(bytes, *i, kind, 2));
        match (here.and_then(|h| rest.get(..h.length)), next) {
            // It is whole, the next one is not.
            (Some(frame), next) if next.is_none_or(|next| next >= at + frame.len()) => {
                part.push(frame);
                at += frame.len();
            }
            (_, Some(next)) => {
                let like = &bytes[next..];
                // Of the length that frames have here.
                let after = head(like).map_or(24, |h| h.length);
                let usual = if part.last == 0 { after } else { (part.last + after) / 2 };
                for _ in 0..(next - at + usual / 2) / usual {
                    part.push(&silence(like));
                    part.broken += 1;
                }
                at = next;
            }
            // The last frame is cut, or something else follows to the end.
            (_, None) => break,
        }
    }
    parts.push(part);
    parts.retain(|p| p.frames > 0);
    parts.iter_mut().for_each(Part::believe);
    parts
}

impl Part {
    fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.last = if self.frames == 0 && summary(frame).is_some() { 0 } else { frame.len() };
        self.frames += 1;
    }

    /// Leaves out a first frame that counts fewer frames than there are: what it does not count would not be heard.
    fn believe(&mut self) {
        let Some(length) = head(&self.bytes).map(|h| h.length) else { return };
        let promised = self.bytes.get(..length).and_then(summary);
        if promised.is_some_and(|n| n > 0 && n + 2 < self.frames) {
            self.bytes.drain(..length);
            self.frames -= 1;
        }
    }
}

/// How many frames an encoder's summary counts, which is a frame of its own before the others: `Xing`, `Info`, `VBRI`. 0: it does not say.
fn summary(frame: &[u8]) -> Option<usize> {
    let &[_, a, _, d, ..] = frame else { return None };
    let (new, mono, checked) = (a >> 3 & 3 == 3, d >> 6 == 3, a & 1 == 0);
    let side = match (new, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let number = |at: usize| Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?) as usize);
    for at in [4 + side, 4 + side + if checked { 2 } else { 0 }] {
        if matches!(frame.get(at..at + 4), Some(b"Xing" | b"Info")) {
            return Some(if number(at + 4)? & 1 == 1 { number(at + 8)? } else { 0 });
        }
    }
    (frame.get(36..40) == Some(b"VBRI")).then(|| number(50).unwrap_or(0))
}

/// Whether a frame may end here: another follows, or tags, or nothing.
fn ends(bytes: &[u8], end: usize, kind: (u8, u8, u8)) -> bool {
    match bytes.get(end..) {
        Some(rest) if rest.len() >= 4 => {
            head(rest).is_some_and(|h| h.kind == kind) || rest.starts_with(b"TAG") || tags(rest) > 0
        }
        _ => true,
    }
}

/// A frame like the one that `like` begins with, of which nothing is to be heard.
fn silence(like: &[u8]) -> Vec<u8> {
    let mut frame = like.get(..4).unwrap_or_default().to_vec();
    frame.resize(head(like).map_or(4, |h| h.length), 0);
    if let Some(second) = frame.get_mut(1) {
        // Without a checksum.
        *second |= 1;
    }
    frame
}
