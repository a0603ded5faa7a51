//! Backward with given output gradients: what gradient caching and adversarial losses need.

use crate::ffi;
use crate::{Error, Result};
use tch::Tensor;

/// Accumulates gradients into the leaves of `tensors`' graphs. `grads[i]` is ∂L/∂`tensors[i]`, of its shape; `None` only for a scalar.
///
/// # Errors
/// Lengths that differ, a gradient of another shape, or a tensor without a graph.
pub fn backward(tensors: &[&Tensor], grads: &[Option<&Tensor>], retain_graph: bool) -> Result<()> {
    same_length("backward", tensors, grads)?;
    let t = ffi::pointers(tensors.iter().map(|t| Some(*t)));
    let g = ffi::pointers(grads.iter().copied());
    // SAFETY: both arrays hold `t.len()` pointers to tensors that are borrowed through the call.
    ffi::check("backward", unsafe { ffi::ute_backward(t.as_ptr(), g.as_ptr(), t.len(), retain_graph, false) })
}

/// ∂(Σ outputs·grads)/∂inputs, without touching any `.grad`. `None` where an input does not take part.
///
/// # Errors
/// As [`backward`].
pub fn grad(
    outputs: &[&Tensor],
    grads: &[Option<&Tensor>],
    inputs: &[&Tensor],
    retain_graph: bool,
    create_graph: bool,
) -> Result<Vec<Option<Tensor>>> {
    same_length("grad", outputs, grads)?;
    let o = ffi::pointers(outputs.iter().map(|t| Some(*t)));
    let g = ffi::pointers(grads.iter().copied());
    let i = ffi::pointers(inputs.iter().map(|t| Some(*t)));
    let mut out = vec![std::ptr::null_mut(); i.len()];
    // SAFETY: the arrays hold the lengths given; `out` receives tensors that we own.
    unsafe {
        ffi::check(
            "grad",
            ffi::ute_grad(
                o.as_ptr(),
                g.as_ptr(),
                o.len(),
                i.as_ptr(),
                i.len(),
                retain_graph,
                create_graph,
                true,
                out.as_mut_ptr(),
            ),
        )?;
        Ok(out.into_iter().map(|p| ffi::own(p)).collect())
    }
}

/// Whether operations of this thread are written down for a backward pass.
pub fn grad_enabled() -> bool {
    // SAFETY: reads a flag of the calling thread.
    unsafe { ffi::ute_grad_enabled() }
}

fn same_length(what: &str, tensors: &[&Tensor], grads: &[Option<&Tensor>]) -> Result<()> {
    if tensors.len() == grads.len() {
        return Ok(());
    }
    let message = format!("{} tensors but {} gradients", tensors.len(), grads.len());
    Err(Error::Torch { what: what.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn backward_with_grad_outputs_is_the_vector_jacobian_product() {
        let x = Tensor::from_slice(&[1f64, 2.0, 3.0]).set_requires_grad(true);
        let y = x.pow_tensor_scalar(2);
        let v = Tensor::from_slice(&[1f64, 10.0, 100.0]);
        backward(&[&y], &[Some(&v)], false).unwrap();
        // d(x²)/dx · v = 2 x v
        assert_eq!(Vec::<f64>::try_from(x.grad()).unwrap(), [2.0, 40.0, 600.0]);
    }

    #[test]
    fn grad_leaves_grads_alone_and_marks_unused() {
        let x = Tensor::from_slice(&[2f64]).set_requires_grad(true);
        let unused = Tensor::from_slice(&[2f64]).set_requires_grad(true);
        let y = &x * &x * &x;
        let g = grad(&[&y], &[None], &[&x, &unused], true, true).unwrap();
        assert_eq!(g[0].as_ref().unwrap().double_value(&[0]), 12.0);
        assert!(g[1].is_none() && !x.grad().defined());
        // create_graph: the gradient has a gradient, 6x.
        let h = grad(&[g[0].as_ref().unwrap()], &[None], &[&x], false, false).unwrap();
        assert_eq!(h[0].as_ref().unwrap().double_value(&[0]), 12.0);
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let x = Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let y = &x * 2.0;
        let v = Tensor::ones([2], (Kind::Float, Device::Cpu));
        assert!(backward(&[&y], &[Some(&v)], false).is_err());
        assert!(backward(&[&y], &[], false).is_err());
    }
}
