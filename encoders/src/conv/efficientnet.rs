//! EfficientNet (Tan & Le 2019) and its kin of inverted bottlenecks.

use super::block::Block;
use crate::config::{EfficientNetConfig, Pooling};
use crate::towers::TowerOutput;
use crate::{Error, Result};
use std::ops::RangeBounds;
use tch::{Device, Kind, Tensor};
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
    /// Mean, maximum, or several of them.
    pooling: Pooling,
    /// Blocks through which images go one by one, where nothing is learned of a batch.
    alone: usize,
    prepared: bool,
}

/// Bytes of the widest activation of an image from which it is worth a pass of its own: what a core's second-level cache does not hold is
/// read from farther away for every image that goes along.
const WIDE: i64 = 1 << 20;

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
            pooling: c.pooling.clone(),
            alone: wide(c),
            prepared: false,
        })
    }

    /// Folds the norms and packs the weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.stem.prepare(precision)?;
        self.head.prepare(precision)?;
        self.prepared = true;
        self.stages.iter_mut().flatten().try_for_each(|block| block.prepare(precision))
    }

    /// `pixels` `[B, 3, H, W]` of the configured size. Nothing is run again in the backward pass, whatever [`Pass::checkpoint`] says: the
    /// norms' statistics would move twice.
    ///
    /// # Errors
    /// Another size, or libtorch's.
    pub fn forward(&self, pixels: &Tensor, pass: &Pass) -> Result<TowerOutput> {
        let (b, c, h, w) = pixels.size4()?;
        if (c, [h, w]) != (3, self.size) {
            let [sh, sw] = self.size;
            return Err(Error::Input(format!("images of [{c}, {h}, {w}], this tower takes [3, {sh}, {sw}]")));
        }
        // Channels last: what every kernel here is fastest with.
        let pixels = last(pixels)?.f_contiguous()?;
        let single =
            self.prepared && !pass.trains() && pass.trace.is_none() && pixels.device() == Device::Cpu;
        let x = match single && self.alone > 0 && b > 1 {
            true => {
                let one = |i| last(&self.first(&pixels.f_narrow(0, i, 1)?, pass)?);
                first(&Tensor::f_cat(&(0..b).map(one).collect::<Result<Vec<_>>>()?, 0)?)?
            }
            false => self.first(&pixels, pass)?,
        };
        let x = self.blocks(x, self.alone.., pass)?;
        let x = self.head.forward(&x, pass)?;
        let tokens = x.f_flatten(2, 3)?.f_transpose(1, 2)?;
        let pooled = self.pooling.each().iter().map(|p| match p {
            Pooling::Max => Ok(tokens.f_amax([1i64].as_slice(), false)?),
            _ => Ok(tokens.f_mean_dim([1i64].as_slice(), false, Kind::Float)?),
        });
        let mut pooled = pooled.collect::<Result<Vec<_>>>()?;
        let pooled = if pooled.len() == 1 { pooled.swap_remove(0) } else { Tensor::f_cat(&pooled, -1)? };
        Ok(TowerOutput { tokens, mask: None, pooled, written: None })
    }

    /// `[B, H, W, 3]` through the stem and the blocks before which activations are wide.
    fn first(&self, pixels: &Tensor, pass: &Pass) -> Result<Tensor> {
        let x = self.stem.forward(&first(pixels)?, pass)?;
        self.blocks(x, ..self.alone, pass)
    }

    fn blocks(&self, x: Tensor, range: impl RangeBounds<usize>, pass: &Pass) -> Result<Tensor> {
        let mut x = x;
        let places = self.stages.iter().enumerate();
        let all = places.flat_map(|(s, stage)| stage.iter().enumerate().map(move |(b, block)| (s, b, block)));
        for (_, (s, b, block)) in all.enumerate().filter(|(i, _)| range.contains(i)) {
            x = block.forward(&x, pass)?;
            if let Some(trace) = pass.trace {
                trace(&format!("{}.stages.{s}.blocks.{b}", self.name), &x)?;
            }
        }
        Ok(x)
    }
}

/// How many blocks there are up to the last one with an activation that is [`WIDE`].
fn wide(c: &EfficientNetConfig) -> usize {
    let halved = |[h, w]: [i64; 2], by: i64| [(h + by - 1) / by, (w + by - 1) / by];
    let (mut at, mut last) = (halved(c.size.sides, 2), 0);
    for (i, block) in c.blocks().iter().flatten().enumerate() {
        if 4 * block.inner * at[0] * at[1] > WIDE {
            last = i + 1;
        }
        at = halved(at, block.stride);
    }
    last
}

/// `[B, C, H, W]` → `[B, H, W, C]`.
fn last(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_permute([0, 2, 3, 1])?)
}

/// And back.
fn first(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_permute([0, 3, 1, 2])?)
}
