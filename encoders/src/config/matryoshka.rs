//! Embeddings whose first numbers are embeddings themselves (Kusupati et al. 2022).

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What embeddings may be cut to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matryoshka {
    /// Sizes that were trained, the largest first; empty where nobody says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<i64>,
    /// The size where nothing else is asked for; absent: whole embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<i64>,
}

impl Matryoshka {
    /// Refuses sizes above the width `embed_dim`.
    pub(super) fn validate(&self, embed_dim: i64) -> Result<()> {
        let all = self.sizes.iter().map(|n| ("sizes", n)).chain(self.default.iter().map(|n| ("default", n)));
        match all.into_iter().find(|(_, n)| !(1..=embed_dim).contains(*n)) {
            Some((key, n)) => {
                let message = format!("expected 1 to the width {embed_dim}, found {n}");
                Err(Error::config(format!("matryoshka.{key}"), message))
            }
            None => Ok(()),
        }
    }
}
