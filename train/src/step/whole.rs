//! The whole batch goes through the towers at once.

use super::{Asked, Gradients, Step, finite, total};
use crate::Result;
use crate::clock::Clock;
use unisono_torch_ext::autograd;

impl Step<'_> {
    /// `rows`: what each sample is known by, where draws are a function of the sample; otherwise they are libtorch's generator's, which starts anew
    /// each step: a function of (seed, step).
    pub(super) fn whole(&self, asked: Asked, rows: Option<&[u64]>, clock: &mut Clock) -> Result<Gradients> {
        let Asked { samples, params, at } = asked;
        self.seed(at.0, 0);
        let forwarded = self.forward(samples, &self.pass(at.0, rows), &[])?;
        if rows.is_some() {
            self.seed(at.0, 0);
        }
        let losses = self.losses(samples, &forwarded, at.0)?;
        let total = total(&losses, at.0)?;
        let loss = total.double_value(&[]);
        finite(loss, "the loss", at, samples)?;
        let parts = losses.named();
        clock.lap("forward");
        let of = autograd::grad(&[total], &[None], params, false, false)?;
        clock.lap("backward");
        Ok(Gradients { loss, parts, of, flops: forwarded.flops + losses.flops })
    }
}
