//! A convolution prepared for inference: its weight packed once as oneDNN takes it, its activation and what is added to it fused.

use super::{ConvShape, Padding};
use crate::packed::Packed;
use crate::{Activation, Precision, Result};
use tch::{Device, Tensor};
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
    /// Of one place: a product over the last axis, oneDNN's blocked layout.
    Linear(Tensor),
    /// The same of less precise numbers.
    Product(Packed),
    /// oneDNN's blocked layout; `grown`: with a row and a column of zeros in front.
    Blocked { weight: Tensor, grown: Option<Tensor> },
    /// As libtorch takes it.
    Plain(Tensor),
}

/// Places for which oneDNN chooses the layout of a product's weight.
const TYPICAL_ROWS: i64 = 3136;

/// oneDNN's name of an activation that it fuses, its numbers and its algorithm; `None` for one that it does not.
fn fused(activation: Option<Activation>) -> Option<[Arg<'static>; 3]> {
    let (name, numbers, algorithm): (_, &[f64], _) = match activation {
        None => ("none", &[], ""),
        Some(Activation::Relu) => ("relu", &[], ""),
        Some(Activation::Relu6) => ("hardtanh", &[0.0, 6.0], ""),
        Some(Activation::Silu) => ("swish", &[], ""),
        Some(Activation::Gelu) => ("gelu", &[], "none"),
        Some(Activation::GeluTanh) => ("gelu", &[], "tanh"),
        Some(Activation::QuickGelu | Activation::Tanh) => return None,
    };
    Some([Arg::Str(name), Arg::Doubles(numbers), Arg::Str(algorithm)])
}

const PLAIN: [Arg<'static>; 3] = [Arg::Str("none"), Arg::Doubles(&[]), Arg::Str("")];

impl Folded {
    /// `weight` `[out, in, k, k]` and `bias` `[out]` without gradients. Only what sees all channels of one place is worth less precise
    /// arithmetic: there the products are.
    pub fn new(weight: &Tensor, bias: Tensor, shape: ConvShape, precision: Precision) -> Result<Self> {
        let pointwise = shape.kernel == 1 && shape.stride == 1 && !shape.depthwise;
        let cpu = weight.device() == Device::Cpu;
        let rows = weight.f_flatten(1, -1)?;
        let kernel = match precision {
            Precision::Fp32 if pointwise && cpu => {
                let args = [Arg::Tensor(&rows), Arg::Int(TYPICAL_ROWS)];
                Kernel::Linear(call_one("mkldnn::_reorder_linear_weight", &args)?)
            }
            Precision::Bf16 | Precision::Int8 if pointwise => {
                match Packed::new(&rows, Some(&bias), precision)? {
                    Some(packed) => Kernel::Product(packed),
                    None => Kernel::Plain(weight.shallow_clone()),
                }
            }
            _ if cpu => {
                let uneven = shape.depthwise && shape.padding == Padding::Same && shape.stride % 2 == 0;
                let grown = uneven.then(|| blocked(&weight.f_constant_pad_nd([1, 0, 1, 0])?, shape));
                Kernel::Blocked { weight: blocked(weight, shape)?, grown: grown.transpose()? }
            }
            _ => Kernel::Plain(weight.shallow_clone()),
        };
        Ok(Self { kernel, bias, shape })
    }

    /// `activation(conv(x) + bias) + to`.
    pub fn forward(&self, x: &Tensor, activation: Option<Activation>, to: Option<&Tensor>) -> Result<Tensor> {
        let ConvShape { kernel, stride, padding, .. } = self.shape;
        let last = |x: &Tensor| x.f_permute([0, 2, 3, 1]);
        let bias = Arg::Tensor(&self.bias);
        let attribute = fused(activation);
        let y = match &self.kernel {
            Kernel::Linear(weight) => {
                let rows = last(x)?;
                // It adds before it activates.
                if let (Some(to), None) = (to, activation) {
                    let to = last(to)?;
                    let args =
                        [Arg::Tensor(&rows), Arg::Tensor(&to), Arg::Tensor(weight), bias, Arg::Str("add")];
                    let y = call_one("mkldnn::_linear_pointwise.binary", &args)?;
                    return Ok(y.f_permute([0, 3, 1, 2])?);
                }
                let given = [Arg::Tensor(&rows), Arg::Tensor(weight), bias];
                let args = [&given[..], &attribute.unwrap_or(PLAIN)].concat();
                call_one("mkldnn::_linear_pointwise", &args)?.f_permute([0, 3, 1, 2])?
            }
            Kernel::Product(packed) => {
                let y = packed.forward(&last(x)?, Some(&self.bias), activation)?.f_permute([0, 3, 1, 2])?;
                return sum(y, to);
            }
            Kernel::Blocked { weight, grown } => {
                let [[top, bottom], [left, right]] = padding.ends(x, kernel, stride)?;
                let (x, weight, ends) = match grown {
                    // As many zeros on either side of a kernel that begins with zeros: nothing is copied.
                    Some(grown) if bottom > top && right > left => {
                        (x.shallow_clone(), grown, [bottom, right])
                    }
                    _ => {
                        let (x, ends) = padding.apply(x, kernel, stride)?;
                        (x, weight, ends)
                    }
                };
                let given = [Arg::Tensor(&x), Arg::Tensor(weight), bias];
                let (stride, groups) = ([stride; 2], Arg::Int(self.shape.groups()));
                let how = [Arg::Ints(&ends), Arg::Ints(&stride), Arg::Ints(&[1, 1]), groups];
                let args = [&given[..], &how, &attribute.unwrap_or(PLAIN)].concat();
                call_one("mkldnn::_convolution_pointwise", &args)?
            }
            Kernel::Plain(weight) => {
                let (x, ends) = padding.apply(x, kernel, stride)?;
                let groups = self.shape.groups();
                let y = x.f_conv2d(weight, Some(&self.bias), [stride; 2], ends, [1, 1], groups)?;
                return sum(activated(y, activation)?, to);
            }
        };
        sum(if attribute.is_some() { y } else { activated(y, activation)? }, to)
    }
}

fn blocked(weight: &Tensor, shape: ConvShape) -> Result<Tensor> {
    let ends = [weight.size4()?.2 / 2; 2];
    let args = [
        Arg::Tensor(weight),
        Arg::Ints(&ends),
        Arg::Ints(&[shape.stride; 2]),
        Arg::Ints(&[1, 1]),
        Arg::Int(shape.groups()),
    ];
    Ok(call_one("mkldnn::_reorder_convolution_weight", &args)?)
}

fn activated(y: Tensor, activation: Option<Activation>) -> Result<Tensor> {
    activation.map_or(Ok(y.shallow_clone()), |activation| activation.forward(&y))
}

fn sum(y: Tensor, to: Option<&Tensor>) -> Result<Tensor> {
    match to {
        Some(to) => Ok(y.f_add(to)?),
        None => Ok(y),
    }
}
