//! Text that was decoded in a wrong encoding, read back: the rules of ftfy 6 (Robyn Speer, Apache-2.0), which OpenCLIP's texts went
//! through. What it knows of characters is data, `encoders/data/mojibake.json`, written by `fixtures/mojibake.py`.

use regex::bytes::Regex as Bytes;
use regex::{Captures, Regex};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The byte that stands for a character that was lost, U+FFFD.
const LOST: u8 = 0x1a;

#[derive(Deserialize)]
struct Data {
    pages: Vec<(String, String)>,
    bad: String,
    clues: HashMap<String, String>,
}

/// A single-byte encoding.
struct Page {
    name: String,
    bytes: HashMap<char, u8>,
}

impl Page {
    /// Pages that browsers fill: bytes that they leave empty are those of Latin-1, and what was lost has a byte.
    fn is_filled(&self) -> bool {
        self.name.starts_with("windows")
    }

    fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let byte = |c: char| match c {
            '\u{fffd}' if self.is_filled() => Some(LOST),
            '\u{1a}' if self.is_filled() => None,
            '\0'..='\u{7f}' => Some(c as u8),
            _ => self.bytes.get(&c).copied(),
        };
        text.chars().map(byte).collect()
    }
}

/// Every expression and table, compiled once.
pub(super) struct Mojibake {
    pages: Vec<Page>,
    windows_1252: Vec<char>,
    bad: Regex,
    /// A run of characters that look like UTF-8 sequences, from its start.
    run: Regex,
    /// A character that continues such a sequence.
    continuation: Regex,
    /// UTF-8 whose byte A0 became a space.
    altered: Bytes,
    /// UTF-8 with lost bytes.
    lossy: Bytes,
    /// Surrogates written one by one, and Java's zero.
    variant: Bytes,
}

