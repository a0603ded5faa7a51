//! The messages of an Arrow stream: a schema, then batches of rows. Only their heads are read.

use super::flat::Flat;
use super::schema::Schema;
use crate::{Error, Result, position};
use std::fs::File;
use std::path::Path;
use unisono_files::Sum;

/// Most bytes of a message's head.
const HEAD: u64 = 64 << 20;
/// Most rows of a batch.
const ROWS: i64 = 1 << 28;

/// Where the buffers of a batch lie in the file.
#[derive(Debug)]
pub(super) struct Batch {
    /// Values that are missing, of each node, and how many there are in all.
    pub(super) nodes: Vec<(u64, u64)>,
    /// Offset and length.
    pub(super) buffers: Vec<(u64, u64)>,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) schema: Schema,
    pub(super) batches: Vec<Batch>,
    /// The first row of each batch, and the end.
    pub(super) groups: Vec<u64>,
    pub(super) sum: String,
}

struct Reader<'a> {
    path: &'a Path,
    file: &'a File,
    length: u64,
    at: u64,
}

impl Reader<'_> {
    fn bad(&self, message: &str) -> Error {
        Error::archive(self.path, format!("at byte {}: {message}", self.at))
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        position::read(self.file, bytes, at).map_err(Error::io(self.path, "read"))
    }

    /// The next message's head and where its body begins; `None` at the end.
    fn next(&mut self) -> Result<Option<(Vec<u8>, u64)>> {
        let mut four = [0; 4];
        if self.at == self.length {
            return Ok(None);
        }
        if self.length - self.at < 4 {
            return Err(self.bad("the file ends within a message: is it whole?"));
        }
        self.read(self.at, &mut four)?;
        let mut head = self.at + 4;
        // Old writers put no mark before the length.
        if four == [0xff; 4] {
            if self.length - head < 4 {
                return Err(self.bad("the file ends within a message: is it whole?"));
            }
            self.read(head, &mut four)?;
            head += 4;
        }
        let size = u64::from(u32::from_le_bytes(four));
        if size == 0 {
            return Ok(None);
        }
        if size > HEAD {
            return Err(self.bad(&format!(
                "a message's head has {size} bytes, the most are {HEAD}: is this an Arrow file?"
            )));
        }
        if size > self.length - head {
            return Err(self.bad("the file ends within a message's head: is it whole?"));
        }
        let mut bytes = vec![0; size as usize];
        self.read(head, &mut bytes)?;
        Ok(Some((bytes, head + size)))
    }
}

/// Goes through a file's messages.
///
/// # Errors
/// A file that cannot be read, is cut or none of Arrow, or has columns in forms that are not read.
pub(super) fn scan(path: &Path, file: &File, length: u64) -> Result<Messages> {
    let mut reader = Reader { path, file, length, at: 0 };
    let mut magic = [0; 8];
    // The form with a footer holds the same messages behind its mark.
    if length >= 8 {
        reader.read(0, &mut magic)?;
        if magic.starts_with(b"ARROW1") {
            reader.at = 8;
        }
    }
    let (mut schema, mut batches, mut groups) = (None, Vec::new(), vec![0]);
    let mut sum = Sum::default();
    while let Some((head, body)) = reader.next()? {
        let broken = || reader.bad("a message's head is broken: is this an Arrow file?");
        let message = Flat(&head).root().ok_or_else(broken)?;
        let size = u64::try_from(message.i64(3)).map_err(|_| broken())?;
        let end = body.checked_add(size).filter(|end| *end <= length);
        let end = end.ok_or_else(|| reader.bad("a message goes on behind the file's end: is it whole?"))?;
        match (message.u8(1), message.table(2), &schema) {
            (1, Some(table), None) => {
                schema = Some(Schema::read(&table).map_err(|message| Error::archive(path, message))?);
                sum.part(&head);
            }
            // Of dictionaries nothing is read.
            (2, ..) => {}
            (3, Some(table), Some(schema)) => {
                let rows = table.i64(0);
                if !(0..=ROWS).contains(&rows) {
                    return Err(reader.bad(&format!("a batch of {rows} rows, the most are {ROWS}")));
                }
                if table.has(3) {
                    let advice = "a packed batch, which is not read (`save_to_disk` never packs): write it without compression";
                    return Err(reader.bad(advice));
                }
                let nodes = table.pairs(1).filter(|nodes| nodes.len() == schema.nodes).ok_or_else(broken)?;
                let buffers = table.pairs(2).filter(|b| b.len() == schema.buffers).ok_or_else(broken)?;
                let within = |(offset, long): (i64, i64)| {
                    let (offset, long) = (u64::try_from(offset).ok()?, u64::try_from(long).ok()?);
                    (offset.checked_add(long)? <= size).then_some((body + offset, long))
                };
                let node = |(long, nulls): (i64, i64)| {
                    let (long, nulls) = (u64::try_from(long).ok()?, u64::try_from(nulls).ok()?);
                    (nulls <= long).then_some((nulls, long))
                };
                batches.push(Batch {
                    nodes: nodes.into_iter().map(node).collect::<Option<_>>().ok_or_else(broken)?,
                    buffers: buffers.into_iter().map(within).collect::<Option<_>>().ok_or_else(broken)?,
                });
                groups.push(groups.last().copied().unwrap_or(0) + rows as u64);
                sum.part(&head);
            }
            (3, _, None) => return Err(reader.bad("rows before their schema")),
            _ => return Err(broken()),
        }
        reader.at = end;
    }
    let Some(schema) = schema else {
        return Err(Error::archive(path, "expected an Arrow stream, found none"));
    };
    Ok(Messages { schema, batches, groups, sum: sum.letters() })
}
