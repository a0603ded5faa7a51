//! EfficientNet (Tan & Le 2019) and its kin of inverted bottlenecks.

use super::block::Block;
use crate::config::EfficientNetConfig;
use crate::towers::TowerOutput;
use crate::{Error, Result};
use tch::{Kind, Tensor};
use unisono_nn::{ConvNorm, ConvShape, Pass, Precision, Scope};

/// Pixels → cells of the last grid.
#[derive(Debug)]
pub struct EfficientNet {
    /// The place of its parameters, for traces.
    name: String,
    stem: ConvNorm,
    stages: Vec<Vec<Block>>,
    head: ConvNorm,
    size: [i64; 2],
}

impl EfficientNet {
    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &EfficientNetConfig) -> Result<Self> {
        let stem = ConvShape {
            input: 3,
            output: c.stem,
            kernel: 3,
            stride: 2,
            depthwise: false,
            padding: c.padding,
        };
        let blocks = c.blocks();
        let (count, mut index) = (blocks.iter().map(Vec::len).sum::<usize>(), 0);
        let mut stages = Vec::with_capacity(blocks.len());
        let mut last = c.stem;
        for (s, stage) in blocks.iter().enumerate() {
            let mut built = Vec::with_capacity(stage.len());
            for (b, block) in stage.iter().enumerate() {
                let dropped = c.drop_path * f64::from(index) / (count.max(2) - 1) as f64;
                let at = scope.child(format!("stages.{s}.blocks.{b}"));
                built.push(Block::new(&at, c, block, dropped)?);
                (index, last) = (index + 1, block.output);
            }
            stages.push(built);
        }
        let layer =
            |name: &str, shape| ConvNorm::new(&scope.child(name), shape, Some(c.activation), c.norm_eps);
        Ok(Self {
            name: scope.name().to_owned(),
            stem: layer("stem", stem)?,
            stages,
            head: layer("head", ConvShape::pointwise(last, c.head))?,
            size: c.size.sides,
        })
    }

    /// Folds the norms and packs the weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.stem.prepare(precision)?;
        self.head.prepare(precision)?;
        self.stages.iter_mut().flatten().try_for_each(|block| block.prepare(precision))
    }

    /// `pixels` `[B, 3, H, W]` of the configured size. Nothing is run again in the backward pass, whatever [`Pass::checkpoint`] says: the
    /// norms' statistics would move twice.
    ///
    /// # Errors
    /// Another size, or libtorch's.
    pub fn forward(&self, pixels: &Tensor, pass: &Pass) -> Result<TowerOutput> {
        let (_, c, h, w) = pixels.size4()?;
        if (c, [h, w]) != (3, self.size) {
            let [sh, sw] = self.size;
            return Err(Error::Input(format!("images of [{c}, {h}, {w}], this tower takes [3, {sh}, {sw}]")));
        }
        let traced = |at: &str, x: &Tensor| match pass.trace {
            Some(trace) => trace(&format!("{}.{at}", self.name), x),
            None => Ok(()),
        };
        // Channels last: what every kernel here is fastest with.
        let pixels = pixels.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
        let mut x = self.stem.forward(&pixels, pass)?;
        for (s, stage) in self.stages.iter().enumerate() {
            for (b, block) in stage.iter().enumerate() {
                x = block.forward(&x, pass)?;
                traced(&format!("stages.{s}.blocks.{b}"), &x)?;
            }
        }
        let x = self.head.forward(&x, pass)?;
        let tokens = x.f_flatten(2, 3)?.f_transpose(1, 2)?;
        let pooled = tokens.f_mean_dim([1i64].as_slice(), false, Kind::Float)?;
        Ok(TowerOutput { tokens, mask: None, pooled })
    }
}
