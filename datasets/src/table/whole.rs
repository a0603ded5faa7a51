//! A small table, all of it in memory.

use super::rows::Dialect;
use crate::plain::utf8;
use crate::{Error, Result};
use std::path::Path;
use unisono_files::Budget;

/// A row that is not blank, with the line that it begins on.
pub(crate) type Row = (usize, Vec<String>);

/// All rows of a table.
///
/// # Errors
/// It cannot be read, is larger than the budget, no text, or broken; with the line.
pub(crate) fn whole(path: &Path, dialect: Dialect, budget: &Budget) -> Result<Vec<Row>> {
    let bad = |line: usize, message: String| Error::Manifest { path: path.into(), line, message };
    let bytes = unisono_files::read(path, budget)?;
    let text = utf8(&bytes).map_err(|message| bad(first_bad_line(&bytes), message))?;
    let mut left = budget.of(path);
    let (mut rows, mut rest, mut line) = (Vec::new(), text, 1);
    while !rest.is_empty() {
        let end = dialect.end(rest.as_bytes(), true).map_err(|m| bad(line, m))?;
        let (row, after) = rest.split_at(end.unwrap_or(rest.len()));
        for _ in row.bytes().filter(|b| *b == dialect.delimiter || *b == b'\n') {
            left.values(1).map_err(|e| bad(line, bound(e)))?;
        }
        let fields = dialect.fields(row).map_err(|m| bad(line, m))?;
        if fields.iter().any(|f| !f.trim().is_empty()) {
            rows.push((line, fields.into_iter().map(Into::into).collect()));
        }
        line += row.bytes().filter(|b| *b == b'\n').count();
        rest = after;
    }
    Ok(rows)
}

/// The line of a table that is no text.
fn first_bad_line(bytes: &[u8]) -> usize {
    let good = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
    let end = bytes[..good].iter().position(|b| *b == 0).unwrap_or(good);
    bytes[..end].iter().filter(|b| **b == b'\n').count() + 1
}

/// The words of a budget that is used up; the path stands before them already.
fn bound(error: unisono_files::Error) -> String {
    match error {
        unisono_files::Error::Budget { found, limit, .. } => {
            format!("{found}, more than the {limit} that such a file may have")
        }
        other => other.to_string(),
    }
}
