//! The inverted bottleneck (MBConv, Sandler et al. 2018): widened, seen channel by channel, narrowed; its input added where shapes allow.

use crate::Result;
use crate::config::{Activation, BlockConfig, EfficientNetConfig};
use tch::{Kind, Tensor};
use unisono_nn::draws::place;
use unisono_nn::{Bottleneck, ConvNorm, ConvShape, Linear, Pass, Precision, Scope};

/// One block.
#[derive(Debug)]
pub(super) struct Block {
    expand: Option<ConvNorm>,
    depthwise: ConvNorm,
    squeeze: Option<Squeeze>,
    project: ConvNorm,
    residual: bool,
    /// All of it in one go, where it is prepared and nothing stands between its layers.
    whole: Option<Bottleneck>,
    /// The probability that the branch is skipped for a sample while training.
    drop_path: f64,
    /// Where it draws.
    place: u64,
}

impl Block {
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &EfficientNetConfig, b: &BlockConfig, drop_path: f64) -> Result<Self> {
        let (active, eps) = (Some(c.activation), c.norm_eps);
        let depthwise = ConvShape {
            input: b.inner,
            output: b.inner,
            kernel: b.kernel,
            stride: b.stride,
            depthwise: true,
            padding: c.padding,
        };
        let layer = |name: &str, shape, activation| {
            Ok::<_, crate::Error>(ConvNorm::new(&scope.child(name), shape, activation, eps)?)
        };
        Ok(Self {
            expand: match b.inner == b.input {
                true => None,
                false => Some(layer("expand", ConvShape::pointwise(b.input, b.inner), active)?),
            },
            depthwise: layer("depthwise", depthwise, active)?,
            squeeze: match b.squeezed {
                Some(channels) => {
                    Some(Squeeze::new(&scope.child("squeeze"), b.inner, channels, c.activation)?)
                }
                None => None,
            },
            project: layer("project", ConvShape::pointwise(b.inner, b.output), None)?,
            residual: b.stride == 1 && b.input == b.output,
            whole: None,
            drop_path,
            place: place(scope.name()),
        })
    }

    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.whole = match (precision, &self.squeeze) {
            (Precision::Fp32, None) => {
                Bottleneck::new(self.expand.as_ref(), &self.depthwise, &self.project, self.residual)?
            }
            _ => None,
        };
        if self.whole.is_some() {
            return Ok(());
        }
        for layer in self.expand.iter_mut().chain([&mut self.depthwise, &mut self.project]) {
            layer.prepare(precision)?;
        }
        // One row an image: nothing is gained by less precise numbers.
        for layer in self.squeeze.iter_mut().flat_map(|s| [&mut s.reduce, &mut s.expand]) {
            layer.prepare(Precision::Fp32)?;
        }
        Ok(())
    }

    /// `[B, C, H, W]` → `[B, C', H', W']`.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        if let Some(whole) = self.whole.as_ref().filter(|_| !pass.trains()) {
            return Ok(whole.forward(x)?);
        }
        let wide = match &self.expand {
            Some(expand) => expand.forward(x, pass)?,
            None => x.shallow_clone(),
        };
        let seen = self.depthwise.forward(&wide, pass)?;
        drop(wide);
        let seen = match &self.squeeze {
            Some(squeeze) => squeeze.forward(&seen)?,
            None => seen,
        };
        if !self.residual {
            return Ok(self.project.forward(&seen, pass)?);
        }
        if !pass.trains() || self.drop_path == 0.0 {
            return Ok(self.project.forward_onto(&seen, x, pass)?);
        }
        let keep = 1.0 - self.drop_path;
        let each = [x.size()[0], 1, 1, 1];
        let kept = match pass.draws {
            Some(draws) => draws.kept(self.place, &each, self.drop_path, x.device())?,
            None => {
                let drawn = Tensor::f_rand(each, (Kind::Float, x.device()))?;
                drawn.f_lt(keep)?.f_to_kind(Kind::Float)?.f_div_scalar(keep)?
            }
        };
        Ok(self.project.forward(&seen, pass)?.f_mul(&kept)?.f_add(x)?)
    }
}

/// Squeeze and excitation (Hu et al. 2018): each channel weighed by what the image as a whole shows.
#[derive(Debug)]
struct Squeeze {
    reduce: Linear,
    expand: Linear,
    activation: Activation,
}

impl Squeeze {
    fn new(scope: &Scope, channels: i64, between: i64, activation: Activation) -> Result<Self> {
        let layer = |name: &str, from: i64, to: i64| {
            Linear::new(&scope.child(name), from, to, true, (from as f64).powf(-0.5))
        };
        Ok(Self {
            reduce: layer("reduce", channels, between)?,
            expand: layer("expand", between, channels)?,
            activation,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let whole = x.f_mean_dim([2i64, 3].as_slice(), false, Kind::Float)?;
        let weights = self.expand.forward(&self.reduce.forward_activated(&whole, self.activation)?)?;
        Ok(x.f_mul(&weights.f_sigmoid()?.f_unsqueeze(-1)?.f_unsqueeze(-1)?)?)
    }
}
