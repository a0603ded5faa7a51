//! oneDNN's layers for inference on CPUs: weights in the layouts that it multiplies fastest, what follows a product fused where it can.

use crate::{Activation, Result};
use tch::Tensor;
use unisono_torch_ext::{Arg, call_one};

/// Rows for which oneDNN chooses a product's layout: a batch of images has thousands, a batch of sentences hundreds.
const TYPICAL_ROWS: i64 = 1600;

/// oneDNN's name of an activation that it fuses, its numbers and its algorithm; `None` for one that it does not.
fn fused(activation: Option<Activation>) -> Option<[Arg<'static>; 3]> {
    let (name, numbers, algorithm): (_, &[f64], _) = match activation {
        None => ("none", &[], ""),
        Some(Activation::Relu) => ("relu", &[], ""),
        Some(Activation::Relu6) => ("hardtanh", &[0.0, 6.0], ""),
        Some(Activation::Silu) => ("swish", &[], ""),
        Some(Activation::Tanh) => ("tanh", &[], ""),
        Some(Activation::Gelu) => ("gelu", &[], "none"),
        Some(Activation::GeluTanh) => ("gelu", &[], "tanh"),
        Some(Activation::QuickGelu) => return None,
    };
    Some([Arg::Str(name), Arg::Doubles(numbers), Arg::Str(algorithm)])
}

const PLAIN: [Arg<'static>; 3] = [Arg::Str("none"), Arg::Doubles(&[]), Arg::Str("")];

/// A linear layer's `[out, in]` in its blocked layout.
pub(crate) fn linear_weight(weight: &Tensor) -> Result<Tensor> {
    Ok(call_one("mkldnn::_reorder_linear_weight", &[Arg::Tensor(weight), Arg::Int(TYPICAL_ROWS)])?)
}

/// `activation(x Wᵀ + b) + onto` with a blocked weight, in the arithmetic of `x`.
pub(crate) fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Option<Activation>,
    onto: Option<&Tensor>,
) -> Result<Tensor> {
    let bias = bias.map_or(Arg::None, Arg::Tensor);
    // Its own product with a sum fused is slower than the two one after another.
    let attribute = fused(activation);
    let args = [&[Arg::Tensor(x), Arg::Tensor(weight), bias], &attribute.unwrap_or(PLAIN)[..]].concat();
    let y = call_one("mkldnn::_linear_pointwise", &args)?;
    added(if attribute.is_some() { y } else { activated(y, activation)? }, onto)
}

/// How a convolution with a blocked weight steps over its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    /// Zeros on both ends of each axis.
    pub ends: [i64; 2],
    pub stride: i64,
    pub groups: i64,
}

/// A convolution's `[out, in, k, k]` in its blocked layout.
pub(crate) fn conv_weight(weight: &Tensor, steps: Steps) -> Result<Tensor> {
    let Steps { ends, stride, groups } = steps;
    let (stride, once) = ([stride; 2], [1, 1]);
    let args =
        [Arg::Tensor(weight), Arg::Ints(&ends), Arg::Ints(&stride), Arg::Ints(&once), Arg::Int(groups)];
    Ok(call_one("mkldnn::_reorder_convolution_weight", &args)?)
}

/// `activation(conv(x) + bias) + onto` with a blocked weight.
pub(crate) fn conv(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    steps: Steps,
    activation: Option<Activation>,
    onto: Option<&Tensor>,
) -> Result<Tensor> {
    let Steps { ends, stride, groups } = steps;
    let (stride, once) = ([stride; 2], [1, 1]);
    let attribute = fused(activation);
    let given = [Arg::Tensor(x), Arg::Tensor(weight), Arg::Tensor(bias)];
    let how = [Arg::Ints(&ends), Arg::Ints(&stride), Arg::Ints(&once), Arg::Int(groups)];
    let args = [&given[..], &how, &attribute.unwrap_or(PLAIN)].concat();
    let y = call_one("mkldnn::_convolution_pointwise", &args)?;
    added(if attribute.is_some() { y } else { activated(y, activation)? }, onto)
}

/// `y` is nobody else's.
pub(crate) fn activated(y: Tensor, activation: Option<Activation>) -> Result<Tensor> {
    activation.map_or(Ok(y.shallow_clone()), |activation| activation.forward(&y))
}

/// `y`, which is nobody else's, with `onto` added.
pub(crate) fn added(y: Tensor, onto: Option<&Tensor>) -> Result<Tensor> {
    match onto {
        Some(onto) => Ok(y.shallow_clone().f_add_(onto)?),
        None => Ok(y),
    }
}
