//! Linear layers prepared for inference: weights packed once in the layout that oneDNN multiplies fastest, activations fused, and
//! less precise arithmetic where it was asked for.

use crate::{Activation, Error, Precision, Result, onednn};
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::rows::{self, Bytes, Weights};

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

impl Packed {
    /// Packs `weight` `[out, in]`; `None` where nothing is gained.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, precision: Precision) -> Result<Option<Self>> {
        let weight = weight.f_detach()?;
        let cpu = weight.device() == Device::Cpu;
        Ok(match precision {
            Precision::Fp32 if !cpu => None,
            Precision::Fp32 => Some(Self::Fp32(onednn::linear_weight(&weight)?)),
            Precision::Bf16 => {
                let weight = weight.f_to_kind(Kind::BFloat16)?;
                let bias = bias.map(|b| b.f_detach()?.f_to_kind(Kind::BFloat16)).transpose()?;
                Some(match cpu {
                    true => Self::Bf16Blocked { weight: onednn::linear_weight(&weight)?, bias },
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
        if alone { Ok(Some(Self::Alone(onednn::linear_weight(&weight.f_detach()?)?))) } else { Ok(None) }
    }

    /// `activation(x Wᵀ + b) + onto` in single precision, fused where the kernel can.
    pub fn forward(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Activation>,
        onto: Option<&Tensor>,
    ) -> Result<Tensor> {
        match self {
            Self::Fp32(weight) => onednn::linear(&x.f_to_kind(Kind::Float)?, weight, bias, activation, onto),
            Self::Alone(weight) => {
                let x = x.f_to_kind(Kind::Float)?;
                let width = x.size().last().copied().unwrap_or(1);
                if x.numel() as i64 != width {
                    return onednn::linear(&x, weight, bias, activation, onto);
                }
                // oneDNN multiplies one row by another kernel than several, which adds in another order.
                let twice = x.f_reshape([1, width])?.f_repeat([2, 1])?;
                let y = onednn::linear(&twice, weight, bias, activation, None)?.f_narrow(0, 0, 1)?;
                let mut shape = x.size();
                if let Some(last) = shape.last_mut() {
                    *last = y.size()[1];
                }
                onednn::added(y.f_reshape(&shape)?, onto)
            }
            Self::Bf16 { weight, bias } => {
                let y = x.f_to_kind(Kind::BFloat16)?.f_linear(weight, bias.as_ref())?;
                onednn::added(onednn::activated(y.f_to_kind(Kind::Float)?, activation)?, onto)
            }
            Self::Bf16Blocked { weight, bias } => {
                let x = x.f_to_kind(Kind::BFloat16)?;
                let y = onednn::linear(&x, weight, bias.as_ref(), activation, None)?;
                onednn::added(y.f_to_kind(Kind::Float)?, onto)
            }
            Self::Int8(weights) => Ok(weights.forward(&Bytes::of(x)?, after(activation), onto)?),
        }
    }

    /// `activation(x Wᵀ + b)` of bfloat16 numbers, in them; `None` where the weight is not kept so.
    pub fn bf16(&self, x: &Tensor, activation: Option<Activation>) -> Result<Option<Tensor>> {
        Ok(match self {
            Self::Bf16 { weight, bias } => {
                Some(onednn::activated(x.f_linear(weight, bias.as_ref())?, activation)?)
            }
            Self::Bf16Blocked { weight, bias } => {
                Some(onednn::linear(x, weight, bias.as_ref(), activation, None)?)
            }
            Self::Fp32(_) | Self::Alone(_) | Self::Int8(_) => None,
        })
    }

    /// `second(activation(self(x))) + onto`, what goes from one to the other in the form that the second takes. `None` where both are
    /// not of one reduced precision on a CPU.
    pub fn pair(
        &self,
        second: &Self,
        x: &Tensor,
        activation: Activation,
        onto: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        Ok(match (self, second) {
            (Self::Int8(first), Self::Int8(second)) => {
                let hidden = first.forward_bytes(&Bytes::of(x)?, after(Some(activation)))?;
                Some(second.forward(&hidden, rows::Activation::None, onto)?)
            }
            (Self::Bf16Blocked { weight, bias }, Self::Bf16Blocked { .. }) => {
                let x = x.f_to_kind(Kind::BFloat16)?;
                let hidden = onednn::linear(&x, weight, bias.as_ref(), Some(activation), None)?;
                Some(second.forward(&hidden, None, None, onto)?)
            }
            _ => None,
        })
    }
}

/// The same in the words of `rows`.
pub(crate) fn after(activation: Option<Activation>) -> rows::Activation {
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
