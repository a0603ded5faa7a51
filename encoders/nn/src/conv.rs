//! Convolutions over two axes, and the batch norm that follows them.

mod bottleneck;
mod folded;
mod padding;
mod shape;
mod unit;

pub use bottleneck::Bottleneck;
pub use padding::Padding;
pub use shape::ConvShape;
pub use unit::ConvNorm;

use crate::{Init, Mode, Result, Scope};
use tch::Tensor;

/// Batch norm over axis 1 (Ioffe & Szegedy 2015).
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: f64,
}

impl BatchNorm {
    /// Over `n` channels, 1e-5 added to their variance.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, n: i64) -> Result<Self> {
        Self::with_eps(scope, n, 1e-5)
    }

    /// Over `n` channels, `eps` added to their variance.
    ///
    /// # Errors
    /// The names are taken.
    pub fn with_eps(scope: &Scope, n: i64, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[n], Init::Const(1.0))?,
            bias: scope.param("bias", &[n], Init::Const(0.0))?,
            mean: scope.buffer("running_mean", &[n], Init::Const(0.0))?,
            var: scope.buffer("running_var", &[n], Init::Const(1.0))?,
            eps,
        })
    }

    /// `[B, n, ..]` → the same shape: by the batch's own statistics while training, else by the running ones.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let (w, b, m, v) = (Some(&self.weight), Some(&self.bias), Some(&self.mean), Some(&self.var));
        Ok(x.f_batch_norm(w, b, m, v, mode == Mode::Train, 0.1, self.eps, true)?)
    }

    /// What evaluation multiplies and then adds, a number a channel each: no gradient flows.
    pub(crate) fn affine(&self) -> Result<(Tensor, Tensor)> {
        let scale = self.var.f_add_scalar(self.eps)?.f_rsqrt()?.f_mul(&self.weight.f_detach()?)?;
        let shift = self.bias.f_detach()?.f_sub(&self.mean.f_mul(&scale)?)?;
        Ok((scale, shift))
    }
}

/// A convolution with a bias.
#[derive(Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: [i64; 2],
    padding: [i64; 2],
}

impl Conv2d {
    /// `shape`: channels out and in, height and width of the kernel.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, shape: [i64; 4], stride: [i64; 2], padding: [i64; 2]) -> Result<Self> {
        let std = ((shape[1] * shape[2] * shape[3]) as f64).powf(-0.5);
        Ok(Self {
            weight: scope.param("weight", &shape, Init::Normal(std))?,
            bias: scope.param("bias", &[shape[0]], Init::Const(0.0))?,
            stride,
            padding,
        })
    }

    /// `[B, C, H, W]` → `[B, C', H', W']`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, [1, 1], 1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn wave(shape: &[i64], speed: f64) -> Tensor {
        let n: i64 = shape.iter().product();
        (Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin().view(shape)
    }

    /// A convolution written out: loops over places, channels and the kernel.
    #[test]
    fn a_convolution_is_its_loops() {
        for ([o, c, kh, kw], stride, padding) in [
            ([2, 3, 3, 3], [1, 1], [1, 1]),
            ([3, 1, 4, 2], [2, 3], [0, 1]),
            ([1, 2, 1, 5], [1, 2], [0, 0]),
            ([4, 2, 3, 1], [3, 1], [2, 0]),
        ] {
            let root = Scope::root(1, Device::Cpu);
            let conv = Conv2d::new(&root, [o, c, kh, kw], stride, padding).unwrap();
            let params = root.finish();
            let (weight, bias) = (params.get("weight").unwrap(), params.get("bias").unwrap());
            tch::no_grad(|| {
                weight.tensor.shallow_clone().copy_(&wave(&[o, c, kh, kw], 0.7));
                bias.tensor.shallow_clone().copy_(&wave(&[o], 1.3));
            });
            let x = wave(&[2, c, 6, 7], 0.31);
            let found = tch::no_grad(|| conv.forward(&x.to_kind(Kind::Float)).unwrap());
            let out = |n: i64, k: i64, axis: usize| (n + 2 * padding[axis] - k) / stride[axis] + 1;
            let (h, w) = (out(6, kh, 0), out(7, kw, 1));
            assert_eq!(found.size(), [2, o, h, w]);
            let (x, weight) = (wave(&[2, c, 6, 7], 0.31), wave(&[o, c, kh, kw], 0.7));
            for at in 0..2 * o * h * w {
                let [b, k, i, j] = [at / (o * h * w), at / (h * w) % o, at / w % h, at % w];
                let mut want = wave(&[o], 1.3).double_value(&[k]);
                for tap in 0..c * kh * kw {
                    let [channel, u, v] = [tap / (kh * kw), tap / kw % kh, tap % kw];
                    let (row, column) = (i * stride[0] + u - padding[0], j * stride[1] + v - padding[1]);
                    if (0..6).contains(&row) && (0..7).contains(&column) {
                        want += x.double_value(&[b, channel, row, column])
                            * weight.double_value(&[k, channel, u, v]);
                    }
                }
                assert!((found.double_value(&[b, k, i, j]) - want).abs() < 1e-5);
            }
        }
    }

    /// While training by the batch's own mean and variance, which move the running ones by a tenth; else by those.
    #[test]
    fn a_batch_norm_is_its_formula_in_both_modes() {
        let root = Scope::root(1, Device::Cpu);
        let norm = BatchNorm::new(&root, 3).unwrap();
        let params = root.finish();
        assert_eq!(params.count(), 6, "statistics are not optimised");
        let value = |name: &str, i: i64| params.get(name).unwrap().tensor.double_value(&[i]);
        tch::no_grad(|| {
            params.get("weight").unwrap().tensor.shallow_clone().copy_(&(wave(&[3], 0.9) + 1.0));
            params.get("bias").unwrap().tensor.shallow_clone().copy_(&wave(&[3], 1.7));
        });
        let x = wave(&[4, 3, 5], 0.43) * 2.0 + 0.5;
        let (mut mean, mut var) = ([0.0; 3], [1.0; 3]);
        for mode in [Mode::Eval, Mode::Train, Mode::Eval, Mode::Train, Mode::Eval] {
            let found = tch::no_grad(|| norm.forward(&x.to_kind(Kind::Float), mode).unwrap());
            for c in 0..3usize {
                let of: Vec<f64> = (0..20).map(|i| x.double_value(&[i / 5, c as i64, i % 5])).collect();
                let own = of.iter().sum::<f64>() / 20.0;
                let squares = of.iter().map(|v| (v - own).powi(2)).sum::<f64>();
                let (m, v) = if mode == Mode::Train { (own, squares / 20.0) } else { (mean[c], var[c]) };
                for (i, x) in of.iter().enumerate() {
                    let (scale, shift) = (value("weight", c as i64), value("bias", c as i64));
                    let want = (x - m) / (v + 1e-5).sqrt() * scale + shift;
                    let at = [i as i64 / 5, c as i64, i as i64 % 5];
                    assert!((found.double_value(&at) - want).abs() < 1e-5);
                }
                if mode == Mode::Train {
                    // The running variance is the unbiased one.
                    mean[c] = 0.9 * mean[c] + 0.1 * own;
                    var[c] = 0.9 * var[c] + 0.1 * squares / 19.0;
                }
                assert!((value("running_mean", c as i64) - mean[c]).abs() < 1e-5);
                assert!((value("running_var", c as i64) - var[c]).abs() < 1e-5);
            }
        }
    }
}
