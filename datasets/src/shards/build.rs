//! From a shard to its index: its members are gone through once.

use super::class::{Class, Classes};
use super::fields::{Fields, Role};
use super::header::Kind;
use super::index::{Header, Writer};
use super::names::parts;
use super::row::{MEMBERS, Part, Row};
use super::sample;
use super::walk::{End, Member, Walk};
use crate::plain::quoted;
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use unisono_files::{Stamp, Sum};

/// Most records of a shard: their keys are in memory while it is indexed.
const MOST: u64 = 1 << 24;

/// An index that is not written yet.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) header: Header,
    pub(super) rows: Writer,
    pub(super) numbers: Vec<u8>,
}

/// A sample whose members are being gathered.
#[derive(Debug)]
struct Open {
    row: Row,
    /// Where its first member's header stands.
    at: u64,
    /// Bytes of its members that are text, as many as a record may have.
    texts: Vec<(u64, Vec<u8>)>,
}

/// A shard while it is gone through.
struct Builder<'a> {
    path: &'a Path,
    fields: &'a Fields,
    rows: Writer,
    classes: Classes,
    /// Where each key's first member stands.
    keys: HashMap<String, u64>,
    open: Option<Open>,
    sum: Sum,
    notes: Vec<String>,
    /// Samples that are no records: how many, and the first.
    broken: (u64, String),
    /// Members that are of no record, by why.
    passed: BTreeMap<&'static str, (u64, String)>,
}

/// Indexes the tar file `path`.
///
/// # Errors
/// No tar file, a key or a member that stands twice, a file that changes meanwhile.
pub(super) fn build(path: &Path, fields: &Fields) -> Result<Built> {
    let file = unisono_files::open(path)?;
    let stamp = Stamp::of(path);
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    if length == 0 {
        return Err(Error::archive(path, "expected a tar file, found an empty file"));
    }
    let mut walk = Walk::new(&file, length);
    let mut builder = Builder {
        path,
        fields,
        rows: Writer::new(),
        classes: Classes::default(),
        keys: HashMap::new(),
        open: None,
        sum: Sum::default(),
        notes: Vec::new(),
        broken: (0, String::new()),
        passed: BTreeMap::new(),
    };
    let end = loop {
        match walk.next().map_err(Error::io(path, "read"))? {
            Ok(member) => builder.member(member, &mut walk)?,
            Err(end) => break end,
        }
    };
    builder.end(end, &mut walk)?;
    if stamp.is_none() || Stamp::of(path) != stamp {
        return Err(Error::archive(path, "has changed while it was read: wait until it is written"));
    }
    builder.finish(stamp.map(|s| s.to_string()).unwrap_or_default())
}

