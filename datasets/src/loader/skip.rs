//! What is left out.

use serde::Serialize;

/// A record or an input left out because it could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// The record's or item's id, or the path.
    pub id: String,
    /// What was wrong, in one line.
    pub reason: String,
}
