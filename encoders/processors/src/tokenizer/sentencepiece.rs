//! SentencePiece's model files: a protocol buffer of pieces with scores, the trainer's settings and a normaliser. Only the fields
//! that tokenising needs are read; the wire format is three rules, so no code is generated.

use crate::{Error, Result};
use std::path::Path;
use unisono_files::{Budget, Left};

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

/// Reads a model file of these `bytes`.
///
/// # Errors
/// Broken, too large, or no unigram model.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Model> {
    let mut left = Budget::VOCABULARY.of(path);
    let model = parse(bytes, &mut left)?.filter(|m| !m.pieces.is_empty()).ok_or_else(|| {
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

/// `None` when it is broken.
fn parse(bytes: &[u8], left: &mut Left) -> Result<Option<Model>> {
    let mut model = Model { unigram: true, ..Model::default() };
    let mut message = Message(bytes);
    while !message.0.is_empty() {
        left.values(1)?;
        let (number, bytes) = match message.next() {
            Some((number @ 1..=3, Field::Bytes(bytes))) => (number, bytes),
            Some(_) => continue,
            None => return Ok(None),
        };
        let mut fields = Message(bytes);
        let (mut piece, mut score, mut kind) = ("", 0.0, 1);
        while !fields.0.is_empty() {
            left.values(1)?;
            let Some(field) = fields.next() else { return Ok(None) };
            match (number, field) {
                (1, (1, Field::Bytes(text))) => match std::str::from_utf8(text) {
                    Ok(text) => piece = text,
                    Err(_) => return Ok(None),
                },
                (1, (2, Field::Float(f))) => score = f64::from(f),
                (1, (3, Field::Int(i))) => kind = i,
                (2, (3, Field::Int(i))) => model.unigram = i == 1,
                (2, (35, Field::Int(i))) => model.byte_fallback = i != 0,
                (3, (2, Field::Bytes(map))) => model.charsmap = Some(map.to_vec()),
                _ => {}
            }
        }
        if number == 1 {
            if kind == 2 {
                model.unknown = model.pieces.len();
            }
            model.pieces.push((piece.to_owned(), score));
        }
    }
    Ok(Some(model))
}
