//! A blob that is open.

use super::place::{Blob, Place};
use crate::limits::Limits;
use crate::{Error, Result, address};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Deref;

/// A [`Blob`] to read: of a part, the file before and behind it does not exist.
#[derive(Debug)]
pub struct Opened {
    blob: Blob,
    /// `None`: bytes in memory.
    file: Option<File>,
    /// Where it begins in the file.
    start: u64,
    length: u64,
    at: u64,
}

/// All that a blob holds.
pub(crate) enum Content {
    Read(Vec<u8>),
    Held(Blob),
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Held(blob) => blob.held().unwrap_or_default(),
        }
    }
}

impl Blob {
    /// Opens it to read: a regular file only, since a pipe would block until somebody writes and a device may have no end.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Address`]; a part that lies beyond its file's end.
    pub fn open(&self) -> Result<Opened> {
        Opened::new(self)
    }

    /// All of it, within the limits.
    pub(crate) fn read(&self, expected: &str, limits: &Limits) -> Result<Content> {
        self.open()?.all(expected, limits)
    }

    fn held(&self) -> Option<&[u8]> {
        match &self.0.place {
            Place::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Opened {
    fn new(blob: &Blob) -> Result<Self> {
        let (file, start, length) = match (&blob.0.place, blob.on()) {
            (Place::Row(row), _) => {
                return Self::new(&Blob::bytes(blob.name(), row.rows.read(row.row, &row.column)?));
            }
            (Place::Bytes(bytes), _) => (None, 0, bytes.len() as u64),
            (place, path) => {
                let path = path.unwrap_or(blob.name());
                address::refuse(path)?;
                let mut file = unisono_files::open(path)?;
                let whole = file.metadata().map_err(Error::io(path, "read"))?.len();
                match place {
                    Place::Part { offset, length, .. } => {
                        if offset.checked_add(*length).is_none_or(|end| end > whole) {
                            let expected = format!("{length} bytes from byte {offset} on");
                            return Err(Error::media(blob.name(), expected, format!("a file of {whole}")));
                        }
                        file.seek(SeekFrom::Start(*offset)).map_err(Error::io(path, "read"))?;
                        (Some(file), *offset, *length)
                    }
                    _ => (Some(file), 0, whole),
                }
            }
        };
        Ok(Self { blob: blob.clone(), file, start, length, at: 0 })
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Its first bytes, at most so many; the next read begins at the first again.
    ///
    /// # Errors
    /// The system's.
    pub fn head(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let read = self.by_ref().take(most).read_to_end(&mut head).and_then(|_| self.rewind());
        read.map_err(Error::io(self.blob.name(), "read"))?;
        Ok(head)
    }

    /// Refuses what is larger than the limit, without reading it.
    pub(crate) fn fits(&self, limits: &Limits) -> Result<()> {
        if self.length <= limits.max_file_bytes {
            return Ok(());
        }
        Err(Error::Limit {
            path: self.blob.name().to_path_buf(),
            what: "the file",
            found: format!("{} bytes", self.length),
            limit: format!("{} bytes", limits.max_file_bytes),
            option: "max_file_bytes",
        })
    }

    /// All of it, after it was seen that it is not empty and within the limit.
    pub(crate) fn all(self, expected: &str, limits: &Limits) -> Result<Content> {
        self.fits(limits)?;
        let name = self.blob.name().to_owned();
        let content = match self.file.is_some() {
            false => Content::Held(self.blob),
            true => {
                let mut bytes = Vec::with_capacity(self.length as usize);
                // `take`: a file that grows while it is read stays within the limit.
                self.take(limits.max_file_bytes).read_to_end(&mut bytes).map_err(Error::io(&name, "read"))?;
                Content::Read(bytes)
            }
        };
        if content.is_empty() {
            return Err(Error::media(&name, expected, "an empty file"));
        }
        Ok(content)
    }

    /// A whole file is read to where it ends now, a part to its own end.
    fn left(&self) -> Option<u64> {
        match self.blob.0.place {
            Place::File => None,
            _ => Some(self.length.saturating_sub(self.at)),
        }
    }
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = self.left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let most = buffer.len().min(most);
        let buffer = &mut buffer[..most];
        let n = match &mut self.file {
            Some(file) => file.read(buffer)?,
            None => {
                let from = usize::try_from(self.at).unwrap_or(usize::MAX);
                let rest = self.blob.held().and_then(|bytes| bytes.get(from..)).unwrap_or_default();
                let n = buffer.len().min(rest.len());
                buffer[..n].copy_from_slice(&rest[..n]);
                n
            }
        };
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let beyond = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        self.at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        }
        .ok_or_else(beyond)?;
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(self.start.checked_add(self.at).ok_or_else(beyond)?))?;
        }
        Ok(self.at)
    }
}
