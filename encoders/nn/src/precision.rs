//! Linear layers prepared for inference: weights packed once in the layout that oneDNN multiplies fastest, activations fused, and
//! less precise arithmetic where it was asked for.

use crate::{Activation, Error, Result};
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::{Arg, call_one};

/// Arithmetic of the large matrix products. Norms, softmax and sums stay in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    Fp32,
    /// Products of bfloat16 numbers, summed in single precision.
    Bf16,
    /// Weights as signed bytes with a scale for every output channel, activations as unsigned bytes with a scale found for every
    /// batch (CPU only). A vector then depends a little on its batch.
    Int8,
}

impl Precision {
    /// What layers of this precision hand each other on `device`, for [`Pass::compute`](crate::Pass::compute). A CPU turns numbers into
    /// bfloat16 and back for little, and its attention is made for single precision: there every product gives that.
    pub fn compute(self, device: Device) -> Kind {
        if self == Self::Bf16 && device != Device::Cpu { Kind::BFloat16 } else { Kind::Float }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl std::str::FromStr for Precision {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "fp32" => Ok(Self::Fp32),
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            _ => Err(format!("unknown precision {s:?}: expected fp32, bf16 or int8")),
        }
    }
}

/// A weight in the form that its kernel takes.
#[derive(Debug)]
pub(crate) enum Packed {
    /// oneDNN's blocked layout.
    Fp32(Tensor),
    /// Weight and bias in bfloat16.
    Bf16 { weight: Tensor, bias: Option<Tensor> },
    /// Packed bytes `[out, in]`, scales and zero points `[out]`.
    Int8 { weight: Tensor, scale: Tensor, zero: Tensor },
}

/// Rows for which oneDNN chooses its layout: a batch of images has thousands, a batch of sentences hundreds.
const TYPICAL_ROWS: i64 = 1600;

impl Packed {
    /// Packs `weight` `[out, in]`; `None` where nothing is gained.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, precision: Precision) -> Result<Option<Self>> {
        let weight = weight.f_detach()?;
        let cpu = weight.device() == Device::Cpu;
        Ok(match precision {
            Precision::Fp32 if !cpu => None,
            Precision::Fp32 => {
                let args = [Arg::Tensor(&weight), Arg::Int(TYPICAL_ROWS)];
                Some(Self::Fp32(call_one("mkldnn::_reorder_linear_weight", &args)?))
            }
            Precision::Bf16 => Some(Self::Bf16 {
                weight: weight.f_to_kind(Kind::BFloat16)?,
                bias: bias.map(|b| b.f_detach()?.f_to_kind(Kind::BFloat16)).transpose()?,
            }),
            Precision::Int8 if !cpu => {
                return Err(Error::Input(
                    "int8 runs on CPUs only; take bf16 on a GPU, or --device cpu".into(),
                ));
            }
            Precision::Int8 => {
                let most = weight.f_abs()?.f_amax([1i64].as_slice(), false)?.f_clamp_min(1e-12)?;
                let scale = most.f_div_scalar(127.0)?;
                let bytes = weight
                    .f_div(&scale.f_unsqueeze(1)?)?
                    .f_round()?
                    .f_clamp(-127, 127)?
                    .f_to_kind(Kind::Int8)?;
                let rows = [TYPICAL_ROWS, weight.size()[1]];
                let packed = call_one("onednn::qlinear_prepack", &[Arg::Tensor(&bytes), Arg::Ints(&rows)])?;
                let zero = scale.f_zeros_like()?.f_to_kind(Kind::Int)?;
                Some(Self::Int8 { weight: packed, scale, zero })
            }
        })
    }

    /// `activation(x Wᵀ + b)`, the activation fused where the kernel can.
    pub fn forward(
        &self,
        x: &Tensor,
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
        let bias_arg = bias.map_or(Arg::None, Arg::Tensor);
        let y = match self {
            Self::Fp32(weight) => {
                let x = x.f_to_kind(Kind::Float)?;
                let args = [
                    Arg::Tensor(&x),
                    Arg::Tensor(weight),
                    bias_arg,
                    Arg::Str(name),
                    Arg::Doubles(&[]),
                    Arg::Str(algorithm),
                ];
                call_one("mkldnn::_linear_pointwise", &args)?
            }
            Self::Bf16 { weight, bias } => {
                let y =
                    x.f_to_kind(Kind::BFloat16)?.f_linear(weight, bias.as_ref())?.f_to_kind(Kind::Float)?;
                return match activation {
                    Some(activation) => activation.forward(&y),
                    None => Ok(y),
                };
            }
            Self::Int8 { weight, scale, zero } => {
                let shape = x.size();
                let input = shape.last().copied().unwrap_or(1);
                let rows = x.f_to_kind(Kind::Float)?.f_reshape([-1, input])?;
                let (low, high) = rows.f_aminmax(None::<i64>, false)?;
                // Zero must be a value of its own: padding and ReLU make many.
                let (low, high) = (low.f_double_value(&[])?.min(0.0), high.f_double_value(&[])?.max(0.0));
                let step = ((high - low) / 255.0).max(1e-12);
                let zero_point = (-low / step).round().clamp(0.0, 255.0) as i64;
                let bytes = rows.f_quantize_per_tensor(step, zero_point, Kind::QUInt8)?.f_int_repr()?;
                let args = [
                    Arg::Tensor(&bytes),
                    Arg::Double(step),
                    Arg::Int(zero_point),
                    Arg::Tensor(weight),
                    Arg::Tensor(scale),
                    Arg::Tensor(zero),
                    bias_arg,
                    Arg::Double(1.0),
                    Arg::Int(0),
                    Arg::Kind(Kind::Float),
                    Arg::Str(name),
                    Arg::Doubles(&[]),
                    Arg::Str(algorithm),
                ];
                let y = call_one("onednn::qlinear_pointwise", &args)?;
                let mut out = shape;
                if let Some(last) = out.last_mut() {
                    *last = y.size().last().copied().unwrap_or(0);
                }
                y.f_reshape(&out)?
            }
        };
        match (fused, activation) {
            (None, Some(activation)) => activation.forward(&y),
            _ => Ok(y),
        }
    }
}
