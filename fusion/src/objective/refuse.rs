//! What a term lacks, said by the recipe's key.

use crate::{Error, Result};

/// A setting by which no model, or not this one, can learn.
pub(super) fn refuse<T>(field: &str, message: &str) -> Result<T> {
    Err(Error::Config(format!("{field}: {message}")))
}
