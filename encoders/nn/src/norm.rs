//! Normalisation over the last axis.

use crate::config::{NormKind, TransformerConfig};
use crate::{Init, Result, Scope};
use tch::Tensor;

/// Layer normalisation (Ba et al. 2016).
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    width: i64,
    eps: f64,
}

impl LayerNorm {
    /// Over `width` features; `eps` is added to the variance.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, width: i64, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[width], Init::Const(1.0))?,
            bias: scope.param("bias", &[width], Init::Const(0.0))?,
            width,
            eps,
        })
    }

    /// `[.., W]` → `[.., W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_layer_norm([self.width], Some(&self.weight), Some(&self.bias), self.eps, false)?)
    }
}

/// Root-mean-square normalisation (Zhang & Sennrich 2019): no mean is taken off, and there is no bias.
#[derive(Debug)]
pub struct RmsNorm {
    weight: Tensor,
    width: i64,
    eps: f64,
}

impl RmsNorm {
    /// Over `width` features; `eps` is added to the mean square.
    ///
    /// # Errors
    /// The name is taken.
    pub fn new(scope: &Scope, width: i64, eps: f64) -> Result<Self> {
        Ok(Self { weight: scope.param("weight", &[width], Init::Const(1.0))?, width, eps })
    }

    /// `[.., W]` → `[.., W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_rms_norm([self.width], Some(&self.weight), self.eps)?)
    }
}

/// The norm that a configuration asks for.
#[derive(Debug)]
pub enum Norm {
    /// [`LayerNorm`].
    Layer(LayerNorm),
    /// [`RmsNorm`].
    Rms(RmsNorm),
}

impl Norm {
    /// Over `width` features.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, kind: NormKind, width: i64, eps: f64) -> Result<Self> {
        Ok(match kind {
            NormKind::Layer => Self::Layer(LayerNorm::new(scope, width, eps)?),
            NormKind::Rms => Self::Rms(RmsNorm::new(scope, width, eps)?),
        })
    }

    /// Of blocks of `c`, over `width` features.
    ///
    /// # Errors
    /// The names are taken.
    pub fn of(scope: &Scope, c: &TransformerConfig, width: i64) -> Result<Self> {
        Self::new(scope, c.norm_kind, width, c.norm_eps)
    }

    /// `[.., W]` → `[.., W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn both_are_their_formulas() {
        let x: Vec<f64> = (0..12).map(|i| (f64::from(i) * 1.7).sin() * 3.0 + 0.5).collect();
        let root = Scope::root(1, Device::Cpu);
        let layer = Norm::new(&root.child("l"), NormKind::Layer, 4, 1e-3).unwrap();
        let rms = Norm::new(&root.child("r"), NormKind::Rms, 4, 1e-3).unwrap();
        let params = root.finish();
        let scale = [0.5f64, 1.5, -2.0, 1.0];
        tch::no_grad(|| {
            for name in ["l.weight", "r.weight"] {
                params.get(name).unwrap().tensor.shallow_clone().copy_(&Tensor::from_slice(&scale));
            }
            let _ = params.get("l.bias").unwrap().tensor.shallow_clone().fill_(0.25);
        });
        let input = Tensor::from_slice(&x).view([3, 4]).to_kind(Kind::Float);
        let (a, b) = (layer.forward(&input).unwrap(), rms.forward(&input).unwrap());
        for (row, of) in x.chunks(4).enumerate() {
            let mean = of.iter().sum::<f64>() / 4.0;
            let var = of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 4.0;
            let square = of.iter().map(|v| v * v).sum::<f64>() / 4.0;
            for (i, v) in of.iter().enumerate() {
                let at = [row as i64, i as i64];
                let want = (v - mean) / (var + 1e-3).sqrt() * scale[i] + 0.25;
                assert!((a.double_value(&at) - want).abs() < 1e-5);
                let want = v / (square + 1e-3).sqrt() * scale[i];
                assert!((b.double_value(&at) - want).abs() < 1e-5);
            }
        }
    }
}
