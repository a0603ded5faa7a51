//! The arithmetic of a model's matrix products.

use tch::{Device, Kind};
use unisono_torch_ext::processor;

/// Arithmetic of the large matrix products. Norms, softmax and sums stay in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    Fp32,
    /// Products of bfloat16 numbers, summed in single precision.
    Bf16,
    /// Weights as signed bytes with a scale for every output channel, activations as unsigned bytes with a scale for every token (CPU
    /// only). An embedding is the same, bit for bit, alone and in any batch.
    Int8,
}

impl Precision {
    /// What layers of this precision hand each other on `device`, for [`Pass::compute`](crate::Pass::compute). A CPU with AMX multiplies bfloat16 numbers
    /// in its attention, too; others turn numbers into them and back for little, and attend in single precision.
    pub fn compute(self, device: Device) -> Kind {
        let tiles = || processor::get().features.get("amx") == Some(&true);
        if self == Self::Bf16 && (device != Device::Cpu || tiles()) { Kind::BFloat16 } else { Kind::Float }
    }

    /// What `device` multiplies faster than single precision while embeddings stay close to those of single precision: bf16 on CPUs
    /// that multiply it ([`Processor::bf16`](unisono_torch_ext::processor::Processor::bf16)), else fp32.
    pub fn auto(device: Device) -> Self {
        let bf16 = device == Device::Cpu && processor::get().bf16().is_some();
        if bf16 { Self::Bf16 } else { Self::Fp32 }
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
