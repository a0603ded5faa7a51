//! Stems: what fits an input, and the grid of tokens that it gives.

use super::*;
use crate::{Error, Result};

fn ceil(a: i64, b: i64) -> i64 {
    (a + b - 1) / b
}

impl StemConfig {
    pub(super) fn validate(&self, at: &str, input: [i64; 2]) -> Result<()> {
        match self {
            Self::Patch { size, stride } => {
                for axis in 0..2 {
                    within(&format!("{at}.size"), size[axis], input[axis])?;
                    if let Some(stride) = stride {
                        within(&format!("{at}.stride"), stride[axis], size[axis])?;
                    }
                }
                if stride.is_none() && input[1] % size[1] != 0 {
                    return Err(Error::config(
                        format!("{at}.size"),
                        format!("patch of {} does not divide the input's {}", size[1], input[1]),
                    ));
                }
            }
            Self::Frames { strides, .. } => {
                if strides.is_empty() || strides.len() > 16 {
                    let n = strides.len();
                    return Err(Error::config(
                        format!("{at}.strides"),
                        format!("expected 1 to 16, found {n}"),
                    ));
                }
                for stride in strides {
                    within(&format!("{at}.strides"), *stride, 16)?;
                }
            }
            Self::Conv { layers, .. } => {
                if layers.is_empty() || layers.len() > 256 {
                    let n = layers.len();
                    return Err(Error::config(
                        format!("{at}.layers"),
                        format!("expected 1 to 256, found {n}"),
                    ));
                }
                let mut channels = 0;
                for (i, l) in layers.iter().enumerate() {
                    within(&format!("{at}.layers[{i}].channels"), l.channels, 1 << 14)?;
                    within(&format!("{at}.layers[{i}].stride"), l.stride[0].min(l.stride[1]), 16)?;
                    within(&format!("{at}.layers[{i}].stride"), l.stride[0].max(l.stride[1]), 16)?;
                    if l.residual && (l.stride != [1, 1] || l.channels != channels) {
                        return Err(Error::config(
                            format!("{at}.layers[{i}].residual"),
                            format!("needs stride 1 and as many channels as the layer before ({channels})"),
                        ));
                    }
                    channels = l.channels;
                }
            }
        }
        Ok(())
    }

    /// Height and width of the grid of tokens for an input of this height and width.
    pub fn grid(&self, input: [i64; 2]) -> [i64; 2] {
        match self {
            Self::Patch { size, stride: None } => [ceil(input[0], size[0]), ceil(input[1], size[1])],
            Self::Patch { size, stride: Some(stride) } => {
                [0, 1].map(|axis| (input[axis] - size[axis]) / stride[axis] + 1)
            }
            Self::Frames { strides, .. } => [strides.iter().fold(input[0], |n, s| ceil(n, *s)), 1],
            Self::Conv { layers, .. } => {
                layers.iter().fold(input, |[h, w], l| [ceil(h, l.stride[0]), ceil(w, l.stride[1])])
            }
        }
    }

    /// Frames that one step along the first axis covers.
    pub fn stride(&self) -> i64 {
        match self {
            Self::Patch { size, stride } => stride.unwrap_or(*size)[0],
            Self::Frames { strides, .. } => strides.iter().product(),
            Self::Conv { layers, .. } => layers.iter().map(|l| l.stride[0]).product(),
        }
    }
}
