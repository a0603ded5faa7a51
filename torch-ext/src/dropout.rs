//! Dropout whose draws do not hold up the other cores.

use crate::{Result, ffi};
use tch::{Device, Kind, Tensor};

/// `x.dropout(p, true)`, bit for bit, and libtorch's generator is where that leaves it. On CPUs libtorch draws for a number at a time, all of them on
/// one thread: most of a step of a small Transformer. Here a block of the generator is made at a time, with vector instructions.
///
/// # Errors
/// A probability that is none, or libtorch's.
pub fn dropout(x: &Tensor, p: f64) -> Result<Tensor> {
    let plain = x.device() == Device::Cpu && x.kind() == Kind::Float && x.is_contiguous();
    let some = p > 0.0 && p < 1.0 && x.numel() > 0;
    if !(plain && some) {
        return Ok(x.f_dropout(p, true)?);
    }
    let noise = tch::no_grad(|| x.f_empty_like())?;
    // SAFETY: a fresh, contiguous fp32 tensor on the CPU that nothing else refers to, borrowed through the call.
    ffi::check("dropout", unsafe { ffi::ute_dropout_noise(noise.as_ptr(), 1.0 - p) })?;
    Ok(x.f_mul(&noise)?)
}
