//! From a text file to its entries, in one go over the file.

use super::LONGEST;
use super::entry::{Entry, Words};
use super::form::Form;
use super::unique::Ids;
use crate::{Error, Result};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::hash::RandomState;
use std::io::Read;
use std::path::Path;

/// Read at a time, and held while its records are read by all threads.
const CHUNK: u64 = 8 << 20;

/// What was seen in a file beside its entries.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub len: u64,
    pub splits: Words,
    pub langs: Words,
    /// SHA-256 over the file's bytes.
    pub sum: String,
    pub ids: Ids,
    /// The first record that is broken, where broken ones are passed over, and how many are good.
    pub broken: Option<(u64, String)>,
    pub good: u64,
}

/// Bytes that should be a record.
struct Cut {
    start: usize,
    end: usize,
    line: u64,
}

/// What they are.
struct Found {
    id: String,
    sum: u64,
    split: Option<String>,
    lang: Option<String>,
    has: u8,
    wrong: Option<String>,
}

/// Hands out the entries in their order.
///
/// # Errors
/// The file cannot be read, a record has no end, or is broken where that matters for all.
pub(super) fn scan(
    file: &File,
    path: &Path,
    form: &dyn Form,
    mut put: impl FnMut(&Entry) -> Result<()>,
) -> Result<Seen> {
    let bad =
        |line: u64, message: String| Error::Manifest { path: path.into(), line: line as usize, message };
    let mut seen = Seen::default();
    let mut total = Sha256::new();
    let (mut buffer, mut offset, mut line) = (Vec::new(), 0_u64, 1_u64);
    let (mut head, lines) = form.head();
    // With neighbours that join, the one that the next may belong to.
    let mut waiting: Option<(String, Entry)> = None;
    let key = seen.ids.key();
    let mut file = file;
    loop {
        let had = buffer.len();
        let read = file.by_ref().take(CHUNK).read_to_end(&mut buffer).map_err(Error::io(path, "read"))?;
        let last = (read as u64) < CHUNK;
        let mut at = 0;
        if head > 0 {
            at = head.min(buffer.len());
            (head, line) = (0, line + lines);
        }
        let cuts =
            cut(&buffer, &mut at, &mut line, form, last).map_err(|(line, message)| bad(line, message))?;
        let (_, found) = rayon::join(
            || total.update(&buffer[had..]),
            || -> Vec<Option<Found>> {
                cuts.par_iter().map(|c| found(&buffer[c.start..c.end], c.line, form, &key)).collect()
            },
        );
        for (cut, found) in cuts.iter().zip(found) {
            let Some(found) = found else { continue };
            if let Some(message) = found.wrong {
                if form.strict() {
                    return Err(bad(cut.line, message));
                }
                seen.broken.get_or_insert((cut.line, message));
            } else {
                seen.good += 1;
            }
            let place = offset + cut.start as u64;
            if let Some((id, entry)) = &mut waiting {
                if form.joins() && !found.id.is_empty() && *id == found.id {
                    let length = offset + cut.end as u64 - entry.offset;
                    if length > LONGEST {
                        let rows = format!("rows of one record have more than {LONGEST} bytes");
                        return Err(bad(entry.line, rows));
                    }
                    entry.length = length as u32;
                    entry.has |= found.has;
                    continue;
                }
                put(entry)?;
            }
            let words = |words: &mut Words, word| words.number(word).map_err(|m| bad(cut.line, m));
            let entry = Entry {
                offset: place,
                line: cut.line,
                length: (cut.end - cut.start) as u32,
                has: found.has,
                split: words(&mut seen.splits, found.split)?,
                lang: words(&mut seen.langs, found.lang)?,
            };
            if form.ids() && !found.id.is_empty() {
                seen.ids.add(found.sum, seen.len, path)?;
            }
            seen.len += 1;
            waiting = Some((found.id, entry));
        }
        buffer.drain(..at);
        offset += at as u64;
        if last {
            break;
        }
    }
    if let Some((_, entry)) = waiting {
        put(&entry)?;
    }
    seen.sum = total.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(seen)
}

/// The records that lie whole in a buffer from `at` on; `at` is moved behind them, `line` to the next.
fn cut(
    buffer: &[u8],
    at: &mut usize,
    line: &mut u64,
    form: &dyn Form,
    last: bool,
) -> std::result::Result<Vec<Cut>, (u64, String)> {
    let mut cuts = Vec::new();
    while *at < buffer.len() {
        let rest = &buffer[*at..];
        let Some(length) = form.end(rest, last).map_err(|m| (*line, m))? else { break };
        let newlines = rest[..length].iter().filter(|b| **b == b'\n').count() as u64;
        if length as u64 > LONGEST {
            return Err((*line, too_long()));
        }
        cuts.push(Cut { start: *at, end: *at + length, line: *line });
        *line += newlines;
        *at += length;
    }
    match (buffer.len() - *at) as u64 > LONGEST {
        true => Err((*line, too_long())),
        false => Ok(cuts),
    }
}

fn too_long() -> String {
    format!(
        "the line is longer than {LONGEST} bytes: is this a text file, and does every quote have its end?"
    )
}

fn found(bytes: &[u8], line: u64, form: &dyn Form, key: &RandomState) -> Option<Found> {
    let none = |wrong| Found { id: String::new(), sum: 0, split: None, lang: None, has: 0, wrong };
    match form.record(bytes, line) {
        Ok(None) => None,
        Ok(Some(record)) => {
            let has = Entry::has(&record.part_key());
            let sum = if form.ids() { Ids::sum(key, &record.id) } else { 0 };
            Some(Found { sum, has, split: record.split, lang: record.lang, id: record.id, wrong: None })
        }
        Err(message) => Some(none(Some(message))),
    }
}
