//! From a tower's pooled vectors to the shared space.

use crate::Result;
use crate::config::{Activation, ProjectionConfig};
use tch::Tensor;
use unisono_nn::{Linear, Precision, Scope};

/// From a tower's pooled vectors to the shared space.
#[derive(Debug)]
pub(crate) enum Projection {
    None,
    Linear(Linear),
    Mlp(Linear, Activation, Linear),
}

impl Projection {
    pub fn new(scope: &Scope, c: ProjectionConfig, width: i64, out: i64) -> Result<Self> {
        let std = |n: i64| (n as f64).powf(-0.5);
        Ok(match c {
            ProjectionConfig::None => Self::None,
            ProjectionConfig::Linear { bias } => {
                Self::Linear(Linear::new(scope, width, out, bias, std(width))?)
            }
            ProjectionConfig::Mlp { hidden, activation, bias } => Self::Mlp(
                Linear::new(&scope.child("fc1"), width, hidden, bias, std(width))?,
                activation,
                Linear::new(&scope.child("fc2"), hidden, out, bias, std(hidden))?,
            ),
        })
    }

    /// Prepares it for inference after a tower of `precision`, in single precision itself.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Linear(linear) => Ok(linear.prepare_beside(precision)?),
            Self::Mlp(fc1, _, fc2) => {
                fc1.prepare_beside(precision)?;
                Ok(fc2.prepare_beside(precision)?)
            }
        }
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.shallow_clone()),
            Self::Linear(linear) => Ok(linear.forward(x)?),
            Self::Mlp(fc1, activation, fc2) => Ok(fc2.forward(&activation.forward(&fc1.forward(x)?)?)?),
        }
    }
}
