//! Bounds of settings.

use crate::{Error, Result};

/// More tokens than any vocabulary has.
pub(crate) const VOCABULARY: i64 = 1 << 24;

/// Refuses a `value` outside of `least` to `most`, by its key.
pub(crate) fn range(key: &str, value: i64, least: i64, most: i64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::Config(format!("{key}: expected {least} to {most}, found {value}")))
}
