//! Records in memory as the lines that a manifest would have of them: a hundred to a few hundred bytes each, where a [`Record`] with its
//! answers takes thousands.

use super::files::Parsed;
use crate::manifest::{line, write};
use crate::plain::quoted;
use crate::source::{self, Key, Source};
use crate::{Error, Record, Result};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A data set in memory.
#[derive(Debug)]
struct Packed {
    path: PathBuf,
    /// What the paths in the lines are relative to.
    media: PathBuf,
    lines: String,
    /// Where each line ends, its split (from 1; 0: none) and what it has.
    ends: Vec<(usize, u16, u8)>,
    splits: Vec<String>,
    notes: Vec<String>,
}

/// What becomes one.
pub(super) struct Packing {
    packed: Packed,
    absolute: PathBuf,
    ids: HashSet<Box<str>>,
}

impl Packing {
    /// Of records whose media lie below a folder.
    ///
    /// # Errors
    /// There is no working directory.
    pub fn new(path: &Path, media: &Path) -> Result<Self> {
        let here = if media.as_os_str().is_empty() { Path::new(".") } else { media };
        let absolute = std::path::absolute(here).map_err(Error::io(here, "resolve"))?;
        let packed = Packed {
            path: path.into(),
            media: media.into(),
            lines: String::new(),
            ends: Vec::new(),
            splits: Vec::new(),
            notes: Vec::new(),
        };
        Ok(Self { packed, absolute, ids: HashSet::new() })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// Its id was used, or a path of it is not UTF-8.
    pub fn push(&mut self, record: &Record) -> Parsed<()> {
        let Packed { lines, ends, splits, .. } = &mut self.packed;
        if !self.ids.insert(record.id.as_str().into()) {
            return Err(format!("{} was already used: ids must be unique", quoted(&record.id)));
        }
        let value = write::to_json(record, &self.absolute).map_err(|e| e.to_string())?;
        lines.push_str(&value.to_string());
        let split = match &record.split {
            None => 0,
            Some(split) => match splits.iter().position(|s| s == split) {
                Some(at) => at + 1,
                None => {
                    splits.push(split.clone());
                    splits.len()
                }
            },
        };
        let split = u16::try_from(split).map_err(|_| "expected at most 65535 splits".to_owned())?;
        let key = record.part_key();
        // Blank captions are none when the line is read.
        let text = record.text.iter().any(|text| !text.trim().is_empty());
        let has = [text, key.image, key.audio, key.video];
        let has = has.iter().enumerate().fold(0, |bits, (at, has)| bits | (u8::from(*has) << at));
        ends.push((lines.len(), split, has));
        Ok(())
    }

    /// What should be known of it.
    pub fn note(&mut self, note: String) {
        self.packed.notes.push(note);
    }

    /// The source.
    ///
    /// # Errors
    /// No record was added; `none` says what was expected.
    pub fn source(mut self, none: &str) -> Result<Arc<dyn Source>> {
        if self.packed.ends.is_empty() {
            return Err(Error::archive(&self.packed.path, none));
        }
        self.packed.lines.shrink_to_fit();
        Ok(Arc::new(self.packed))
    }
}

impl Source for Packed {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let begin = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| end.0);
        let end = self.ends.get(index).ok_or_else(|| source::missing(&self.path, index))?.0;
        let text = self.lines.get(begin..end).unwrap_or_default();
        let record = line::parse(text, &self.path, &self.media);
        record.map(Cow::Owned).map_err(|message| Error::archive(&self.path, message))
    }

    fn key(&self, index: usize) -> Key<'_> {
        let Some((_, split, has)) = self.ends.get(index) else { return Key::default() };
        let split = usize::from(*split).checked_sub(1).and_then(|at| self.splits.get(at));
        let has = |at: u8| (has >> at) & 1 == 1;
        Key {
            split: split.map(String::as_str),
            lang: None,
            text: has(0),
            image: has(1),
            audio: has(2),
            video: has(3),
        }
    }

    /// SHA-256 over the records, media by their names in their folder.
    fn sum(&self) -> Result<String> {
        let mut sum = Sha256::new();
        for (end, ..) in &self.ends {
            sum.update((*end as u64).to_le_bytes());
        }
        sum.update(&self.lines);
        Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}
