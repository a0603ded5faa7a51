//! Annotation files of JSON, typed: keys that nobody asks for cost no memory.

use crate::plain::utf8;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use std::path::Path;
use unisono_files::Budget;

/// What captions and splits may have; the largest, Karpathy's of COCO, has 144 MB and 12 million values.
pub(super) const BUDGET: Budget = Budget { bytes: 512 << 20, values: 1 << 24, depth: 32 };

/// Longest words of the parser's in a message: it repeats what it found.
const LONGEST: usize = 160;

/// A file of one form.
///
/// # Errors
/// It cannot be read, is larger than the budget, no JSON, or of another form; with the line.
pub(super) fn read<T: DeserializeOwned>(path: &Path, budget: &Budget, form: &str) -> Result<T> {
    let bytes = unisono_files::read(path, budget)?;
    let text = utf8(&bytes).map_err(|message| Error::archive(path, message))?;
    budget.json(path, text.as_bytes())?;
    serde_json::from_str(text).map_err(|e| {
        let said = e.to_string();
        let cause = said.rsplit_once(" at line ").map_or(said.as_str(), |(cause, _)| cause);
        let cause: String =
            cause.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let message = format!("expected {form}: {cause} (column {})", e.column());
        Error::Manifest { path: path.into(), line: e.line().max(1), message }
    })
}
