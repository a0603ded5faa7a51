//! Splits by folders' names.

/// Folders' names that are splits.
const SPLITS: [&str; 9] =
    ["train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"];

/// The split that a file's first folder is.
pub(super) fn split_of(file: &str) -> Option<&str> {
    let (first, _) = file.split_once('/')?;
    SPLITS.iter().any(|s| first.eq_ignore_ascii_case(s)).then_some(first)
}
