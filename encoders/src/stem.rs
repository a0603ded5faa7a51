//! From images and spectrograms to grids of features: a patch convolution, or a stack of small ones.

use crate::config::{Activation, ConvConfig, StemConfig};
use crate::{Mode, Result};
use tch::{Kind, Tensor};
use unisono_nn::{BatchNorm, Init, Scope, length_mask};

/// 3×3 convolution without bias, batch norm, activation.
#[derive(Debug)]
struct ConvLayer {
    conv: Tensor,
    norm: BatchNorm,
    stride: [i64; 2],
    residual: bool,
    activation: Activation,
}

impl ConvLayer {
    fn new(scope: &Scope, input: i64, c: &ConvConfig, activation: Activation) -> Result<Self> {
        // He initialisation: each layer keeps the variance through a rectifier.
        let std = (1.0 / (27.0 * input as f64)).sqrt();
        Ok(Self {
            conv: scope.param("weight", &[c.channels, input, 3, 3], Init::Normal(std))?,
            norm: BatchNorm::new(&scope.child("norm"), c.channels)?,
            stride: c.stride,
            residual: c.residual,
            activation,
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let y = x.f_conv2d(&self.conv, None::<&Tensor>, self.stride, [1, 1], [1, 1], 1)?;
        let y = self.norm.forward(&y, mode)?;
        let mut y = if self.residual { y.f_add(x)? } else { y };
        if self.activation == Activation::Relu {
            return Ok(y.f_relu_()?);
        }
        Ok(self.activation.forward(&y)?)
    }
}

#[derive(Debug)]
enum Kernel {
    Patch { weight: Tensor, bias: Tensor, size: [i64; 2], stride: Option<[i64; 2]> },
    Conv(Vec<ConvLayer>),
    Frames { layers: Vec<(Tensor, Tensor)>, strides: Vec<i64>, activation: Activation },
}

/// A stem: `[B, C, H, W]` → `[B, C', H', W']`, H' and W' as [`StemConfig::grid`] says.
#[derive(Debug)]
pub struct Stem {
    kernel: Kernel,
    channels: i64,
}

impl Stem {
    /// `input` channels in (for frames: bands); a stem of patches or frames gives `width` channels, a convolutional one its
    /// last layer's.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, config: &StemConfig, input: i64, width: i64) -> Result<Self> {
        match config {
            StemConfig::Patch { size, stride } => {
                let std = ((input * size[0] * size[1]) as f64).powf(-0.5);
                let weight = scope.param("weight", &[width, input, size[0], size[1]], Init::Normal(std))?;
                let bias = scope.param("bias", &[width], Init::Const(0.0))?;
                let kernel = Kernel::Patch { weight, bias, size: *size, stride: *stride };
                Ok(Self { kernel, channels: width })
            }
            StemConfig::Conv { layers, activation } => {
                let mut channels = input;
                let mut built = Vec::with_capacity(layers.len());
                for (i, layer) in layers.iter().enumerate() {
                    built.push(ConvLayer::new(&scope.child(i), channels, layer, *activation)?);
                    channels = layer.channels;
                }
                Ok(Self { kernel: Kernel::Conv(built), channels })
            }
            StemConfig::Frames { strides, activation } => {
                let mut layers = Vec::with_capacity(strides.len());
                let mut channels = input;
                for i in 0..strides.len() {
                    let at = scope.child(i);
                    let init = Init::Normal((3.0 * channels as f64).powf(-0.5));
                    layers.push((
                        at.param("weight", &[width, channels, 3], init)?,
                        at.param("bias", &[width], Init::Const(0.0))?,
                    ));
                    channels = width;
                }
                let kernel = Kernel::Frames { layers, strides: strides.clone(), activation: *activation };
                Ok(Self { kernel, channels })
            }
        }
    }

    /// Channels out.
    pub fn channels(&self) -> i64 {
        self.channels
    }

    /// `lengths` `[B]` (int64) counts each sample's real rows along H; rows past it are padding. Padding is set to zero before
    /// every convolution: a padded sample then sees past its end what a lone one sees there, and its features are the same.
    /// Returns the features and the lengths along H'.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(
        &self,
        x: &Tensor,
        lengths: Option<&Tensor>,
        mode: Mode,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let mut lengths = lengths.map(Tensor::shallow_clone);
        let mut x = x.shallow_clone();
        match &self.kernel {
            Kernel::Patch { weight, bias, stride: Some(stride), .. } => {
                // Overlapping patches are of inputs of one length: nothing is padded.
                x = x.f_conv2d(weight, Some(bias), *stride, [0, 0], [1, 1], 1)?;
                let rows = x.size()[2];
                lengths = lengths.map(|l| l.f_full_like(rows)).transpose()?;
            }
            Kernel::Frames { layers, strides, activation } => {
                x = x.f_permute([0, 3, 2, 1])?; // [B, M, T, 1]: bands are channels
                for ((weight, bias), stride) in layers.iter().zip(strides) {
                    x = zero_padding(&x, lengths.as_ref())?;
                    x = x.f_conv2d(&weight.f_unsqueeze(-1)?, Some(bias), [*stride, 1], [1, 0], [1, 1], 1)?;
                    x = activation.forward(&x)?;
                    lengths = lengths.map(|l| ceil_div(&l, *stride)).transpose()?;
                }
            }
            Kernel::Patch { weight, bias, size, stride: None } => {
                x = zero_padding(&x, lengths.as_ref())?;
                let (_, _, h, w) = x.size4()?;
                let (pad_h, pad_w) = ((size[0] - h % size[0]) % size[0], (size[1] - w % size[1]) % size[1]);
                if pad_h + pad_w > 0 {
                    x = x.f_constant_pad_nd([0, pad_w, 0, pad_h])?;
                }
                x = x.f_conv2d(weight, Some(bias), *size, [0, 0], [1, 1], 1)?;
                lengths = lengths.map(|l| ceil_div(&l, size[0])).transpose()?;
            }
            Kernel::Conv(layers) => {
                for layer in layers {
                    x = zero_padding(&x, lengths.as_ref())?;
                    x = layer.forward(&x, mode)?;
                    lengths = lengths.map(|l| ceil_div(&l, layer.stride[0])).transpose()?;
                }
            }
        }
        Ok((x, lengths))
    }
}

fn ceil_div(lengths: &Tensor, by: i64) -> Result<Tensor> {
    if by == 1 {
        return Ok(lengths.shallow_clone());
    }
    Ok(lengths.f_add_scalar(by - 1)?.f_floor_divide_scalar(by)?)
}

fn zero_padding(x: &Tensor, lengths: Option<&Tensor>) -> Result<Tensor> {
    let Some(lengths) = lengths else { return Ok(x.shallow_clone()) };
    let mask = length_mask(lengths, x.size()[2])?.f_to_kind(Kind::Float)?;
    Ok(x.f_mul(&mask.f_unsqueeze(1)?.f_unsqueeze(-1)?)?)
}

#[cfg(test)]
mod tests;
