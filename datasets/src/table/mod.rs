//! Tables: comma- or tab-separated values, a record a row, its fields by the names in the first row.
//!
//! What separates is a tab in a `.tsv` file; elsewhere it is seen in the first row: a tab, else a comma, else a semicolon. Fields are quoted as RFC
//! 4180 says. Paths are relative to the table's folder. A row is a record, also where several rows show one image, unless `group_by` names
//! a column: neighbouring rows that are alike in it are one record with all their captions then.

mod head;
mod rows;
mod whole;

pub(crate) use head::Table;
pub(crate) use rows::Dialect;
pub(crate) use whole::{Row, whole};

use std::path::Path;

/// Whether a path is a table's by its name.
pub(crate) fn is_table(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["csv", "tsv", "tab"].iter().any(|e| ending.eq_ignore_ascii_case(e))
}

#[cfg(test)]
#[path = "../tests/table.rs"]
mod tests;
