//! What could not be used.

use serde::Serialize;

/// An input left out because it could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// The item's id, or the path.
    pub id: String,
    /// What was wrong, in one line.
    pub reason: String,
}
