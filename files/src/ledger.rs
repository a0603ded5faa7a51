//! The record of a long job's work: lines that are only ever appended, each with a sum over itself and all before it, over a head that says what work it
//! is. What was torn when a process ended is cut off; what was changed, by whomever, is refused.
//!
//! ```text
//! {"unisono":"embed","version":2,"work":"5f2a…"}
//! 9c41… {"done":1024,…}
//! 07be… {"done":2048,…}
//! ```
//!
//! Nothing of the lines is held: a record of any length costs memory for one.

use crate::{Budget, Error, Result, open_own};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The version of the lines. Another one's work is not taken up.
const VERSION: u32 = 2;
/// How a file of ours begins.
const MARK: &str = "{\"unisono\":\"";
/// Letters of a sum.
const SUM: usize = 32;
/// What to do about a file that cannot be believed.
pub const DAMAGED: &str = "is damaged; give --fresh to begin anew";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The kind of work.
    unisono: String,
    version: u32,
    /// A sum over everything that changes what comes out.
    work: String,
}

/// What whoever opens a record thinks of an entry that its sum vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It still holds.
    Keep,
    /// What it was made of has changed: it goes, and all after it.
    Redo,
    /// No job has written it.
    Damaged,
}

/// An open record. Dropped without an entry in it, it vanishes: nothing was kept.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    /// Where its last line ends.
    end: u64,
    /// The sum up to there.
    sum: String,
    entries: usize,
}

impl Ledger {
    /// Opens the record of the work `work`, or begins it. `look` sees one entry after another, from the first on, until it wants no more.
    ///
    /// # Errors
    /// A file that is not ours or no regular one, other work, damage.
    pub fn open<T: DeserializeOwned>(
        path: &Path,
        kind: &str,
        work: &str,
        look: &mut dyn FnMut(T) -> Result<Verdict>,
    ) -> Result<Self> {
        let head = Head { unisono: kind.to_owned(), version: VERSION, work: work.to_owned() };
        let expected = to_line(path, &head)?;
        let mut file = open_own(path)?;
        file.seek(SeekFrom::Start(0)).map_err(Error::io(path, "read"))?;
        let mut reader = BufReader::new(file);
        let first = next(&mut reader, path)?;
        let Some(first) = first.whole else {
            // Empty, or a head that was torn as it was written.
            if !expected.as_bytes().starts_with(&first.torn) {
                return Err(Error::format(path, "is not the work of this command; move it away"));
            }
            let file = reader.into_inner();
            let mut ledger = Self { path: path.to_owned(), file, end: 0, sum: String::new(), entries: 0 };
            ledger.cut()?;
            ledger.push(&expected, chained("", &expected))?;
            return Ok(ledger);
        };
        if first != expected {
            return Err(Error::format(path, other(&first, &head)));
        }
        let (mut end, mut sum, mut entries) = (first.len() as u64, chained("", &expected), 0);
        while let Some(line) = next(&mut reader, path)?.whole {
            let damaged = || Error::format(path, format!("line {} {DAMAGED}", entries + 2));
            let (own, json) = line.split_once(' ').ok_or_else(damaged)?;
            if own != chained(&sum, json) {
                return Err(damaged());
            }
            match look(serde_json::from_str(json).map_err(|_| damaged())?)? {
                Verdict::Keep => {}
                Verdict::Redo => break,
                Verdict::Damaged => return Err(damaged()),
            }
            own.clone_into(&mut sum);
            (end, entries) = (end + line.len() as u64, entries + 1);
        }
        let ledger = Self { path: path.to_owned(), file: reader.into_inner(), end, sum, entries };
        // A line that was not finished goes, and what is to be done again.
        ledger.cut()?;
        Ok(ledger)
    }

    /// Appends an entry; when this returns it is on the disk.
    ///
    /// # Errors
    /// No space.
    pub fn append<T: Serialize>(&mut self, entry: &T) -> Result<()> {
        let json = to_line(&self.path, entry)?;
        let sum = chained(&self.sum, &json);
        self.push(&format!("{sum} {json}"), sum)?;
        self.entries += 1;
        Ok(())
    }

    fn push(&mut self, line: &str, sum: String) -> Result<()> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(Error::io(&self.path, "write"))?;
        (self.end, self.sum) = (self.end + line.len() as u64, sum);
        Ok(())
    }

    fn cut(&self) -> Result<()> {
        self.file.set_len(self.end).map_err(Error::io(&self.path, "write"))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.entries == 0 {
            // It may be gone already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A sum over bytes, as records write it: the first 128 bits of SHA-256, in 32 letters.
#[derive(Debug, Clone, Default)]
pub struct Sum(Sha256);

impl Sum {
    /// Of these bytes alone.
    pub fn of(bytes: &[u8]) -> String {
        Self::default().and(bytes).letters()
    }

    /// Goes on with more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// [`update`](Self::update), in a chain.
    #[must_use]
    pub fn and(mut self, bytes: &[u8]) -> Self {
        self.update(bytes);
        self
    }

    /// Goes on with a part whose end shows: no two lists of parts have one sum.
    pub fn part(&mut self, part: &[u8]) {
        self.update(&(part.len() as u64).to_le_bytes());
        self.update(part);
    }

    /// The letters.
    pub fn letters(self) -> String {
        hex(&self.0.finalize()[..SUM / 2])
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn to_line<T: Serialize>(path: &Path, value: &T) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(|e| Error::format(path, format!("JSON: {e}")))? + "\n")
}

fn chained(before: &str, text: &str) -> String {
    Sum::default().and(before.as_bytes()).and(text.as_bytes()).letters()
}

/// A record of the work `work` of a kind, whose entries are these lines: what a fuzzer needs to be believed.
#[doc(hidden)]
pub fn signed(kind: &str, work: &str, lines: &str) -> String {
    let head = Head { unisono: kind.to_owned(), version: VERSION, work: work.to_owned() };
    let mut text = to_line(Path::new(kind), &head).unwrap_or_default();
    let mut before = chained("", &text);
    for line in lines.lines() {
        before = chained(&before, &format!("{line}\n"));
        text += &format!("{before} {line}\n");
    }
    text
}

/// Why a head is not the expected one.
fn other(first: &str, expected: &Head) -> &'static str {
    match serde_json::from_str::<Head>(first) {
        Ok(found) if found.version != VERSION => "holds the work of another version of unisono; give --fresh",
        Ok(found) if found.unisono == expected.unisono => {
            "holds the work of another command (other inputs, model or options); run that one, or give --fresh"
        }
        Ok(_) => "holds the work of another kind of command; run that one, or give --fresh",
        Err(_) if first.starts_with(MARK) => "is not the work of this command, or damaged; give --fresh",
        Err(_) => "is not the work of this command; move it away",
    }
}

struct Line {
    /// With its end; none: there is no more.
    whole: Option<String>,
    torn: Vec<u8>,
}

fn next(reader: &mut BufReader<File>, path: &Path) -> Result<Line> {
    let mut bytes = Vec::new();
    let mut limited = reader.take(Budget::LINE.bytes);
    limited.read_until(b'\n', &mut bytes).map_err(Error::io(path, "read"))?;
    if bytes.len() as u64 == Budget::LINE.bytes {
        return Err(Error::format(path, DAMAGED));
    }
    if bytes.last() != Some(&b'\n') {
        return Ok(Line { whole: None, torn: bytes });
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::format(path, DAMAGED))?;
    Ok(Line { whole: Some(text), torn: Vec::new() })
}

#[cfg(test)]
#[path = "tests/ledger.rs"]
mod tests;
