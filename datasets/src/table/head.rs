//! A table's first row, and its other rows as records.

use super::rows::Dialect;
use crate::fields::{Fields, Role};
use crate::lines::Form;
use crate::open::{Columns, SourceConfig};
use crate::plain::{quoted, utf8};
use crate::{Error, Record, Result};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// Longest first row.
const LONGEST: u64 = 1 << 20;
/// Most columns.
const MOST: usize = 1 << 14;

/// A table with names in its first row.
#[derive(Debug)]
pub(crate) struct Table {
    dialect: Dialect,
    names: Vec<String>,
    roles: Vec<Role>,
    fields: Fields,
    /// The column that neighbours are joined by.
    group_by: Option<usize>,
    /// The column whose values are ids, where none is said to be: a folder's tables name each file once.
    unique: Option<usize>,
    /// The first row's bytes and lines.
    head: (usize, u64),
    identity: String,
}

impl Table {
    /// Reads the first row of a table whose paths are relative to `folder`.
    ///
    /// # Errors
    /// It cannot be read, a column that was named is not there, or none holds anything to embed.
    pub fn of(path: &Path, config: &SourceConfig, folder: &Path) -> Result<Self> {
        let bad = |message: String| Error::Manifest { path: path.into(), line: 1, message };
        let mut bytes = Vec::new();
        let read = unisono_files::open(path)?.take(LONGEST).read_to_end(&mut bytes);
        let last = (read.map_err(Error::io(path, "read"))? as u64) < LONGEST;
        // What separates is seen in the first line, which in every table of sense ends the first row.
        let line = bytes.split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
        let dialect = Dialect { delimiter: delimiter(path, line), ..Dialect::COMMAS };
        // Whoever joined files left marks before the first name.
        let marks = bytes.chunks(3).take_while(|c| *c == b"\xef\xbb\xbf").count() * 3;
        let end = dialect.end(&bytes[marks..], last).map_err(bad)?.map(|end| marks + end);
        let end = end.ok_or_else(|| bad(format!("the first row has more than {LONGEST} bytes")))?;
        let row = utf8(&bytes[..end]).map_err(bad)?;
        let names: Vec<String> =
            dialect.fields(row).map_err(bad)?.iter().map(|name| name.trim().to_owned()).collect();
        if names.len() > MOST {
            return Err(bad(format!("expected at most {MOST} columns, found {}", names.len())));
        }
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = || known.iter().take(20).map(|n| quoted(n)).collect::<Vec<_>>().join(", ");
        if let Some(twice) =
            (1..known.len()).find(|i| !known[*i].is_empty() && known[..*i].contains(&known[*i]))
        {
            return Err(bad(format!("the column {} stands twice", quoted(known[twice]))));
        }
        let fields = Fields::new(&config.columns, folder);
        if let Some((field, name)) = fields.missing(&known) {
            let name = quoted(name);
            return Err(bad(format!(
                "expected the column {name} (columns.{field}), found the columns {}",
                found()
            )));
        }
        let group_by = match &config.group_by {
            None => None,
            Some(name) => Some(known.iter().position(|n| n == name).ok_or_else(|| {
                bad(format!("expected the column {} (group_by), found the columns {}", quoted(name), found()))
            })?),
        };
        let roles = fields.roles(&known);
        let media = [Role::Text, Role::Image, Role::Audio, Role::Video, Role::File];
        if !roles.iter().any(|role| media.contains(role)) {
            return Err(bad(format!(
                "expected a column of texts, images, audio files or videos, found {}: name them by columns, such as columns = {{ text = \"…\" }}",
                found()
            )));
        }
        let lines = bytes[..end].iter().filter(|b| **b == b'\n').count() as u64;
        let identity = identity(&config.columns, config.group_by.as_deref());
        Ok(Self { dialect, names, roles, fields, group_by, unique: None, head: (end, lines), identity })
    }

    /// Rows are known by the file that they name, as folders' own tables have it.
    pub fn known_by_file(mut self) -> Self {
        let file = |role: &Role| matches!(role, Role::File | Role::Image | Role::Audio | Role::Video);
        self.unique = self.roles.iter().position(file);
        self
    }

    fn row(&self, bytes: &[u8], line: u64) -> std::result::Result<Option<Record>, String> {
        let fields = self.dialect.fields(utf8(bytes)?)?;
        if fields.iter().all(|f| f.trim().is_empty()) {
            return Ok(None);
        }
        if fields.len() != self.names.len() {
            return Err(format!(
                "expected {} fields as in the first row, found {}",
                self.names.len(),
                fields.len()
            ));
        }
        let id = self.group_by.or(self.unique).map(|at| fields[at].trim().to_owned());
        let values = self.roles.iter().zip(&self.names).zip(fields);
        let values =
            values.map(|((role, name), value)| (*role, name.clone(), Value::String(value.into_owned())));
        let mut record = self.fields.record(values)?;
        match id {
            Some(id) if id.is_empty() => {
                let name = self.group_by.or(self.unique).map_or("", |at| self.names[at].as_str());
                return Err(format!("the column {} is empty", quoted(name)));
            }
            Some(id) => record.id = id,
            None if record.id.is_empty() => record.id = line.to_string(),
            None => {}
        }
        match record.has_modality() {
            true => Ok(Some(record)),
            false => Err("the row has neither a text nor an image, audio file or video".into()),
        }
    }
}

fn identity(columns: &Columns, group_by: Option<&str>) -> String {
    let columns = serde_json::to_string(columns).unwrap_or_default();
    format!("table 1 {columns} {}", group_by.unwrap_or_default())
}

/// What separates the fields.
fn delimiter(path: &Path, line: &[u8]) -> u8 {
    let tabs =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tsv") || e.eq_ignore_ascii_case("tab"));
    match () {
        () if tabs || line.contains(&b'\t') => b'\t',
        () if line.contains(&b',') || !line.contains(&b';') => b',',
        () => b';',
    }
}

impl Form for Table {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn head(&self) -> (usize, u64) {
        self.head
    }

    fn end(&self, bytes: &[u8], last: bool) -> std::result::Result<Option<usize>, String> {
        self.dialect.end(bytes, last)
    }

    fn record(&self, bytes: &[u8], line: u64) -> std::result::Result<Option<Record>, String> {
        let mut rest = bytes;
        let mut record: Option<Record> = None;
        // Several rows where they were joined.
        while !rest.is_empty() {
            let end = self.dialect.end(rest, true)?.unwrap_or(rest.len());
            let (row, after) = rest.split_at(end);
            rest = after;
            match (&mut record, self.row(row, line)?) {
                (_, None) => {}
                (None, row) => record = row,
                (Some(record), Some(row)) => join(record, row),
            }
        }
        Ok(record)
    }

    fn ids(&self) -> bool {
        self.group_by.or(self.unique).is_some() || self.roles.contains(&Role::Id)
    }

    fn joins(&self) -> bool {
        self.group_by.is_some()
    }

    fn advice(&self) -> &'static str {
        match self.group_by {
            Some(_) => "rows that group_by joins must follow each other: sort the table by that column",
            None => "ids must be unique: name another column by columns.id, or join rows by group_by",
        }
    }
}

/// Adds what another row of one record says.
fn join(record: &mut Record, row: Record) {
    for text in row.text {
        if !record.text.contains(&text) {
            record.text.push(text);
        }
    }
    for audio in row.audio {
        if !record.audio.contains(&audio) {
            record.audio.push(audio);
        }
    }
    record.image = record.image.take().or(row.image);
    record.video = record.video.take().or(row.video);
}