impl Builder<'_> {
    fn member(&mut self, member: Member, walk: &mut Walk) -> Result<()> {
        let reason = match member.kind {
            Kind::File | Kind::Sparse => None,
            Kind::Folder => return Ok(()),
            Kind::Link => Some("links, which are not followed"),
            Kind::Other => Some("members that are no files"),
        };
        let (key, ending) = match (reason, parts(&member.name, self.fields.key_ends)) {
            (None, Some(parts)) => parts,
            (reason, _) => {
                let reason = reason.unwrap_or("members without a key and an ending");
                let (count, _) = self.passed.entry(reason).or_insert_with(|| (0, member.name.clone()));
                *count += 1;
                return Ok(());
            }
        };
        if self.open.as_ref().is_none_or(|open| open.row.key != key) {
            self.close()?;
            if let Some(first) = self.keys.get(key) {
                return Err(Error::archive(
                    self.path,
                    format!(
                        "the key {} stands at byte {first} and again at byte {}: expected the members of a record one after another, and each key once",
                        quoted(key),
                        member.header
                    ),
                ));
            }
            if self.rows.records() >= MOST {
                return Err(Error::archive(
                    self.path,
                    format!("more than {MOST} records: cut it into smaller shards"),
                ));
            }
            self.keys.insert(key.to_owned(), member.header);
            let row = Row { key: key.to_owned(), parts: Vec::new() };
            self.open = Some(Open { row, at: member.header, texts: Vec::new() });
        }
        let role = self.fields.role(ending);
        let part = Part {
            ending: ending.to_owned(),
            sparse: member.kind == Kind::Sparse,
            offset: member.offset,
            length: member.length,
        };
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Some(same) = open.row.parts.iter().find(|p| p.ending.eq_ignore_ascii_case(ending)) {
            return Err(Error::archive(
                self.path,
                format!(
                    "the record {} has two members .{}, with data at bytes {} and {}",
                    quoted(key),
                    same.ending,
                    same.offset,
                    part.offset
                ),
            ));
        }
        if open.row.parts.len() == MEMBERS {
            return Err(Error::archive(
                self.path,
                format!("the record {} has more than {MEMBERS} members", quoted(key)),
            ));
        }
        let held: u64 = open.texts.iter().map(|(_, text)| text.len() as u64).sum();
        let fits = held.saturating_add(part.length) <= sample::READ;
        if matches!(role, Role::Text | Role::Label | Role::Json) && fits && !part.sparse {
            let bytes = walk.bytes(part.offset, part.length).map_err(Error::io(self.path, "read"))?;
            open.texts.push((part.offset, bytes.to_vec()));
        }
        open.row.parts.push(part);
        Ok(())
    }

    /// The sample is whole: a row of the index.
    fn close(&mut self) -> Result<()> {
        let Some(Open { row, texts, .. }) = self.open.take() else { return Ok(()) };
        let mut read = |part: &Part| {
            let text = texts.iter().find(|(offset, _)| *offset == part.offset);
            text.map(|(_, bytes)| bytes.clone()).ok_or_else(|| std::io::ErrorKind::FileTooLarge.into())
        };
        let class = match sample::record(&row, self.path, self.fields, &mut read) {
            Ok(record) => Class::of(&record),
            Err(reason) => {
                self.broken.0 += 1;
                if self.broken.0 == 1 {
                    self.broken.1 = format!("{}: {reason}", row.key);
                }
                Class::default()
            }
        };
        let mut bytes = Vec::new();
        row.write(&mut bytes);
        self.sum.part(&bytes);
        texts.iter().for_each(|(_, text)| self.sum.part(text));
        self.classes.push(class).map_err(|e| Error::archive(self.path, e))?;
        self.rows.push(&row);
        Ok(())
    }

    fn end(&mut self, end: End, walk: &mut Walk) -> Result<()> {
        match end {
            End::Mark { more } => {
                self.close()?;
                if more {
                    self.notes.push(
                        "more stands behind the archive's end and is not read: were archives joined?".into(),
                    );
                }
            }
            End::Unmarked => {
                self.close()?;
                self.notes.push("has no end mark: was it cut off between two members?".into());
            }
            End::Cut { at: 0, why, .. } => return Err(Error::archive(self.path, no_tar(&why, walk))),
            End::Cut { at, why, name } => {
                let next = name
                    .as_deref()
                    .and_then(|n| parts(n, self.fields.key_ends))
                    .map(|(key, _)| key.to_owned());
                // Whether more members of the last sample were to follow is known only where another one's begin.
                let lost = match (&self.open, &next) {
                    (Some(open), Some(next)) => open.row.key == *next,
                    (open, _) => open.is_some(),
                };
                let lost = if lost { self.open.take() } else { None };
                self.close()?;
                let lost = match (lost, next) {
                    (Some(open), _) => {
                        format!("the record {} (from byte {} on)", quoted(&open.row.key), open.at)
                    }
                    (None, Some(next)) => format!("the record {}", quoted(&next)),
                    (None, None) => "what stood there".into(),
                };
                self.notes.push(format!(
                    "is cut off or damaged at byte {at} ({why}): {lost} and all behind it are lost"
                ));
            }
        }
        Ok(())
    }

    fn finish(mut self, stamp: String) -> Result<Built> {
        let records = self.rows.records();
        for (reason, (count, first)) in &self.passed {
            self.notes.push(format!("{count} {reason}, are passed over; the first is {}", quoted(first)));
        }
        if self.broken.0 > 0 {
            let (count, first) = &self.broken;
            self.notes.push(format!("{count} of {records} samples cannot be used; the first is {first}"));
        }
        let (classes, numbers) = self.classes.finish();
        let header = Header {
            stamp,
            fields: self.fields.sum(),
            records,
            classes,
            sum: self.sum.letters(),
            notes: self.notes,
        };
        Ok(Built { header, rows: self.rows, numbers })
    }
}

/// What stands where a tar file was expected.
fn no_tar(why: &str, walk: &mut Walk) -> String {
    let found = match walk.bytes(0, 4) {
        Ok([0x1f, 0x8b, ..]) => "gzip: name it .tar.gz",
        Ok([0x28, 0xb5, 0x2f, 0xfd]) => "Zstandard: name it .tar.zst",
        Ok([b'P', b'K', ..]) => "a ZIP archive: unpack it, and make a tar file or a folder of it",
        _ => return format!("expected a tar file: {why}"),
    };
    format!("expected a tar file, found {found}")
}
