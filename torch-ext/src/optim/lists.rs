//! One operator over whole lists of tensors, in place: no call for each tensor.

use crate::{Arg, Result, call};
use tch::Tensor;

/// Adds `value` to every tensor of the list, in place.
///
/// # Errors
/// libtorch's own.
pub fn add_scalar_(tensors: &[&Tensor], value: f64) -> Result<()> {
    if !tensors.is_empty() {
        tch::no_grad(|| call("aten::_foreach_add_.Scalar", &[Arg::Tensors(tensors), Arg::Double(value)]))?;
    }
    Ok(())
}

/// Multiplies every tensor of the list by `value`, in place.
///
/// # Errors
/// libtorch's own.
pub fn mul_scalar_(tensors: &[&Tensor], value: f64) -> Result<()> {
    if !tensors.is_empty() {
        tch::no_grad(|| call("aten::_foreach_mul_.Scalar", &[Arg::Tensors(tensors), Arg::Double(value)]))?;
    }
    Ok(())
}

/// `targets ← targets + weight · (sources − targets)`, in place: an exponential moving average of a whole model.
///
/// # Errors
/// Lists of different lengths or shapes.
pub fn lerp_(targets: &[&Tensor], sources: &[&Tensor], weight: f64) -> Result<()> {
    if !targets.is_empty() {
        tch::no_grad(|| {
            call(
                "aten::_foreach_lerp_.Scalar",
                &[Arg::Tensors(targets), Arg::Tensors(sources), Arg::Double(weight)],
            )
        })?;
    }
    Ok(())
}

/// The 2-norm of each tensor, `[N]`, on their device: none is waited for.
///
/// # Errors
/// libtorch's own.
pub fn norms(tensors: &[&Tensor]) -> Result<Tensor> {
    if tensors.is_empty() {
        return Ok(tch::no_grad(|| Tensor::f_from_slice::<f32>(&[]))?);
    }
    tch::no_grad(|| {
        let norms = call("aten::_foreach_norm.Scalar", &[Arg::Tensors(tensors), Arg::Int(2)])?;
        Ok(Tensor::f_stack(&norms, 0)?)
    })
}

/// The 2-norm of all tensors together, as one scalar tensor.
///
/// # Errors
/// libtorch's own.
pub fn global_norm(tensors: &[&Tensor]) -> Result<Tensor> {
    let norms = norms(tensors)?;
    Ok(tch::no_grad(|| norms.f_norm())?)
}

/// References to each.
pub(super) fn refs(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_and_averages() {
        let (a, b) = (Tensor::from_slice(&[3f32]), Tensor::from_slice(&[4f32, 0.0]));
        assert_eq!(global_norm(&[&a, &b]).unwrap().double_value(&[]), 5.0);
        assert_eq!(global_norm(&[]).unwrap().double_value(&[]), 0.0);
        assert_eq!(Vec::<f32>::try_from(norms(&[&a, &b]).unwrap()).unwrap(), [3.0, 4.0]);
        lerp_(&[&a], &[&Tensor::from_slice(&[5f32])], 0.25).unwrap();
        assert_eq!(a.double_value(&[0]), 3.5);
    }
}
