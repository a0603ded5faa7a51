//! SentencePiece's model files: a protocol buffer of pieces with scores, the trainer's settings and a normaliser. Only the fields
//! that tokenising needs are read; the wire format is three rules, so no code is generated.

use crate::{Error, Result};
use std::path::Path;

/// What tokenising needs of a model file.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Pieces and their scores, by id.
    pub pieces: Vec<(String, f64)>,
    pub unknown: usize,
    pub byte_fallback: bool,
    pub charsmap: Option<Vec<u8>>,
    unigram: bool,
}

/// A field of a message.
enum Field<'a> {
    Int(u64),
    Bytes(&'a [u8]),
    Float(f32),
}

struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn varint(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(first & 0x7f).checked_shl(shift)?;
            if first & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(part)
    }

    /// The next field's number and value; `None` when it is broken.
    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Int(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Int(0)
            }
            2 => {
                let n = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(n)?)
            }
            5 => Field::Float(f32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

/// Reads a model file.
///
/// # Errors
/// Not there, broken, or no unigram model.
pub(crate) fn read(path: &Path) -> Result<Model> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let model = parse(&bytes).filter(|m| !m.pieces.is_empty()).ok_or_else(|| {
        Error::format(path, format!("{} bytes that are no SentencePiece model", bytes.len()))
    })?;
    if !model.unigram {
        return Err(Error::format(
            path,
            "a byte-pair SentencePiece model; expected a unigram one. Save it as tokenizer.json where Python runs: \
             AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
        ));
    }
    Ok(model)
}

/// SentencePiece's normaliser: at each place the longest key of a double-array trie (Aoe 1989) is replaced by its value. (The
/// `tokenizers` crate looks keys up a cluster of combining marks at a time and loses marks.)
#[derive(Debug, Clone)]
pub(crate) struct Charsmap {
    trie: Vec<u32>,
    values: Vec<u8>,
}

impl Charsmap {
    /// From the bytes in a model file; `None` when they are broken.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (trie, values) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let trie = trie.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        Some(Self { trie, values: values.to_vec() })
    }

    /// The normalised text, single spaces, none at its ends.
    pub fn normalize(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match self.longest(rest.as_bytes()) {
                Some((n, value)) if rest.is_char_boundary(n) => {
                    let value = &self.values[value.min(self.values.len())..];
                    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
                    out.push_str(&String::from_utf8_lossy(&value[..end]));
                    rest = &rest[n..];
                }
                _ => {
                    out.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        out.split(' ').filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Length of the longest key that `text` begins with, and where its value stands.
    fn longest(&self, text: &[u8]) -> Option<(usize, usize)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut at = offset(*self.trie.first()?);
        let mut found = None;
        for (i, byte) in text.iter().enumerate() {
            at ^= usize::from(*byte);
            let Some(unit) = self.trie.get(at).copied() else { break };
            if unit & ((1 << 31) | 0xff) != u32::from(*byte) {
                break;
            }
            at ^= offset(unit);
            if (unit >> 8) & 1 == 1 {
                let Some(leaf) = self.trie.get(at) else { break };
                found = Some((i + 1, (leaf & 0x7fff_ffff) as usize));
            }
        }
        found
    }
}

fn parse(bytes: &[u8]) -> Option<Model> {
    let mut model = Model { unigram: true, ..Model::default() };
    let mut message = Message(bytes);
    while !message.0.is_empty() {
        match message.next()? {
            (1, Field::Bytes(piece)) => {
                let (mut text, mut score, mut kind) = (String::new(), 0.0, 1);
                let mut fields = Message(piece);
                while !fields.0.is_empty() {
                    match fields.next()? {
                        (1, Field::Bytes(b)) => text = String::from_utf8(b.to_vec()).ok()?,
                        (2, Field::Float(f)) => score = f64::from(f),
                        (3, Field::Int(i)) => kind = i,
                        _ => {}
                    }
                }
                if kind == 2 {
                    model.unknown = model.pieces.len();
                }
                model.pieces.push((text, score));
            }
            (2, Field::Bytes(trainer)) => {
                let mut fields = Message(trainer);
                while !fields.0.is_empty() {
                    match fields.next()? {
                        (3, Field::Int(i)) => model.unigram = i == 1,
                        (35, Field::Int(i)) => model.byte_fallback = i != 0,
                        _ => {}
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                let mut fields = Message(normalizer);
                while !fields.0.is_empty() {
                    if let (2, Field::Bytes(map)) = fields.next()? {
                        model.charsmap = Some(map.to_vec());
                    }
                }
            }
            _ => {}
        }
    }
    Some(model)
}
