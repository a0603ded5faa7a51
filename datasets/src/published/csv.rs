//! Annotation files of rows with names in the first one.

use crate::plain::quoted;
use crate::table::{Dialect, Row, whole};
use crate::{Error, Result};
use std::path::Path;
use unisono_files::Budget;

/// What such a file may have: the largest, AudioCaps' second edition, has 8 MB and 400,000 fields.
const BUDGET: Budget = Budget { bytes: 128 << 20, values: 1 << 22, depth: 64 };

/// The rows of a table, of each the `columns` in their order.
///
/// # Errors
/// It cannot be read or is broken, a column is not there, a row has another number of fields; with the line.
pub(super) fn read(path: &Path, set: &str, columns: &[&str]) -> Result<Vec<Row>> {
    let bad = |line: usize, message: String| Error::Manifest { path: path.into(), line, message };
    let mut rows = whole(path, Dialect::COMMAS, &BUDGET)?.into_iter();
    let (line, header) = rows.next().unwrap_or((1, Vec::new()));
    let place = |name: &&str| header.iter().position(|h| h.trim() == *name);
    if let Some(missing) = columns.iter().find(|name| place(name).is_none()) {
        let found: Vec<String> = header.iter().take(12).map(|h| quoted(h.trim())).collect();
        let found = if found.is_empty() { "none".into() } else { found.join(", ") };
        let all = columns.join(", ");
        return Err(bad(
            line,
            format!("expected the columns {all} of {set}; {missing} missing; found {found}"),
        ));
    }
    let places: Vec<usize> = columns.iter().filter_map(place).collect();
    let row = |(line, mut fields): Row| match fields.len() == header.len() {
        true => Ok((line, places.iter().map(|at| std::mem::take(&mut fields[*at])).collect())),
        false => Err(bad(line, format!("expected {} columns, found {}", header.len(), fields.len()))),
    };
    rows.map(row).collect()
}
