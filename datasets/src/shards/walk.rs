//! The members of a tar file, one after another, without their data.

use super::header::{BLOCK, Before, Kind, LONGEST, What, map_goes_on, sums_up};
use crate::position;
use std::fs::File;
use std::io;
use tar::Header;

/// What is read at once: small members with the headers around them. What lies between is not read.
const WINDOW: u64 = 32 << 10;

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    /// As it is written, but for what is not UTF-8.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Where its headers begin.
    pub(super) header: u64,
    /// Where its data begin.
    pub(super) offset: u64,
    /// Their bytes.
    pub(super) length: u64,
}

/// How a tar file ends.
#[derive(Debug)]
pub(super) enum End {
    /// With its mark; something stands behind it.
    Mark { more: bool },
    /// Behind a member, without the mark.
    Unmarked,
    /// Before a member's data end, or in something that is no header. The member, where its name is known.
    Cut { at: u64, why: String, name: Option<String> },
}

/// Goes through a file.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    file: &'a File,
    length: u64,
    /// Where the next header begins.
    at: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a File, length: u64) -> Self {
        Self { file, length, at: 0, window: Vec::new(), window_at: 0 }
    }

    /// Bytes of the file, which must have them.
    pub(super) fn bytes(&mut self, at: u64, length: u64) -> io::Result<&[u8]> {
        let inside = |from: u64, held: usize| at >= from && at + length <= from + held as u64;
        if !inside(self.window_at, self.window.len()) {
            let size = WINDOW.max(length).min(self.length.saturating_sub(at));
            self.window.resize(size as usize, 0);
            self.window_at = at;
            if let Err(e) = position::read(self.file, &mut self.window, at) {
                self.window.clear();
                return Err(e);
            }
        }
        let from = (at - self.window_at) as usize;
        self.window.get(from..from + length as usize).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn has(&self, at: u64, length: u64) -> bool {
        at.checked_add(length).is_some_and(|end| end <= self.length)
    }

    /// The next member, or how the file ends.
    pub(super) fn next(&mut self) -> io::Result<Result<Member, End>> {
        let mut before = Before::default();
        let begun = self.at;
        let cut = |at: u64, why: String, name: Option<String>| Ok(Err(End::Cut { at, why, name }));
        loop {
            let at = self.at;
            if at >= self.length {
                return match at == begun {
                    true => Ok(Err(End::Unmarked)),
                    false => cut(at, "the file ends before a member's header".into(), None),
                };
            }
            if !self.has(at, BLOCK) {
                return cut(at, "the file ends in a header".into(), None);
            }
            let block = self.bytes(at, BLOCK)?;
            if block.iter().all(|b| *b == 0) {
                return Ok(Err(End::Mark { more: self.more(at + BLOCK)? }));
            }
            let header = Header::from_byte_slice(block).clone();
            let what = if sums_up(&header) { before.what(&header) } else { None };
            let Some(what) = what else {
                return cut(at, "expected a header, found something else".into(), None);
            };
            let (What::Member(_, size) | What::Name(size) | What::Records(size) | What::Nothing(size)) = what;
            let mut offset = at + BLOCK;
            if header.entry_type().is_gnu_sparse() {
                let mut goes_on = map_goes_on(header.as_bytes(), false);
                while goes_on && self.has(offset, BLOCK) {
                    goes_on = map_goes_on(self.bytes(offset, BLOCK)?, true);
                    offset += BLOCK;
                }
            }
            let known = || String::from_utf8_lossy(&before.name_of(&header)).into_owned();
            if !self.has(offset, size) {
                let name = matches!(what, What::Member(..)).then(known);
                let why = format!(
                    "the file ends at byte {}, expected {size} bytes of data from byte {offset} on",
                    self.length
                );
                return cut(at, why, name);
            }
            // Padding may be missing at the very end.
            self.at = (offset + size).next_multiple_of(BLOCK);
            match what {
                What::Member(kind, length) => {
                    return Ok(Ok(Member { name: known(), kind, header: begun, offset, length }));
                }
                What::Name(size) | What::Records(size) if size > LONGEST => {
                    return cut(
                        at,
                        format!("a member's name and notes have {size} bytes, at most {LONGEST}"),
                        None,
                    );
                }
                What::Name(size) => before.name(self.bytes(offset, size)?),
                What::Records(size) => before.records(self.bytes(offset, size)?),
                What::Nothing(_) => {}
            }
        }
    }

    /// Whether anything but zeros follows soon: another archive, which was joined to this one.
    fn more(&mut self, from: u64) -> io::Result<bool> {
        const LOOK: u64 = 64 << 10;
        let length = LOOK.min(self.length.saturating_sub(from));
        Ok(length > 0 && self.bytes(from, length)?.iter().any(|b| *b != 0))
    }
}
