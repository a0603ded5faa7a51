//! A convolution prepared for inference: its weight packed once as oneDNN takes it, its activation and what is added to it fused.

use super::ConvShape;
use crate::precision::{Packed, Precision};
use crate::{Activation, Result};
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::{Arg, call_one};

/// A weight and a bias in the form that their kernel takes.
#[derive(Debug)]
pub(super) struct Folded {
    kernel: Kernel,
    bias: Tensor,
    shape: ConvShape,
}

#[derive(Debug)]
enum Kernel {
    /// oneDNN's blocked layout.
    Blocked(Tensor),
    /// Of one place, as a product of less precise numbers; channels along the last axis.
    Product(Packed),
    /// As libtorch takes it.
    Plain(Tensor),
}

/// oneDNN's name of an activation that it fuses, and its numbers.
fn fused(activation: Option<Activation>) -> Option<(&'static str, &'static [f64], &'static str)> {
    match activation {
        None => Some(("none", &[], "")),
        Some(Activation::Relu) => Some(("relu", &[], "")),
        Some(Activation::Relu6) => Some(("hardtanh", &[0.0, 6.0], "")),
        Some(Activation::Silu) => Some(("swish", &[], "")),
        Some(Activation::Gelu) => Some(("gelu", &[], "none")),
        Some(Activation::GeluTanh) => Some(("gelu", &[], "tanh")),
        Some(Activation::QuickGelu | Activation::Tanh) => None,
    }
}

impl Folded {
    /// `weight` `[out, in, k, k]` and `bias` `[out]` without gradients. Only what sees all channels of one place is worth less precise
    /// arithmetic: there the products are.
    pub fn new(weight: &Tensor, bias: Tensor, shape: ConvShape, precision: Precision) -> Result<Self> {
        let product = shape.kernel == 1 && shape.stride == 1 && !shape.depthwise;
        let kernel = if product && precision != Precision::Fp32 {
            let rows = weight.f_flatten(1, -1)?;
            match Packed::new(&rows, Some(&bias), precision)? {
                Some(packed) => Kernel::Product(packed),
                None => Kernel::Plain(weight.shallow_clone()),
            }
        } else if weight.device() == Device::Cpu {
            let pad = [shape.kernel / 2; 2];
            let args = [
                Arg::Tensor(weight),
                Arg::Ints(&pad),
                Arg::Ints(&[shape.stride; 2]),
                Arg::Ints(&[1, 1]),
                Arg::Int(shape.groups()),
            ];
            Kernel::Blocked(call_one("mkldnn::_reorder_convolution_weight", &args)?)
        } else {
            Kernel::Plain(weight.shallow_clone())
        };
        Ok(Self { kernel, bias, shape })
    }

    /// `activation(conv(x) + bias) + to`.
    pub fn forward(&self, x: &Tensor, activation: Option<Activation>, to: Option<&Tensor>) -> Result<Tensor> {
        let (x, padding) = self.shape.padding.apply(x, self.shape.kernel, self.shape.stride)?;
        let (stride, groups) = ([self.shape.stride; 2], self.shape.groups());
        let known = fused(activation);
        let y = match &self.kernel {
            Kernel::Blocked(weight) => {
                let x = x.f_to_kind(Kind::Float)?;
                let (name, numbers, algorithm) = known.unwrap_or(("none", &[], ""));
                let given = [Arg::Tensor(&x), Arg::Tensor(weight), Arg::Tensor(&self.bias)];
                let how = [Arg::Ints(&padding), Arg::Ints(&stride), Arg::Ints(&[1, 1]), Arg::Int(groups)];
                // It adds before it activates, and takes no image of one place.
                if let (Some(to), None) = (to, activation)
                    && to.size().iter().skip(2).any(|n| *n > 1)
                {
                    let [x, weight, bias] = given;
                    let sum = [Arg::Str("add"), Arg::Double(1.0), Arg::None, Arg::Doubles(&[]), Arg::None];
                    let args = [&[x, Arg::Tensor(to), weight, bias], &how[..], &sum].concat();
                    return Ok(call_one("mkldnn::_convolution_pointwise.binary", &args)?);
                }
                let attribute = [Arg::Str(name), Arg::Doubles(numbers), Arg::Str(algorithm)];
                let args = [&given[..], &how, &attribute].concat();
                let y = call_one("mkldnn::_convolution_pointwise", &args)?;
                match (known, activation) {
                    (None, Some(activation)) => activation.forward(&y)?,
                    _ => y,
                }
            }
            Kernel::Product(packed) => {
                let y = packed.forward(&x.f_permute([0, 2, 3, 1])?, Some(&self.bias), activation)?;
                y.f_permute([0, 3, 1, 2])?
            }
            Kernel::Plain(weight) => {
                let y = x.f_conv2d(weight, Some(&self.bias), stride, padding, [1, 1], groups)?;
                match activation {
                    Some(activation) => activation.forward(&y)?,
                    None => y,
                }
            }
        };
        match to {
            Some(to) => Ok(y.f_add(to)?),
            None => Ok(y),
        }
    }
}
