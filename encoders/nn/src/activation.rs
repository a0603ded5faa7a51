//! Pointwise non-linearities.

use crate::{Activation, Result};
use tch::Tensor;

impl Activation {
    /// Applied to every element.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Relu => x.f_relu()?,
            Self::Relu6 => x.f_clamp(0, 6)?,
            Self::Gelu => x.f_gelu("none")?,
            Self::GeluTanh => x.f_gelu("tanh")?,
            Self::QuickGelu => x.f_mul_scalar(1.702)?.f_sigmoid()?.f_mul(x)?,
            Self::Silu => x.f_silu()?,
            Self::Tanh => x.f_tanh()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_its_formula() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        // The error function by its series.
        let erf = |x: f64| {
            let (mut term, mut sum) = (x, x);
            for n in 1..60 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        };
        let cube = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        for x in [-2.5f64, -0.3, 0.0, 0.7, 3.0] {
            for (activation, want) in [
                (Activation::Relu, x.max(0.0)),
                (Activation::Relu6, x.clamp(0.0, 6.0)),
                (Activation::Gelu, x * 0.5 * (1.0 + erf(x / 2f64.sqrt()))),
                (Activation::GeluTanh, 0.5 * x * (1.0 + cube(x).tanh())),
                (Activation::QuickGelu, x * sigmoid(1.702 * x)),
                (Activation::Silu, x * sigmoid(x)),
                (Activation::Tanh, x.tanh()),
            ] {
                let found = activation.forward(&Tensor::from_slice(&[x])).unwrap().double_value(&[0]);
                assert!((found - want).abs() < 1e-9, "{activation:?}({x}): {found}, {want}");
            }
        }
        let clipped = Activation::Relu6.forward(&Tensor::from_slice(&[6.5f64])).unwrap();
        assert_eq!(clipped.double_value(&[0]), 6.0);
    }
}
