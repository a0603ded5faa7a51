//! EfficientNet's sizes.

use super::{Activation, Padding, Pooling, ProjectionConfig, Size, within};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use unisono_nn::config::probability;

/// An image tower of inverted bottlenecks (MBConv, Sandler et al. 2018) in stages, between a convolution of stride 2 and one that widens
/// (EfficientNet, Tan & Le 2019). Every cell of the last grid is a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientNetConfig {
    /// Size of the input images, in pixels.
    pub size: Size,
    /// Channels after the first convolution, 3×3 of stride 2.
    pub stem: i64,
    /// The stages from the input up.
    pub stages: Vec<StageConfig>,
    /// Channels after the last convolution, 1×1: the width of tokens and pooled vector.
    pub head: i64,
    /// After every norm but a block's last.
    #[serde(default = "silu")]
    pub activation: Activation,
    /// How convolutions reach over the edge.
    #[serde(default, skip_serializing_if = "is_default")]
    pub padding: Padding,
    /// Added to the variance in every batch norm.
    #[serde(default = "eps")]
    pub norm_eps: f64,
    /// Stochastic depth (Huang et al. 2016): the probability that the last block's branch is skipped for a sample, rising linearly
    /// from 0 at the first block.
    #[serde(default)]
    pub drop_path: f64,
    /// Over the cells: `mean`, `max`, or a `concat` of these.
    #[serde(default = "mean", skip_serializing_if = "is_mean")]
    pub pooling: Pooling,
    /// From the pooled vector to the shared space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub projection: ProjectionConfig,
}

/// Blocks of one kind one after another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Channels that each block gives.
    pub channels: i64,
    /// Blocks.
    pub repeats: i64,
    /// Side of the depthwise kernels; odd.
    #[serde(default = "three")]
    pub kernel: i64,
    /// Stride of the first block; the others have 1.
    #[serde(default = "one")]
    pub stride: i64,
    /// How many times as many channels as come in the depthwise convolution sees; with 1 nothing widens before it.
    pub expansion: f64,
    /// Squeeze and excitation (Hu et al. 2018) through this share of the channels that come in; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub squeeze: Option<f64>,
}

/// One block's sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockConfig {
    pub input: i64,
    /// Channels of the depthwise convolution.
    pub inner: i64,
    pub output: i64,
    pub kernel: i64,
    pub stride: i64,
    /// Channels between the two layers of squeeze and excitation.
    pub squeezed: Option<i64>,
}

fn mean() -> Pooling {
    Pooling::Mean
}

fn is_mean(pooling: &Pooling) -> bool {
    *pooling == Pooling::Mean
}

fn silu() -> Activation {
    Activation::Silu
}

fn eps() -> f64 {
    1e-5
}

fn three() -> i64 {
    3
}

fn one() -> i64 {
    1
}

fn is_default<T: Default + PartialEq>(v: &T) -> bool {
    *v == T::default()
}

