//! Numbers that are too many for memory: written to a file without a name, read where they are looked at. The system takes the pages back
//! when it wants the memory.

use crate::{Error, Result};
use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Numbers on their way to the disk.
pub(super) struct Spool<'a> {
    file: BufWriter<File>,
    folder: &'a Path,
    empty: bool,
}

impl<'a> Spool<'a> {
    /// In a file of `folder` that vanishes by itself.
    pub(super) fn new(folder: &'a Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io(folder, "write"))?;
        Ok(Self { file: BufWriter::new(file), folder, empty: true })
    }

    /// Puts numbers behind those that are there.
    pub(super) fn push(&mut self, numbers: &[f32]) -> Result<()> {
        self.empty &= numbers.is_empty();
        self.file.write_all(bytemuck::cast_slice(numbers)).map_err(Error::io(self.folder, "write"))
    }

    /// All of them; lower ones than `least` are raised to it.
    pub(super) fn finish(self, least: Option<f32>) -> Result<Numbers> {
        if self.empty {
            return Ok(Numbers(None));
        }
        let wrong = Error::io(self.folder, "write");
        let file = match self.file.into_inner() {
            Ok(file) => file,
            Err(e) => return Err(wrong(e.into_error())),
        };
        let Some(least) = least else {
            // SAFETY: nobody else knows of the file, which has no name: none cuts it while it is mapped.
            return Ok(Numbers(Some(unsafe { Mmap::map(&file) }.map_err(wrong)?)));
        };
        // SAFETY: as above.
        let mut map = unsafe { MmapMut::map_mut(&file) }.map_err(Error::io(self.folder, "map"))?;
        let numbers: &mut [f32] = bytemuck::try_cast_slice_mut(&mut map).unwrap_or_default();
        numbers.iter_mut().for_each(|v| *v = v.max(least));
        Ok(Numbers(Some(map.make_read_only().map_err(wrong)?)))
    }
}

/// Numbers on the disk.
#[derive(Debug)]
pub(super) struct Numbers(Option<Mmap>);

impl AsRef<[f32]> for Numbers {
    fn as_ref(&self) -> &[f32] {
        // Pages begin where numbers may.
        self.0.as_ref().map_or(&[], |map| bytemuck::try_cast_slice(map).unwrap_or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<f32> = (0..100_000).map(|i| (i as f32).sin()).collect();
        for least in [None, Some(-0.25)] {
            let mut spool = Spool::new(dir.path()).unwrap();
            for part in all.chunks(777) {
                spool.push(part).unwrap();
            }
            let want: Vec<f32> = all.iter().map(|v| v.max(least.unwrap_or(-1.0))).collect();
            assert_eq!(spool.finish(least).unwrap().as_ref(), want);
        }
        assert!(Spool::new(dir.path()).unwrap().finish(Some(1.0)).unwrap().as_ref().is_empty());
        // Nothing is left in the folder, while they are looked at neither.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
