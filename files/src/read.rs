//! Opening and reading: regular files only, looked at after they were opened, and never more than the budget.

use crate::{Budget, Error, Result};
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

/// Opens a regular file to read it. Links are followed; a pipe, a device, a socket or a folder at their end is refused without waiting for
/// it: a pipe would block until somebody writes, a device may have no end.
///
/// # Errors
/// [`Error::Io`], [`Error::NotRegular`].
pub fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a pipe to read waits for a writer, without this.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits() as i32,
    );
    let file = options.open(path).map_err(|e| refused(path, e))?;
    let meta = file.metadata().map_err(Error::io(path, "read"))?;
    if !meta.is_file() {
        return Err(Error::not_regular(path, meta.file_type()));
    }
    Ok(file)
}

/// Sockets cannot be opened at all: they are named for what they are.
fn refused(path: &Path, source: std::io::Error) -> Error {
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() && !meta.is_dir() => Error::not_regular(path, meta.file_type()),
        _ => Error::io(path, "read")(source),
    }
}

/// Reads a whole regular file within the budget's bytes; one that grows meanwhile is refused, too.
///
/// # Errors
/// As [`open`], or [`Error::Budget`].
pub fn read(path: &Path, budget: &Budget) -> Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    budget.of(path).bytes(length)?;
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(budget.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(path, "read"))?;
    budget.of(path).bytes(bytes.len() as u64)?;
    Ok(bytes)
}

/// Reads a text: UTF-8, or UTF-16 with its byte order mark as Windows' editors write it. A byte order mark is no part of the text.
///
/// # Errors
/// As [`read`], or [`Error::Format`] that names the line which is not UTF-8.
pub fn read_text(path: &Path, budget: &Budget) -> Result<String> {
    let bytes = read(path, budget)?;
    let wide = |big: bool| {
        let units = bytes[2..].as_chunks::<2>().0.iter();
        let units = units.map(|b| if big { u16::from_be_bytes(*b) } else { u16::from_le_bytes(*b) });
        String::from_utf16(&units.collect::<Vec<_>>())
            .map_err(|_| Error::format(path, "expected text in UTF-8, found broken UTF-16; save it as UTF-8"))
    };
    match &bytes[..] {
        [0xff, 0xfe, ..] => return wide(false),
        [0xfe, 0xff, ..] => return wide(true),
        _ => {}
    }
    let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match std::str::from_utf8(rest) {
        Ok(text) => Ok(text.to_owned()),
        Err(e) => {
            let line = rest[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            Err(Error::format(path, format!("line {line} is not UTF-8; save the file as UTF-8")))
        }
    }
}

/// Reads a JSON file into `T`, its size, values and levels counted before anything is built.
///
/// # Errors
/// As [`read_text`], or [`Error::Format`] when it is not of `T`'s shape.
pub fn read_json<T: DeserializeOwned>(path: &Path, budget: &Budget) -> Result<T> {
    let text = read_text(path, budget)?;
    budget.json(path, text.as_bytes())?;
    serde_json::from_str(&text).map_err(|e| Error::format(path, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| open(path).unwrap_err().to_string();
        assert!(said(dir.path()).ends_with("expected a regular file, found a folder"));
        assert!(said(&dir.path().join("none")).contains("cannot read: "));
        let file = dir.path().join("a");
        fs::write(&file, "a").unwrap();
        open(&file).unwrap();
        #[cfg(unix)]
        {
            let pipe = dir.path().join("pipe");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &pipe,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                0,
            )
            .unwrap();
            assert!(said(&pipe).ends_with("found a named pipe"));
            let endless = dir.path().join("endless");
            std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
            assert!(said(&endless).ends_with("found a device"));
            let socket = dir.path().join("socket");
            let _kept = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            assert!(said(&socket).ends_with("found a socket"));
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&file, &link).unwrap();
            open(&link).unwrap();
        }
    }

    #[test]
    fn texts_as_editors_save_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let text = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read_text(&path, &Budget { bytes: 20, ..Budget::CONFIG }).map_err(|e| e.to_string())
        };
        assert_eq!(text("\u{feff}é".as_bytes()).unwrap(), "é");
        assert_eq!(text(b"\xff\xfe\xe9\0\n\0").unwrap(), "é\n");
        assert_eq!(text(b"\xfe\xff\0\xe9").unwrap(), "é");
        assert_eq!(text(b"").unwrap(), "");
        assert!(text(b"a\nb\xe9\n").unwrap_err().ends_with("line 2 is not UTF-8; save the file as UTF-8"));
        assert!(text(&[b'a'; 21]).unwrap_err().contains("21 bytes or more"));
    }
}
