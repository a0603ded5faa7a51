//! The record of a long job's work: lines that are only ever appended, each with a sum over itself and all before it, over a head that says what work it
//! is. What was torn when a process ended is cut off; what was changed, by whomever, is refused.
//!
//! ```text
//! {"unisono":"embed","version":1,"work":"5f2a…"}
//! 9c41… {"done":1024,…}
//! 07be… {"done":2048,…}
//! ```

use crate::identity::hex;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use unisono_files::{Budget, open_own};

/// The version of the lines. Another one's work is not taken up.
const VERSION: u32 = 1;
/// How a file of ours begins.
const MARK: &str = "{\"unisono\":\"";
/// Letters of a line's sum.
const SUM: usize = 32;
/// What to do about a file that cannot be believed.
pub(crate) const DAMAGED: &str = "is damaged; give --fresh to begin anew";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The kind of work.
    unisono: String,
    version: u32,
    /// A sum over everything that changes what comes out.
    work: String,
}

/// An open record. Dropped without a line in it, it vanishes: nothing was kept.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    /// Where the head and each line end, and the sum up to there.
    marks: Vec<(u64, String)>,
}

impl Ledger {
    /// Opens the record of the work `work`, or begins it; the entries that it holds, `most` at most.
    ///
    /// # Errors
    /// A file that is not ours or no regular one, other work, damage.
    pub(crate) fn open<T: DeserializeOwned>(
        path: &Path,
        kind: &str,
        work: &str,
        most: usize,
    ) -> Result<(Self, Vec<T>)> {
        let head = Head { unisono: kind.to_owned(), version: VERSION, work: work.to_owned() };
        let expected = to_line(&head)?;
        let mut file = open_own(path)?;
        file.seek(SeekFrom::Start(0)).map_err(Error::io(path, "read"))?;
        let mut reader = BufReader::new(file);
        let found = next(&mut reader, path)?;
        let file_of = BufReader::into_inner;
        let Some(first) = found.whole else {
            // Empty, or a head that was torn as it was written.
            if !expected.as_bytes().starts_with(&found.torn) {
                return Err(Error::format(path, "is not the work of this command; move it away"));
            }
            let mut ledger = Self { path: path.to_owned(), file: file_of(reader), marks: Vec::new() };
            ledger.file.set_len(0).map_err(Error::io(path, "write"))?;
            ledger.push(vec![(expected.clone(), sum("", &expected))])?;
            return Ok((ledger, Vec::new()));
        };
        if first != expected {
            return Err(Error::format(path, other(&first, &head)));
        }
        let mut marks = vec![(first.len() as u64, sum("", &expected))];
        let mut entries = Vec::new();
        while let Some(line) = next(&mut reader, path)?.whole {
            let damaged = || Error::format(path, format!("line {} {DAMAGED}", entries.len() + 2));
            let (end, before) = marks.last().map_or((0, ""), |(end, sum)| (*end, sum.as_str()));
            let (own, json) = line.split_once(' ').ok_or_else(damaged)?;
            if own != sum(before, json) || entries.len() == most {
                return Err(damaged());
            }
            let entry: T = serde_json::from_str(json).map_err(|_| damaged())?;
            marks.push((end + line.len() as u64, own.to_owned()));
            entries.push(entry);
        }
        let mut ledger = Self { path: path.to_owned(), file: file_of(reader), marks };
        // A line that was not finished goes.
        ledger.cut(entries.len())?;
        Ok((ledger, entries))
    }

    /// Appends entries; when this returns they are on the disk.
    ///
    /// # Errors
    /// No space.
    pub(crate) fn append<T: Serialize>(&mut self, entries: &[T]) -> Result<()> {
        let mut lines = Vec::with_capacity(entries.len());
        let mut before = self.marks.last().map_or_else(String::new, |(_, sum)| sum.clone());
        for entry in entries {
            let json = to_line(entry)?;
            before = sum(&before, &json);
            lines.push((format!("{before} {json}"), before.clone()));
        }
        self.push(lines)
    }

