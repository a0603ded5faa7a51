//! What a blob is, and what tells it from others.

use super::row::{Row, Rows};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::{Stamp, Sum};

/// A file, a part of a file (a member of an archive), a row's value in a table, or bytes in memory. Clones share what they hold.
///
/// A path is one, too: functions that open media take `impl Into<Blob>`.
///
/// They are ordered by their names, then by where they lie; two are equal that hold the same bytes in memory under one name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob(pub(super) Arc<Inner>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Inner {
    /// For messages; of a whole file, its path.
    name: PathBuf,
    pub(super) place: Place,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// The whole file of that name.
    File,
    Part {
        file: PathBuf,
        offset: u64,
        length: u64,
    },
    Row(Row),
    Bytes(Vec<u8>),
}

impl Blob {
    pub(super) fn new(name: PathBuf, place: Place) -> Self {
        Self(Arc::new(Inner { name, place }))
    }

    /// A whole file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), Place::File)
    }

    /// `length` bytes of a file from `offset` on. Messages call it `file/member`, and what `member` ends in may tell a program what it is.
    pub fn part(file: impl Into<PathBuf>, offset: u64, length: u64, member: &str) -> Self {
        let file = file.into();
        Self::new(within(&file, member), Place::Part { file, offset, length })
    }

    /// What a table holds in a column of a row, read when it is opened. Messages call it `file/name`.
    pub fn row(rows: Arc<dyn Rows>, row: u64, column: &str, name: &str) -> Self {
        let named = within(rows.file(), name);
        Self::new(named, Place::Row(Row { rows, row, column: column.into() }))
    }

    /// Bytes in memory, by the name that messages call them.
    pub fn bytes(name: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name.into(), Place::Bytes(bytes.into()))
    }

    /// What messages call it: a file's path.
    pub fn name(&self) -> &Path {
        &self.0.name
    }

    /// The path of the file that it is the whole of; `None` for parts and bytes.
    pub fn path(&self) -> Option<&Path> {
        matches!(self.0.place, Place::File).then_some(&self.0.name)
    }

    /// The file on the disk that it is, or is a part of; `None` for bytes.
    pub(super) fn on(&self) -> Option<&Path> {
        match &self.0.place {
            Place::File => Some(&self.0.name),
            Place::Part { file, .. } => Some(file),
            Place::Row(row) => Some(row.rows.file()),
            Place::Bytes(_) => None,
        }
    }

    /// The table that it lies in, of a row's value.
    pub fn table(&self) -> Option<&Path> {
        match &self.0.place {
            Place::Row(row) => Some(row.rows.file()),
            _ => None,
        }
    }

    /// A row's value, read from `rows` from now on: a line names a table and does not open it. Anything else stays what it is.
    pub fn within(&self, rows: Arc<dyn Rows>) -> Self {
        match &self.0.place {
            Place::Row(row) => {
                let of = Row { rows, row: row.row, column: row.column.clone() };
                Self::new(self.name().to_owned(), Place::Row(of))
            }
            _ => self.clone(),
        }
    }

    /// Whether its file is not there any more.
    pub fn is_missing(&self) -> bool {
        self.on().is_some_and(|file| !file.exists())
    }

    /// What tells that its file is still the same; `None` for bytes, of which nothing need be remembered, and where there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        self.on().and_then(Stamp::of)
    }

    /// What tells it from any other: of a file its path, of a part or a row also where it lies, of bytes a sum over them.
    pub fn identity(&self) -> Cow<'_, [u8]> {
        // No path holds a NUL.
        match &self.0.place {
            Place::File => self.0.name.as_os_str().as_encoded_bytes().into(),
            Place::Part { file, offset, length } => {
                let place = format!("\0{offset}+{length}").into_bytes();
                [file.as_os_str().as_encoded_bytes(), &place].concat().into()
            }
            Place::Row(Row { rows, row, column }) => {
                let place = format!("\0{row}:{column}").into_bytes();
                [rows.file().as_os_str().as_encoded_bytes(), &place].concat().into()
            }
            Place::Bytes(bytes) => [b"\0", Sum::of(bytes).as_bytes()].concat().into(),
        }
    }
}

/// A member's own name may be absolute, or lead elsewhere: it is a name within the file, whatever it says.
fn within(file: &Path, member: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("/");
    name.push(member.trim_start_matches('/'));
    name.into()
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0.name;
        match &self.0.place {
            Place::File => write!(f, "{name:?}"),
            Place::Part { offset, length, .. } => write!(f, "{name:?} ({length} bytes from {offset} on)"),
            Place::Row(Row { row, column, .. }) => write!(f, "{name:?} (row {row}, column {column:?})"),
            Place::Bytes(bytes) => write!(f, "{name:?} ({} bytes in memory)", bytes.len()),
        }
    }
}

impl From<PathBuf> for Blob {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&PathBuf> for Blob {
    fn from(path: &PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&Path> for Blob {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<&str> for Blob {
    fn from(path: &str) -> Self {
        Self::file(path)
    }
}

impl From<String> for Blob {
    fn from(path: String) -> Self {
        Self::file(path)
    }
}

impl From<&String> for Blob {
    fn from(path: &String) -> Self {
        Self::file(path)
    }
}

impl From<&Blob> for Blob {
    fn from(blob: &Blob) -> Self {
        blob.clone()
    }
}