impl EfficientNetConfig {
    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.pooling.out_width(self.head)
    }

    /// Every stage's blocks.
    pub(crate) fn blocks(&self) -> Vec<Vec<BlockConfig>> {
        let (mut input, mut stages) = (self.stem, Vec::with_capacity(self.stages.len()));
        for s in &self.stages {
            let mut blocks = Vec::new();
            for i in 0..s.repeats {
                let share = |by: f64| ((input as f64 * by).round() as i64).max(1);
                blocks.push(BlockConfig {
                    input,
                    inner: share(s.expansion),
                    output: s.channels,
                    kernel: s.kernel,
                    stride: if i == 0 { s.stride } else { 1 },
                    squeezed: s.squeeze.map(share),
                });
                input = s.channels;
            }
            stages.push(blocks);
        }
        stages
    }

    /// Floating-point operations of an image of this height and width, without the projection.
    pub(crate) fn flops(&self, sides: [i64; 2]) -> f64 {
        let halved = |[h, w]: [i64; 2], by: i64| [(h + by - 1) / by, (w + by - 1) / by];
        let mut at = halved(sides, 2);
        let mut sum = (27 * self.stem * at[0] * at[1]) as f64;
        for b in self.blocks().iter().flatten() {
            if b.inner != b.input {
                sum += (b.input * b.inner * at[0] * at[1]) as f64;
            }
            at = halved(at, b.stride);
            sum += ((b.kernel * b.kernel + b.output) * b.inner * at[0] * at[1]) as f64;
            sum += (2 * b.inner * b.squeezed.unwrap_or(0)) as f64;
        }
        let last = self.stages.last().map_or(self.stem, |s| s.channels);
        2.0 * (sum + (last * self.head * at[0] * at[1]) as f64)
    }

    /// Checks every size.
    pub(crate) fn validate(&self) -> Result<()> {
        within("image.size", self.size.sides[0], 1 << 14)?;
        within("image.size", self.size.sides[1], 1 << 14)?;
        within("image.stem", self.stem, 1 << 14)?;
        within("image.head", self.head, 1 << 16)?;
        probability("image.drop_path", self.drop_path)?;
        self.pooling.validate("image.pooling", 0)?;
        let each = self.pooling.each();
        if let Some(other) = each.iter().find(|p| !matches!(p, Pooling::Mean | Pooling::Max)) {
            return Err(Error::config("image.pooling", format!("expected mean and max, found {other:?}")));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps <= 1.0) {
            let found = self.norm_eps;
            return Err(Error::config(
                "image.norm_eps",
                format!("expected more than 0 and at most 1, found {found}"),
            ));
        }
        let n = self.stages.len();
        if n == 0 || n > 64 {
            return Err(Error::config("image.stages", format!("expected 1 to 64, found {n}")));
        }
        for (i, s) in self.stages.iter().enumerate() {
            let at = |key: &str| format!("image.stages[{i}].{key}");
            within(&at("channels"), s.channels, 1 << 14)?;
            within(&at("repeats"), s.repeats, 256)?;
            within(&at("kernel"), s.kernel, 31)?;
            within(&at("stride"), s.stride, 16)?;
            if s.kernel % 2 == 0 {
                return Err(Error::config(
                    at("kernel"),
                    format!("expected an odd number, found {}", s.kernel),
                ));
            }
            for (key, value, most) in [("expansion", Some(s.expansion), 64.0), ("squeeze", s.squeeze, 1.0)] {
                if let Some(found) = value.filter(|v| !(*v > 0.0 && *v <= most)) {
                    let message = format!("expected more than 0 and at most {most}, found {found}");
                    return Err(Error::config(at(key), message));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lite0() -> EfficientNetConfig {
        let stage = |channels, repeats, kernel, stride| StageConfig {
            channels,
            repeats,
            kernel,
            stride,
            expansion: if channels == 16 { 1.0 } else { 6.0 },
            squeeze: None,
        };
        EfficientNetConfig {
            size: Size::from(224),
            stem: 32,
            stages: vec![
                stage(16, 1, 3, 1),
                stage(24, 2, 3, 2),
                stage(40, 2, 5, 2),
                stage(80, 3, 3, 2),
                stage(112, 3, 5, 1),
                stage(192, 4, 5, 2),
                stage(320, 1, 3, 1),
            ],
            head: 1280,
            activation: Activation::Relu6,
            padding: Padding::Symmetric,
            norm_eps: 1e-5,
            drop_path: 0.0,
            pooling: Pooling::Mean,
            projection: ProjectionConfig::None,
        }
    }

    /// EfficientNet-Lite0 has 407 million multiply-adds by its authors' count, its classifier's 1.28 included.
    #[test]
    fn operations_are_those_of_the_paper() {
        let millions = lite0().flops([224, 224]) / 2e6;
        assert!((383.0..407.0).contains(&millions), "{millions}");
    }

    #[test]
    fn blocks_follow_each_other() {
        let blocks = lite0().blocks();
        assert_eq!(blocks.iter().map(Vec::len).sum::<usize>(), 16);
        let b = |input, inner, output, kernel, stride| BlockConfig {
            input,
            inner,
            output,
            kernel,
            stride,
            squeezed: None,
        };
        assert_eq!(blocks[1], [b(16, 96, 24, 3, 2), b(24, 144, 24, 3, 1)]);
        assert_eq!(blocks[6], [b(192, 1152, 320, 3, 1)]);
        let mut squeezed = lite0();
        squeezed.stages[1].squeeze = Some(0.25);
        assert_eq!(squeezed.blocks()[1].iter().map(|b| b.squeezed).collect::<Vec<_>>(), [Some(4), Some(6)]);
    }

    #[test]
    fn impossible_sizes_are_named() {
        lite0().validate().unwrap();
        let said = |change: fn(&mut EfficientNetConfig)| {
            let mut c = lite0();
            change(&mut c);
            c.validate().unwrap_err().to_string()
        };
        assert!(said(|c| c.stages.clear()).starts_with("image.stages: expected 1 to 64, found 0"));
        assert!(said(|c| c.stages[2].kernel = 4).starts_with("image.stages[2].kernel: expected an odd"));
        assert!(said(|c| c.stages[1].stride = 0).starts_with("image.stages[1].stride"));
        assert!(said(|c| c.stages[1].expansion = f64::NAN).starts_with("image.stages[1].expansion"));
        assert!(said(|c| c.stages[1].squeeze = Some(0.0)).starts_with("image.stages[1].squeeze"));
        assert!(said(|c| c.head = 0).starts_with("image.head"));
        assert!(said(|c| c.norm_eps = 0.0).starts_with("image.norm_eps"));
        assert!(said(|c| c.drop_path = 1.0).starts_with("image.drop_path"));
    }
}