    /// Forgets all entries but the first `keep`.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn cut(&mut self, keep: usize) -> Result<()> {
        self.marks.truncate(keep + 1);
        let end = self.marks.last().map_or(0, |(end, _)| *end);
        self.file.set_len(end).map_err(Error::io(&self.path, "write"))
    }

    /// Removes the file: the work is done.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(Error::io(&self.path, "remove"))
    }

    fn push(&mut self, lines: Vec<(String, String)>) -> Result<()> {
        let text: String = lines.iter().map(|(line, _)| line.as_str()).collect();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(Error::io(&self.path, "write"))?;
        let mut end = self.marks.last().map_or(0, |(end, _)| *end);
        for (line, sum) in lines {
            end += line.len() as u64;
            self.marks.push((end, sum));
        }
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.marks.len() <= 1 {
            // It may be gone already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the record at `path`, if it is one of ours.
///
/// # Errors
/// Something else stands there.
pub(crate) fn forget(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let mut file = open_own(path)?;
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(Error::io(path, "read"))?;
    file.take(MARK.len() as u64).read_to_end(&mut start).map_err(Error::io(path, "read"))?;
    // The second is how such files began before they had sums.
    if !start.starts_with(MARK.as_bytes()) && !start.starts_with(b"{\"work\":") && !start.is_empty() {
        return Err(Error::format(path, "is not the work of this program and is left alone; move it away"));
    }
    fs::remove_file(path).map_err(Error::io(path, "remove"))
}

/// Length and time of a file, as a job's record remembers it: a file that changed is done again. Empty where there is no such file.
pub(crate) fn stamp(path: &Path) -> String {
    let Ok(meta) = fs::metadata(path) else { return String::new() };
    let time = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{}@{}.{:09}", meta.len(), time.as_secs(), time.subsec_nanos())
}

fn to_line<T: Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(|e| Error::Input(format!("JSON: {e}")))? + "\n")
}

fn sum(before: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(before.as_bytes());
    hash.update(text.as_bytes());
    let mut sum = hex(&hash.finalize());
    sum.truncate(SUM);
    sum
}

/// A record of the work `work` of a kind, whose entries are these lines.
pub(crate) fn signed(kind: &str, work: &str, lines: &str) -> String {
    let head = Head { unisono: kind.to_owned(), version: VERSION, work: work.to_owned() };
    let mut text = to_line(&head).unwrap_or_default();
    let mut before = sum("", &text);
    for line in lines.lines() {
        before = sum(&before, &format!("{line}\n"));
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
        Err(_) if first.starts_with(MARK) || first.starts_with("{\"work\":") => {
            "is not the work of this command, or damaged; give --fresh"
        }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(path: &Path, work: &str) -> Result<(Ledger, Vec<usize>)> {
        Ledger::open(path, "count", work, 4)
    }

    /// Three entries, the last one torn off.
    fn three(path: &Path) -> Vec<u8> {
        let (mut ledger, none) = open(path, "w").unwrap();
        assert!(none.is_empty());
        ledger.append(&[10usize, 20]).unwrap();
        ledger.append(&[30usize]).unwrap();
        drop(ledger);
        fs::read(path).unwrap()
    }

    #[test]
    fn entries_come_back_and_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let whole = three(&path);
        fs::write(&path, [&whole[..], b"0123 {\"to"].concat()).unwrap();
        let (mut ledger, found) = open(&path, "w").unwrap();
        assert_eq!(found, [10, 20, 30]);
        assert_eq!(fs::read(&path).unwrap(), whole);
        ledger.cut(1).unwrap();
        ledger.append(&[20usize, 30]).unwrap();
        drop(ledger);
        assert_eq!(fs::read(&path).unwrap(), whole, "as if it had never been cut");
        open(&path, "w").unwrap().0.remove().unwrap();
        assert!(!path.exists());
        // Nothing was kept.
        drop(open(&path, "w").unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn other_work_is_told_from_damage_and_from_strangers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        three(&path);
        let said = open(&path, "other").unwrap_err().to_string();
        assert!(said.contains("another command (other inputs, model or options)"), "{said}");
        let said = Ledger::open::<usize>(&path, "caption", "w", 9).unwrap_err().to_string();
        assert!(said.contains("another kind of command"), "{said}");
        let said = Ledger::open::<usize>(&path, "count", "w", 2).unwrap_err().to_string();
        assert!(said.contains("line 4 is damaged; give --fresh"), "{said}");
        forget(&path).unwrap();
        forget(&path).unwrap();
        fs::write(&path, "a user's\n").unwrap();
        for said in [open(&path, "w").unwrap_err(), forget(&path).unwrap_err()] {
            assert!(said.to_string().ends_with("move it away"), "{said}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"a user's\n");
    }

    proptest! {
        #[test]
        fn nothing_that_was_changed_is_believed(at in 0usize..200, cut in any::<bool>(), byte in any::<u8>()) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ledger");
            let mut bytes = three(&path);
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            fs::write(&path, &bytes).unwrap();
            match open(&path, "w") {
                // What is found was written, from the first on.
                Ok((_, found)) => prop_assert!([10, 20, 30].starts_with(&found), "{found:?}"),
                Err(e) => prop_assert!(!e.to_string().contains('\n') && e.to_string().contains("ledger: "), "{e}"),
            }
        }
    }
}
