//! Rows that were removed: a bit each.

use crate::{Error, Result};
use std::path::Path;
use unisono_files::Budget;

/// Which of a segment's rows are there no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    /// Reads those of a segment of so many rows.
    ///
    /// # Errors
    /// A file of another length.
    pub(crate) fn read(path: &Path, rows: usize) -> Result<Self> {
        let bytes = unisono_files::read(path, &Budget::VOCABULARY)?;
        if bytes.len() != rows.div_ceil(8) {
            let message = format!(
                "{} bytes, expected {}: not the removed rows of this segment",
                bytes.len(),
                rows.div_ceil(8)
            );
            return Err(Error::format(path, message));
        }
        Ok(Self(bytes))
    }

    /// Whether this row is among them.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.0.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }

    /// Adds a row of a segment of so many.
    pub(crate) fn add(&mut self, row: usize, rows: usize) {
        self.0.resize(rows.div_ceil(8), 0);
        if let Some(byte) = self.0.get_mut(row / 8) {
            *byte |= 1 << (row % 8);
        }
    }

    /// The file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("removed.bin");
        let mut bits = Bits::default();
        assert!(!bits.has(3));
        for row in [0, 8, 18] {
            bits.add(row, 19);
        }
        std::fs::write(&path, bits.bytes()).unwrap();
        let read = Bits::read(&path, 19).unwrap();
        assert_eq!(read, bits);
        assert!(read.has(18) && !read.has(17) && !read.has(1000));
        assert!(Bits::read(&path, 40).unwrap_err().to_string().contains("3 bytes, expected 5"));
    }
}
