//! `precision`: what the large products of a step are made in.

use super::Recipe;
use crate::{Error, Result};
use tch::{Device, Kind};
use unisono_encoders::Precision;
use unisono_torch_ext::processor;

impl Recipe {
    /// Refuses an arithmetic that has no gradients.
    pub(super) fn check_precision(&self) -> Result<()> {
        match self.precision {
            Precision::Int8 => {
                Err(Error::setting("precision", "expected fp32 or bf16, found int8: bytes have no gradients"))
            }
            Precision::Fp32 | Precision::Bf16 => Ok(()),
        }
    }

    /// Refuses bf16 on a processor that has no unit for it.
    ///
    /// # Errors
    /// Where it would only be slower.
    pub(crate) fn check_arithmetic(&self, device: Device) -> Result<()> {
        if self.precision != Precision::Bf16 || device != Device::Cpu || processor::get().bf16().is_some() {
            return Ok(());
        }
        let message = "bf16 on a processor with neither AMX nor AVX-512 BF16 takes twice the time of fp32: leave precision out";
        Err(Error::setting("precision", message))
    }

    /// What layers hand each other within attention and feed-forward part while they are trained; `None`: single precision. Weights, norms, the
    /// residual stream, projections and losses are single precision whatever it is, as under PyTorch's autocast.
    pub(crate) fn compute(&self) -> Option<Kind> {
        (self.precision == Precision::Bf16).then_some(Kind::BFloat16)
    }
}
