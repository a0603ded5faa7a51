//! Linear layers prepared for inference: weights packed once in the layout that oneDNN multiplies fastest, activations fused, and
//! less precise arithmetic where it was asked for.

use crate::{Activation, Error, Precision, Result};
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::rows::{self, Bytes, Weights};
use unisono_torch_ext::{Arg, call_one};

/// A weight in the form that its kernel takes.
#[derive(Debug)]
pub(crate) enum Packed {
    /// oneDNN's blocked layout.
    Fp32(Tensor),
    /// The same, for a layer of which every row must be the same alone and in any batch.
    Alone(Tensor),
    /// Weight and bias in bfloat16.
    Bf16 { weight: Tensor, bias: Option<Tensor> },
    /// The same in oneDNN's blocked layout.
    Bf16Blocked { weight: Tensor, bias: Option<Tensor> },
    /// Bytes.
    Int8(Weights),
}

/// Rows for which oneDNN chooses its layout: a batch of images has thousands, a batch of sentences hundreds.
const TYPICAL_ROWS: i64 = 1600;

/// In oneDNN's blocked layout.
fn blocked(weight: &Tensor) -> Result<Tensor> {
    Ok(call_one("mkldnn::_reorder_linear_weight", &[Arg::Tensor(weight), Arg::Int(TYPICAL_ROWS)])?)
}

impl Packed {
    /// Packs `weight` `[out, in]`; `None` where nothing is gained.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, precision: Precision) -> Result<Option<Self>> {
        let weight = weight.f_detach()?;
        let cpu = weight.device() == Device::Cpu;
        Ok(match precision {
            Precision::Fp32 if !cpu => None,
            Precision::Fp32 => Some(Self::Fp32(blocked(&weight)?)),
            Precision::Bf16 => {
                let weight = weight.f_to_kind(Kind::BFloat16)?;
                let bias = bias.map(|b| b.f_detach()?.f_to_kind(Kind::BFloat16)).transpose()?;
                Some(match cpu {
                    true => Self::Bf16Blocked { weight: blocked(&weight)?, bias },
                    false => Self::Bf16 { weight, bias },
                })
            }
            Precision::Int8 if !cpu => {
                return Err(Error::Input(
                    "int8 runs on CPUs only; take bf16 on a GPU, or --device cpu".into(),
                ));
            }
            Precision::Int8 => Some(Self::Int8(Weights::new(&weight, bias)?)),
        })
    }

    /// For a layer that stays in single precision beside layers of `precision`: where those give every row alone what they give it in
    /// any batch, this one does, too. `None` where nothing is asked of it.
    pub fn beside(weight: &Tensor, precision: Precision) -> Result<Option<Self>> {
        let alone = precision == Precision::Int8 && weight.device() == Device::Cpu;
        if alone { Ok(Some(Self::Alone(blocked(&weight.f_detach()?)?))) } else { Ok(None) }
    }

    /// `activation(x Wᵀ + b)` in single precision, the activation fused where the kernel can.
    pub fn forward(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Activation>,
    ) -> Result<Tensor> {
        match self {
            Self::Fp32(weight) => product(&x.f_to_kind(Kind::Float)?, weight, bias, activation),
            Self::Alone(weight) => {
                let x = x.f_to_kind(Kind::Float)?;
                let width = x.size().last().copied().unwrap_or(1);
                if x.numel() as i64 != width {
                    return product(&x, weight, bias, activation);
                }
                // oneDNN multiplies one row by another kernel than several, which adds in another order.
                let twice = x.f_reshape([1, width])?.f_repeat([2, 1])?;
                let y = product(&twice, weight, bias, activation)?.f_narrow(0, 0, 1)?;
                let mut shape = x.size();
                if let Some(last) = shape.last_mut() {
                    *last = y.size()[1];
                }
                Ok(y.f_reshape(&shape)?)
            }
            Self::Bf16 { weight, bias } => {
                let y = x.f_to_kind(Kind::BFloat16)?.f_linear(weight, bias.as_ref())?;
                let y = y.f_to_kind(Kind::Float)?;
                activation.map_or(Ok(y.shallow_clone()), |activation| activation.forward(&y))
            }
            Self::Bf16Blocked { weight, bias } => {
                let x = x.f_to_kind(Kind::BFloat16)?;
                Ok(product(&x, weight, bias.as_ref(), activation)?.f_to_kind(Kind::Float)?)
            }
            Self::Int8(weights) => Ok(weights.forward(&Bytes::of(x)?, after(activation))?),
        }
    }

    /// `second(activation(self(x)))`, what goes from one to the other in the form that the second takes. `None` where both are not of
    /// one reduced precision on a CPU.
    pub fn pair(&self, second: &Self, x: &Tensor, activation: Activation) -> Result<Option<Tensor>> {
        Ok(match (self, second) {
            (Self::Int8(first), Self::Int8(second)) => {
                let hidden = first.forward_bytes(&Bytes::of(x)?, after(Some(activation)))?;
                Some(second.forward(&hidden, rows::Activation::None)?)
            }
            (Self::Bf16Blocked { weight, bias }, Self::Bf16Blocked { .. }) => {
                let hidden = product(&x.f_to_kind(Kind::BFloat16)?, weight, bias.as_ref(), Some(activation))?;
                Some(second.forward(&hidden, None, None)?)
            }
            _ => None,
        })
    }
}

/// oneDNN's product with a blocked weight, in the arithmetic of `x`.
fn product(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Option<Activation>,
) -> Result<Tensor> {
    let fused = match activation {
        None => Some(("none", "")),
        Some(Activation::Gelu) => Some(("gelu", "none")),
        Some(Activation::GeluTanh) => Some(("gelu", "tanh")),
        Some(Activation::Relu) => Some(("relu", "")),
        Some(Activation::QuickGelu | Activation::Silu | Activation::Relu6 | Activation::Tanh) => None,
    };
    let (name, algorithm) = fused.unwrap_or(("none", ""));
    let args = [
        Arg::Tensor(x),
        Arg::Tensor(weight),
        bias.map_or(Arg::None, Arg::Tensor),
        Arg::Str(name),
        Arg::Doubles(&[]),
        Arg::Str(algorithm),
    ];
    let y = call_one("mkldnn::_linear_pointwise", &args)?;
    match (fused, activation) {
        (None, Some(activation)) => activation.forward(&y),
        _ => Ok(y),
    }
}

fn after(activation: Option<Activation>) -> rows::Activation {
    match activation {
        None => rows::Activation::None,
        Some(Activation::Relu) => rows::Activation::Relu,
        Some(Activation::Gelu) => rows::Activation::Gelu,
        Some(Activation::GeluTanh) => rows::Activation::GeluTanh,
        Some(Activation::QuickGelu) => rows::Activation::QuickGelu,
        Some(Activation::Silu) => rows::Activation::Silu,
        Some(Activation::Relu6) => rows::Activation::Relu6,
        Some(Activation::Tanh) => rows::Activation::Tanh,
    }
}
