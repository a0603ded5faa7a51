//! A manifest that is read by position.

use super::line;
use crate::lines::Form;
use crate::{Record, plain};
use std::path::{Path, PathBuf};

/// JSON Lines, a record each.
#[derive(Debug)]
pub(crate) struct JsonLines {
    path: PathBuf,
    folder: PathBuf,
}

impl JsonLines {
    /// Those of a manifest.
    pub fn of(path: &Path) -> Self {
        Self { path: path.into(), folder: path.parent().unwrap_or(Path::new("")).into() }
    }
}

impl Form for JsonLines {
    fn identity(&self) -> String {
        "manifest 1".into()
    }

    fn end(&self, bytes: &[u8], last: bool) -> Result<Option<usize>, String> {
        let end = bytes.iter().position(|b| *b == b'\n').map(|at| at + 1);
        Ok(end.or(last.then_some(bytes.len())))
    }

    fn record(&self, bytes: &[u8], _: u64) -> Result<Option<Record>, String> {
        match plain::utf8(bytes)?.trim() {
            "" => Ok(None),
            text => line::parse(text, &self.path, &self.folder).map(Some),
        }
    }

    fn strict(&self) -> bool {
        true
    }
}
