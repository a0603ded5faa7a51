//! What several passes through a tower give, as if it had been one.

use crate::clips::{Tokens, joined};
use crate::towers::TowerOutput;
use crate::{Error, Result};
use tch::Tensor;

/// What a tower gives for some rows, in their order.
#[derive(Debug)]
pub struct Gathered {
    /// `[n, W]`.
    pub pooled: Tensor,
    /// Tokens padded to the longest, where they were wanted.
    pub tokens: Option<Tokens>,
    /// Floating-point operations that it took, a lower bound.
    pub flops: f64,
}

/// The parts on their way.
#[derive(Debug)]
pub(crate) struct Parts {
    wanted: bool,
    pooled: Vec<Tensor>,
    tokens: Vec<Tokens>,
    order: Vec<usize>,
    flops: f64,
}

impl Gathered {
    /// No parts yet, whose tokens are `wanted` or not.
    pub(crate) fn of(wanted: bool) -> Parts {
        Parts { wanted, pooled: Vec::new(), tokens: Vec::new(), order: Vec::new(), flops: 0.0 }
    }
}

impl Parts {
    /// The output for the rows of these numbers.
    pub fn push(&mut self, out: TowerOutput, rows: Vec<usize>, flops: f64) {
        self.pooled.push(out.pooled);
        if self.wanted {
            self.tokens.push((out.tokens, out.mask));
        }
        self.order.extend(rows);
        self.flops += flops;
    }

    /// All of them, row 0 first.
    pub fn done(mut self) -> Result<Gathered> {
        let ordered = self.order.is_sorted();
        let place = |x: Tensor| if ordered { Ok(x) } else { back(&x, &self.order) };
        let tokens = match self.tokens.len() {
            0 => None,
            1 => self.tokens.pop(),
            _ => Some(joined(&self.tokens)?),
        };
        let tokens = match tokens {
            Some((tokens, mask)) => Some((place(tokens)?, mask.map(place).transpose()?)),
            None => None,
        };
        let pooled = match self.pooled.len() {
            0 => return Err(Error::Input("a batch of nothing".into())),
            1 => self.pooled.swap_remove(0),
            _ => Tensor::f_cat(&self.pooled, 0)?,
        };
        Ok(Gathered { pooled: place(pooled)?, tokens, flops: self.flops })
    }
}

/// Rows whose places are `order` → row 0 first.
pub(crate) fn back(x: &Tensor, order: &[usize]) -> Result<Tensor> {
    let mut back = vec![0i64; order.len()];
    for (position, row) in order.iter().enumerate() {
        back[*row] = position as i64;
    }
    Ok(x.f_index_select(0, &Tensor::f_from_slice(&back)?.f_to_device(x.device())?)?)
}