impl Mojibake {
    /// The one instance; `None` only if the data did not fit the code, which a test excludes.
    pub(super) fn get() -> Option<&'static Self> {
        static ONE: OnceLock<Option<Mojibake>> = OnceLock::new();
        ONE.get_or_init(Self::build).as_ref()
    }

    fn build() -> Option<Self> {
        let data: Data = serde_json::from_str(include_str!("../../../data/mojibake.json")).ok()?;
        let pages = data.pages.iter().map(|(name, chars)| {
            let bytes = chars.chars().zip(0x80..=0xff).collect();
            Page { name: name.clone(), bytes }
        });
        let windows_1252 = data.pages.iter().find(|(n, _)| n == "windows-1252")?.1.chars().collect();
        let clue = |name: &str| data.clues.get(name).map(|c| format!("[{c}]"));
        let more = clue("utf8_continuation")?;
        let [two, three, four] =
            [clue("utf8_first_of_2")?, clue("utf8_first_of_3")?, clue("utf8_first_of_4")?];
        let run = format!("^(?:{two}{more}|{three}{more}{{2}}|{four}{more}{{3}})+");
        let altered = r"(?-u)[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] |\xf0 [\x80-\xbf]{2}|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf]{2} ";
        let lossy = r"(?-u)[\xc2-\xdf]\x1a|[\xc2-\xc3]\?|\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]|\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]|[\xe0-\xef][\x1a?][\x1a\x80-\xbf]|[\xe0-\xef][\x1a\x80-\xbf][\x1a?]|[\xf0-\xf4][\x1a?][\x1a\x80-\xbf]{2}|[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]|[\xf0-\xf4][\x1a\x80-\xbf]{2}[\x1a?]|\x1a";
        let variant = r"(?-u)\xc0\x80|\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]";
        Some(Self {
            pages: pages.collect(),
            windows_1252,
            bad: Regex::new(&data.bad).ok()?,
            run: Regex::new(&run).ok()?,
            continuation: Regex::new(&clue("utf8_continuation_strict")?).ok()?,
            altered: Bytes::new(altered).ok()?,
            lossy: Bytes::new(lossy).ok()?,
            variant: Bytes::new(variant).ok()?,
        })
    }

    /// The text as it was meant, as often as it was misread.
    pub(super) fn repair<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        while let Some(better) = self.step(&text) {
            if better == text {
                break;
            }
            text = Cow::Owned(better);
        }
        text
    }

    fn step(&self, text: &str) -> Option<String> {
        if text.is_ascii() || !self.bad.is_match(text) {
            return None;
        }
        let mut latin_1 = None;
        for page in &self.pages {
            let Some(bytes) = page.encode(text) else { continue };
            if let Some(read) = self.read(page, &bytes) {
                return Some(read);
            }
            if page.name == "latin-1" {
                latin_1 = Some(bytes);
            }
        }
        let parts = self.parts(text);
        if parts != text {
            return Some(parts);
        }
        // Latin-1 that was meant to be Windows-1252: its control characters are nobody's.
        let read = |b: &u8| match b {
            0x81 | 0x8d | 0x8f | 0x90 | 0x9d => None,
            0..=0x7f => Some(char::from(*b)),
            _ => self.windows_1252.get(usize::from(b - 0x80)).copied(),
        };
        if let Some(better) = latin_1.and_then(|bytes| bytes.iter().map(read).collect::<Option<String>>())
            && better != text
        {
            return Some(better);
        }
        let better = |c: char| match c {
            '\u{80}'..='\u{9f}' => self.windows_1252.get(c as usize - 0x80).copied().unwrap_or(c),
            c => c,
        };
        Some(text.chars().map(better).collect())
    }

    /// Bytes as UTF-8, mended where a space or a substitute took a byte's place.
    fn read(&self, page: &Page, bytes: &[u8]) -> Option<String> {
        let mut bytes = Cow::Borrowed(bytes);
        // In Mac OS Roman those bytes are a dash and a space.
        if page.name != "macroman" && self.altered.is_match(&bytes) {
            let words = a_grave(&bytes);
            let restore = |found: &regex::bytes::Captures| -> Vec<u8> {
                found[0].iter().map(|b| if *b == b' ' { 0xa0 } else { *b }).collect()
            };
            bytes = Cow::Owned(self.altered.replace_all(&words, restore).into_owned());
        }
        if page.is_filled() {
            bytes = Cow::Owned(self.lossy.replace_all(&bytes, "\u{fffd}".as_bytes()).into_owned());
        }
        let mut text = String::new();
        let mut at = 0;
        for found in self.variant.find_iter(&bytes) {
            text.push_str(std::str::from_utf8(&bytes[at..found.start()]).ok()?);
            text.push(match *found.as_bytes() {
                [_, a, b, _, c, d] => char::from_u32(
                    0x10000
                        + (u32::from(a & 0x0f) << 16)
                        + (u32::from(b & 0x3f) << 10)
                        + (u32::from(c & 0x0f) << 6)
                        + u32::from(d & 0x3f),
                )?,
                _ => '\0',
            });
            at = found.end();
        }
        text.push_str(std::str::from_utf8(&bytes[at..]).ok()?);
        Some(text)
    }

    /// Repairs the runs inside a text that was not misread as a whole.
    fn parts(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut before = None;
        let mut rest = text;
        let mut one = [0; 4];
        while let Some(c) = rest.chars().next() {
            let inside = before.is_some_and(|b: char| self.continuation.is_match(b.encode_utf8(&mut one)));
            let run = if inside || c.is_ascii() { None } else { self.run.find(rest) };
            let n = run.map_or(c.len_utf8(), |r| r.end());
            let (part, after) = rest.split_at(n);
            // Only what is shorter than the whole, so that this ends.
            if run.is_some() && n < text.len() && self.bad.is_match(part) {
                out.push_str(&self.repair(part));
            } else {
                out.push_str(part);
            }
            before = part.chars().next_back();
            rest = after;
        }
        out
    }
}

/// Puts back the byte A0 of "à" before a space, but for the beginnings of Portuguese words that are more often "à" without one.
fn a_grave(bytes: &[u8]) -> Vec<u8> {
    const JOINED: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        out.push(*first);
        if *first == 0xc3
            && let Some(word) = after.strip_prefix(b" ")
            && !JOINED.iter().any(|j| word.starts_with(j))
        {
            out.extend([0xa0, b' ']);
            rest = word;
            continue;
        }
        rest = after;
    }
    out
}

/// Removes the escapes that colour a terminal.
pub(super) fn without_escapes(text: &str) -> Cow<'_, str> {
    static ESCAPE: OnceLock<Option<Regex>> = OnceLock::new();
    match ESCAPE.get_or_init(|| Regex::new(r"\x1b\[[\d;]*[a-zA-Z]").ok()) {
        Some(escape) if text.contains('\u{1b}') => escape.replace_all(text, |_: &Captures| ""),
        _ => Cow::Borrowed(text),
    }
}
