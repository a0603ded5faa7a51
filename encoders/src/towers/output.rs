//! What towers give.

use tch::Tensor;

/// What a tower makes of a batch.
#[derive(Debug)]
pub struct TowerOutput {
    /// `[B, T, W]`, after the final norm where that is over the tokens; prefix tokens first.
    pub tokens: Tensor,
    /// `[B, T]` bool, true where a token is real; `None` when all are.
    pub mask: Option<Tensor>,
    /// `[B, W]`.
    pub pooled: Tensor,
    /// Ids `[B, T]` int64 that a decoder behind the tower has written, its end token behind each, where the text tower is to read them.
    pub written: Option<Tensor>,
}
