//! Convolutions over two axes, and the batch norm that follows them.

use crate::{Init, Mode, Result, Scope};
use tch::Tensor;

/// Batch norm over axis 1 (Ioffe & Szegedy 2015).
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
}

impl BatchNorm {
    /// Over `n` channels.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, n: i64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[n], Init::Const(1.0))?,
            bias: scope.param("bias", &[n], Init::Const(0.0))?,
            mean: scope.buffer("running_mean", &[n], Init::Const(0.0))?,
            var: scope.buffer("running_var", &[n], Init::Const(1.0))?,
        })
    }

    /// `[B, n, ..]` → the same shape: by the batch's own statistics while training, else by the running ones.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let (w, b, m, v) = (Some(&self.weight), Some(&self.bias), Some(&self.mean), Some(&self.var));
        Ok(x.f_batch_norm(w, b, m, v, mode == Mode::Train, 0.1, 1e-5, true)?)
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
