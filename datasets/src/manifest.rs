//! The manifest: JSON Lines, one record a line, any modality may be missing.
//!
//! ```json
//! {"id": "cat#fr", "text": ["un chat", "le chat"], "image": "cat.png", "audio": "cat_fr.ogg", "label": "cat", "split": "train", "lang": "fr"}
//! ```
//!
//! A `video` may be a part of its file: `"start": 12.5, "end": "1001/24"`, seconds on the container's clock as a number or an exact
//! fraction, the end not in it.
//!
//! Relative paths are relative to the manifest's folder. Keys that this crate does not know are kept in
//! [`Record::extra`], so a manifest may carry more than training needs.

pub(crate) mod line;
mod lines;
pub(crate) mod write;

pub(crate) use lines::JsonLines;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use unisono_files::Budget;

use crate::source::{self, Source};
use crate::{Error, Record, Result, Skip, plain};
use unisono_files::write_atomic;
use unisono_media::{Blob, address};

/// Longest line accepted, in bytes: a binary file given by mistake fails at once instead of filling memory.
const MAX_LINE: u64 = Budget::LINE.bytes;

/// A manifest in memory, its paths resolved.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The file it came from.
    pub path: PathBuf,
    /// Records in the file's order.
    pub records: Vec<Record>,
}

impl Manifest {
    /// Reads and checks a manifest. Media files are not opened: a missing one is found by whoever decodes it.
    ///
    /// # Errors
    /// [`Error::Files`] when it cannot be read or is no regular file; [`Error::Manifest`], with the line, for broken JSON, a
    /// missing or repeated id, a field of the wrong type, a key that stands twice, an address instead of a path, a record with no modality, or
    /// a file without any record.
    pub fn load(path: &Path) -> Result<Self> {
        address::refuse(path)?;
        let mut reader = BufReader::with_capacity(1 << 20, unisono_files::open(path)?);
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut records = Vec::new();
        let mut first_line_of: HashMap<String, usize> = HashMap::new();
        let mut bytes = Vec::new();
        for line in 1.. {
            let bad = |message: String| Error::Manifest { path: path.to_path_buf(), line, message };
            bytes.clear();
            let read = reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes);
            if read.map_err(Error::io(path, "read"))? == 0 {
                break;
            }
            if bytes.len() as u64 > MAX_LINE {
                return Err(bad(format!(
                    "the line is longer than {MAX_LINE} bytes: is this a JSON Lines file?"
                )));
            }
            let text = plain::utf8(&bytes).map_err(bad)?.trim();
            if text.is_empty() {
                continue;
            }
            let record = line::parse(text, path, folder).map_err(bad)?;
            if let Some(first) = first_line_of.insert(record.id.clone(), line) {
                return Err(bad(format!(
                    "id {} was already used on line {first}: ids must be unique",
                    plain::quoted(&record.id)
                )));
            }
            records.push(record);
        }
        if records.is_empty() {
            let message = "expected one JSON record a line, found no record".into();
            return Err(Error::Manifest { path: path.to_path_buf(), line: 1, message });
        }
        Ok(Self { path: path.to_path_buf(), records })
    }

    /// All records of a source in memory; those that cannot be read are `skipped`.
    pub fn of(source: &dyn Source, skipped: &mut Vec<Skip>) -> Self {
        let read = |index| match source.record(index) {
            Ok(record) => Some(record.into_owned()),
            Err(e) => {
                skipped.push(Skip { id: format!("record {index}"), reason: e.to_string() });
                None
            }
        };
        Self { path: source.path().to_owned(), records: (0..source.len()).filter_map(read).collect() }
    }

    /// The records of one split, in the file's order.
    pub fn split(&self, name: &str) -> Vec<&Record> {
        self.records.iter().filter(|r| r.split.as_deref() == Some(name)).collect()
    }

    /// How many records each split holds; records without one count under the empty name.
    pub fn splits(&self) -> BTreeMap<String, usize> {
        Source::splits(self)
    }

    /// Writes a manifest atomically; paths inside its folder are written relative to it, so the folder can be moved.
    ///
    /// # Errors
    /// [`Error::Files`] when it cannot be written.
    pub fn write(path: &Path, records: &[Record]) -> Result<()> {
        let absolute = std::path::absolute(path).map_err(Error::io(path, "resolve"))?;
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        Ok(write_atomic(path, |out| {
            for record in records {
                serde_json::to_writer(&mut *out, &write::to_json(record, folder)?)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })?)
    }
}

impl Source for Manifest {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.records.len()
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let record = self.records.get(index).ok_or_else(|| source::missing(&self.path, index))?;
        Ok(Cow::Borrowed(record))
    }

    fn key(&self, index: usize) -> source::Key<'_> {
        self.records.get(index).map(Record::part_key).unwrap_or_default()
    }

    fn sum(&self) -> Result<String> {
        let mut sum = Sha256::new();
        self.records.iter().for_each(|record| add(&mut sum, record));
        Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}

/// Each field with its length before it, so that no two records are the same bytes.
fn add(sum: &mut Sha256, r: &Record) {
    let mut field = |parts: &[&[u8]]| {
        sum.update((parts.len() as u64).to_le_bytes());
        for part in parts {
            sum.update((part.len() as u64).to_le_bytes());
            sum.update(part);
        }
    };
    let of = |blob: &Blob| blob.identity().into_owned();
    let span = r.span.to_string();
    let files: [Vec<Vec<u8>>; 3] = [
        r.image.iter().map(of).collect(),
        r.audio.iter().map(of).collect(),
        r.video.iter().map(of).collect(),
    ];
    field(&[r.id.as_bytes(), span.as_bytes()]);
    field(&r.text.iter().map(String::as_bytes).collect::<Vec<_>>());
    for files in &files {
        field(&files.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    for value in [&r.label, &r.group, &r.split, &r.lang] {
        field(&value.iter().map(String::as_bytes).collect::<Vec<_>>());
    }
}

#[cfg(test)]
#[path = "tests/manifest.rs"]
mod tests;

#[cfg(test)]
#[path = "tests/records.rs"]
mod records_tests;
