//! `precision`: what the large products of a step are made in.

use super::{Arithmetic, Recipe};
use crate::{Error, Result};
use tch::{Device, Kind};
use unisono_encoders::Precision;
use unisono_torch_ext::processor;

impl Recipe {
    /// Refuses bf16 on a processor that has no unit for it.
    ///
    /// # Errors
    /// Where it would only be slower.
    pub(crate) fn check_arithmetic(&self, device: Device) -> Result<()> {
        if self.precision != Arithmetic::Bf16 || device != Device::Cpu || processor::get().bf16().is_some() {
            return Ok(());
        }
        let message = "bf16 on a processor with neither AMX nor AVX-512 BF16 takes twice the time of fp32: leave precision out, or give auto";
        Err(Error::setting("precision", message))
    }

    /// What layers hand each other within attention and feed-forward part while they are trained; `None`: single precision.
    /// Weights, norms, the residual stream, projections and losses are single precision whatever it is, as under PyTorch's autocast.
    pub(crate) fn compute(&self, device: Device) -> Option<Kind> {
        (self.precision.on(device) == Precision::Bf16).then_some(Kind::BFloat16)
    }
}
