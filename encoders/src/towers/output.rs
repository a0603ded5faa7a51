//! What towers give, and the learned tokens that some begin with.

use crate::Result;
use tch::Tensor;
use unisono_nn::{Init, Scope};

/// What a tower makes of a batch.
#[derive(Debug)]
pub struct TowerOutput {
    /// `[B, T, W]`, after the final norm where that is over the tokens; prefix tokens first.
    pub tokens: Tensor,
    /// `[B, T]` bool, true where a token is real; `None` when all are.
    pub mask: Option<Tensor>,
    /// `[B, W]`.
    pub pooled: Tensor,
}

/// Learned tokens before the others.
pub(crate) fn prefix(scope: &Scope, n: i64, width: i64) -> Result<Option<Tensor>> {
    if n == 0 {
        return Ok(None);
    }
    Ok(Some(scope.param("prefix", &[n, width], Init::Normal(0.02))?))
}

pub(crate) fn with_prefix(prefix: Option<&Tensor>, x: Tensor, b: i64) -> Result<Tensor> {
    let Some(prefix) = prefix else { return Ok(x) };
    let (n, w) = prefix.size2()?;
    Ok(Tensor::f_cat(&[prefix.f_unsqueeze(0)?.f_expand([b, n, w], false)?, x], 1)?)
}
