//! What a term lacks, said by the recipe's key.

use crate::{Error, Result};

/// A setting by which no model, or not this one, can learn.
pub(super) fn refuse<T>(field: &str, message: &str) -> Result<T> {
    Err(Error::Config(format!("{field}: {message}")))
}

/// A loss that was given another number of tensors than it is of.
pub(super) fn arguments<T>() -> Result<T> {
    Err(Error::Shape("a loss was given another number of tensors than it is of".into()))
}
