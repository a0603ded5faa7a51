//! Writes a tar shard.

use super::entry::{caption, endings, json, key};
use super::sample::Sample;
use super::writer::ShardWriter;
use crate::{Error, Result};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

const BLOCK: u64 = 512;

/// Members of no time and of nobody, so that the same records are the same bytes.
pub(super) struct TarWriter<'a> {
    path: PathBuf,
    tar: Builder<Box<dyn Write + Send + 'a>>,
    bytes: u64,
}

impl<'a> TarWriter<'a> {
    pub(super) fn new(path: &Path, out: Box<dyn Write + Send + 'a>) -> Self {
        // Two empty blocks end it.
        Self { path: path.to_owned(), tar: Builder::new(out), bytes: 2 * BLOCK }
    }

    fn member(&mut self, name: &str, length: u64, data: impl Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(length);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let mut data = Whole { data, left: length };
        self.tar.append_data(&mut header, name, &mut data).map_err(Error::io(&self.path, "write"))?;
        // A long name has a block and its letters before it.
        let long = if name.len() > 100 { BLOCK + (name.len() as u64 + 1).next_multiple_of(BLOCK) } else { 0 };
        self.bytes += long + BLOCK + length.next_multiple_of(BLOCK);
        Ok(())
    }
}

impl ShardWriter for TarWriter<'_> {
    fn add(&mut self, sample: Sample) -> Result<()> {
        let key = key(&sample.record.id);
        let (endings, json) = (endings(&sample), json(&sample, &key));
        let text = caption(sample.record).map(str::to_owned);
        for (medium, ending) in sample.media.into_iter().zip(endings) {
            let length = medium.content.len();
            self.member(&format!("{key}.{ending}"), length, medium.content.reader())?;
        }
        if let Some(text) = text {
            self.member(&format!("{key}.txt"), text.len() as u64, text.as_bytes())?;
        }
        if !json.is_empty() {
            let text = serde_json::to_vec(&json).map_err(|e| Error::archive(&self.path, e.to_string()))?;
            self.member(&format!("{key}.json"), text.len() as u64, text.as_slice())?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let mut out = self.tar.into_inner().map_err(Error::io(&self.path, "write"))?;
        out.flush().map_err(Error::io(&self.path, "write"))
    }
}

/// So many bytes: no fewer, which would shift all that comes after, and no more.
struct Whole<R> {
    data: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let n = self.data.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(std::io::Error::other("a medium has become shorter while it was read"));
        }
        self.left -= n as u64;
        Ok(n)
    }
}
