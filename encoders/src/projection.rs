//! From a tower's pooled vectors to the shared space.

use crate::Result;
use crate::config::{Activation, ProjectionConfig};
use tch::Tensor;
use unisono_nn::draws::place;
use unisono_nn::{Init, Linear, Pass, Precision, Scope};

/// From a tower's pooled vectors to the shared space.
#[derive(Debug)]
pub(crate) struct Projection {
    layers: Layers,
    /// What stands behind the pooled vector and is in the shared space already, and the factor `[1]` by which it is added.
    read: Option<(Read, Tensor)>,
}

/// The end of a pooled vector that is in the shared space already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Read {
    /// Its width; 0: there is none.
    pub width: i64,
    /// It is added as the projection standardises it, where it does: what is read of every input alike says nothing.
    pub centred: bool,
}

#[derive(Debug)]
enum Layers {
    None,
    Linear(Linear),
    Mlp(Box<Mlp>),
}

#[derive(Debug)]
struct Mlp {
    /// Mean and inverse deviation `[W]` of the pooled vectors.
    norm: Option<[Tensor; 2]>,
    fc1: Linear,
    activation: Activation,
    fc2: Linear,
    /// Before the first layer and before the second, each with the place of its draws.
    dropout: [(f64, u64); 2],
}

impl Projection {
    /// Under `scope`, from `width` numbers to `out`. What is `read`, the last of them, is a vector of the shared space, which is added to what the layers
    /// give, at the start about as long as that.
    pub fn new(scope: &Scope, c: ProjectionConfig, width: i64, out: i64, read: Read) -> Result<Self> {
        let std = |n: i64| (n as f64).powf(-0.5);
        let layers = match c {
            ProjectionConfig::None => Layers::None,
            ProjectionConfig::Linear { bias } => {
                Layers::Linear(Linear::new(scope, width, out, bias, std(width))?)
            }
            ProjectionConfig::Mlp { hidden, activation, bias, norm, input_dropout, dropout } => {
                Layers::Mlp(Box::new(Mlp {
                    norm: match norm {
                        true => Some([
                            scope.buffer("norm.mean", &[width], Init::Const(0.0))?,
                            scope.buffer("norm.scale", &[width], Init::Const(1.0))?,
                        ]),
                        false => None,
                    },
                    fc1: Linear::new(&scope.child("fc1"), width, hidden, bias, std(width))?,
                    activation,
                    fc2: Linear::new(&scope.child("fc2"), hidden, out, bias, std(hidden))?,
                    dropout: [("fc1", input_dropout), ("fc2", dropout)]
                        .map(|(name, share)| (share, place(&format!("{}.{name}.dropout", scope.name())))),
                }))
            }
        };
        let mut made = Self { layers, read: None };
        if read.width > 0 {
            // Standardised numbers are of size 1 each, a unit vector's are not.
            let long = if read.centred && made.norm().is_some() { 1.0 } else { (out as f64).sqrt() };
            made.read = Some((read, scope.param("read", &[1], Init::Const(long))?));
        }
        Ok(made)
    }

    /// Mean and inverse deviation `[W]` by which pooled vectors are standardised, where they are.
    pub fn norm(&self) -> Option<&[Tensor; 2]> {
        match &self.layers {
            Layers::Mlp(mlp) => mlp.norm.as_ref(),
            _ => None,
        }
    }

    /// Prepares it for inference after a tower of `precision`, in single precision itself.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        match &mut self.layers {
            Layers::None => Ok(()),
            Layers::Linear(linear) => Ok(linear.prepare_beside(precision)?),
            Layers::Mlp(mlp) => {
                mlp.fc1.prepare_beside(precision)?;
                Ok(mlp.fc2.prepare_beside(precision)?)
            }
        }
    }

    /// `[B, W]` → `[B, D]`.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let made = match &self.layers {
            Layers::None => x.shallow_clone(),
            Layers::Linear(linear) => linear.forward(x)?,
            Layers::Mlp(mlp) => mlp.forward(x, pass)?,
        };
        Ok(match &self.read {
            Some((Read { width, centred }, factor)) => {
                let end = |x: &Tensor| x.f_narrow(-1, x.size().last().copied().unwrap_or(0) - width, *width);
                let read = match self.norm() {
                    Some([mean, scale]) if *centred => end(x)?.f_sub(&end(mean)?)?.f_mul(&end(scale)?)?,
                    _ => end(x)?,
                };
                made.f_add(&read.f_mul(factor)?)?
            }
            None => made,
        })
    }
}

impl Mlp {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let x = match &self.norm {
            Some([mean, scale]) => x.f_sub(mean)?.f_mul(scale)?,
            None => x.shallow_clone(),
        };
        let x = self.activation.forward(&self.fc1.forward(&self.drop(x, 0, pass)?)?)?;
        Ok(self.fc2.forward(&self.drop(x, 1, pass)?)?)
    }

    fn drop(&self, x: Tensor, at: usize, pass: &Pass) -> Result<Tensor> {
        let (share, place) = self.dropout[at];
        Ok(match pass.draws {
            // A projection that is frozen does not change: it runs as in evaluation.
            _ if share == 0.0 || !pass.trains() || !self.fc1.is_trained() => x,
            Some(draws) => x.f_mul(&draws.kept(place, &x.size(), share, x.device())?)?,
            None => unisono_torch_ext::dropout(&x, share).map_err(unisono_nn::Error::from)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};
    use unisono_nn::{Draws, Mode};

    #[test]
    fn dropout_is_for_what_is_trained() {
        let c = ProjectionConfig::Mlp {
            hidden: 16,
            activation: Activation::Gelu,
            bias: true,
            norm: false,
            input_dropout: 0.5,
            dropout: 0.5,
        };
        let scope = Scope::root(1, Device::Cpu);
        let projection = Projection::new(&scope.child("image.projection"), c, 8, 4, Read::default()).unwrap();
        let x = Tensor::ones([3, 8], (Kind::Float, Device::Cpu));
        let pass = Pass { mode: Mode::Train, draws: Some(Draws::seeded(7)), ..Pass::EVAL };
        let plain = projection.forward(&x, &Pass::EVAL).unwrap();
        assert_ne!(projection.forward(&x, &pass).unwrap(), plain);
        for p in scope.params() {
            let _ = p.set_requires_grad(false);
        }
        assert_eq!(projection.forward(&x, &pass).unwrap(), plain);
    }
}
