//! What reading a stranger's file may cost: a small file must not ask for much memory, time or stack.

use crate::{Error, Result};
use std::path::Path;

/// Bounds for one file. They are far above what honest files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Most bytes, of the file and of what is unpacked from it.
    pub bytes: u64,
    /// Most values: numbers, strings, lists, keys, tensors, rows.
    pub values: u64,
    /// Deepest nesting of lists, tables, tuples.
    pub depth: u32,
}

impl Budget {
    /// A configuration, a job's state: 16 MiB, a million values, 64 levels.
    pub const CONFIG: Self = Self { bytes: 16 << 20, values: 1 << 20, depth: 64 };
    /// A vocabulary with its merges, and the table of a checkpoint's tensors: 128 MiB, four million values, 64 levels. The largest
    /// published tokenizers have 260,000 tokens and 580,000 merges, 2 million values; a value of JSON takes some 100 bytes of memory.
    pub const VOCABULARY: Self = Self { bytes: 128 << 20, values: 1 << 22, depth: 64 };
    /// One line of a manifest or a list: 16 MiB, a million values, 64 levels.
    pub const LINE: Self = Self::CONFIG;

    /// The whole of it, to be drawn from while `path` is parsed.
    pub fn of<'a>(&self, path: &'a Path) -> Left<'a> {
        Left { path, budget: *self, bytes: 0, values: 0, depth: 0 }
    }

    /// Counts the values and levels of JSON text before anything is built from it; a byte costs about a nanosecond.
    ///
    /// # Errors
    /// [`Error::Budget`]. Text that is no JSON is left to the parser.
    pub fn json(&self, path: &Path, text: &[u8]) -> Result<()> {
        let mut left = self.of(path);
        left.bytes(text.len() as u64)?;
        let (mut quoted, mut escaped) = (false, false);
        for byte in text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'[' | b'{' => {
                    left.values(1)?;
                    left.enter()?;
                }
                b']' | b'}' => left.leave(),
                b',' => left.values(1)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What is left of a [`Budget`] while one file is parsed.
#[derive(Debug, Clone)]
pub struct Left<'a> {
    path: &'a Path,
    budget: Budget,
    bytes: u64,
    values: u64,
    depth: u32,
}

impl Left<'_> {
    /// Draws so many bytes: ask before memory is taken.
    ///
    /// # Errors
    /// [`Error::Budget`].
    pub fn bytes(&mut self, n: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(n);
        self.within(self.bytes, self.budget.bytes, "bytes")
    }

    /// Draws so many values.
    ///
    /// # Errors
    /// [`Error::Budget`].
    pub fn values(&mut self, n: u64) -> Result<()> {
        self.values = self.values.saturating_add(n);
        self.within(self.values, self.budget.values, "values")
    }

    /// One level down.
    ///
    /// # Errors
    /// [`Error::Budget`].
    pub fn enter(&mut self) -> Result<()> {
        self.depth = self.depth.saturating_add(1);
        self.within(self.depth.into(), self.budget.depth.into(), "levels of nesting")
    }

    /// One level up.
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn within(&self, found: u64, limit: u64, what: &str) -> Result<()> {
        if found <= limit {
            return Ok(());
        }
        Err(Error::Budget {
            path: self.path.to_owned(),
            found: format!("{found} {what} or more"),
            limit: format!("{limit} {what}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_told_by_name() {
        let path = Path::new("a.json");
        let budget = Budget { bytes: 40, values: 6, depth: 3 };
        let refused = |text: &str| budget.json(path, text.as_bytes()).unwrap_err().to_string();
        budget.json(path, br#"{"a": [1, 2, [3, 4]]}"#).unwrap();
        // What stands in quotes is no structure.
        budget.json(path, br#"["[[[[[{{{,,,,,,\"[[[["]"#).unwrap();
        assert!(refused("[[[[]]]]").contains("4 levels of nesting or more, more than the 3"));
        assert!(refused("[1,2,3,4,5,6,7]").contains("7 values"));
        assert!(refused(&" ".repeat(41)).starts_with("a.json: 41 bytes"));
    }

    #[test]
    fn sums_do_not_wrap() {
        let mut left = Budget::CONFIG.of(Path::new("a"));
        assert!(left.bytes(u64::MAX).is_err());
        assert!(left.bytes(u64::MAX).is_err());
    }
}
