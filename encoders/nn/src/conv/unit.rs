//! A convolution, its batch norm and an activation as one layer: apart while they are trained, folded into one kernel for inference.

use super::folded::Folded;
use super::{BatchNorm, ConvShape};
use crate::{Activation, Init, Pass, Precision, Result, Scope};
use tch::{Kind, Tensor};

/// A convolution without a bias, a batch norm, and an activation or none.
#[derive(Debug)]
pub struct ConvNorm {
    weight: Tensor,
    norm: BatchNorm,
    shape: ConvShape,
    activation: Option<Activation>,
    folded: Option<Folded>,
}

impl ConvNorm {
    /// The layer under `scope`, `eps` added to the norm's variance.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, shape: ConvShape, activation: Option<Activation>, eps: f64) -> Result<Self> {
        let ConvShape { output, kernel, .. } = shape;
        // He initialisation over what each input is seen by, as EfficientNet's authors start.
        let fan_out = kernel * kernel * if shape.depthwise { 1 } else { output };
        let init = Init::Normal((2.0 / fan_out as f64).sqrt());
        Ok(Self {
            weight: scope.param("weight", &[output, shape.seen(), kernel, kernel], init)?,
            norm: BatchNorm::with_eps(&scope.child("norm"), output, eps)?,
            shape,
            activation,
            folded: None,
        })
    }

    /// Folds the norm into the weights and packs them for inference: later changes of the parameters are not seen, and no gradient flows.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        let (weight, bias) = self.weight_and_bias()?;
        self.folded = Some(Folded::new(&weight, bias, self.shape, precision)?);
        Ok(())
    }

    /// Of the convolution with the norm in it, `[out, in, k, k]` and `[out]`: no gradient flows.
    pub(crate) fn weight_and_bias(&self) -> Result<(Tensor, Tensor)> {
        let (scale, shift) = self.norm.affine()?;
        Ok((self.weight.f_detach()?.f_mul(&scale.f_view([-1, 1, 1, 1])?)?, shift))
    }

    pub(crate) fn shape(&self) -> ConvShape {
        self.shape
    }

    pub(crate) fn activation(&self) -> Option<Activation> {
        self.activation
    }

    /// `[B, C, H, W]`, fastest with channels-last strides, → `[B, C', ⌈H / stride⌉, ⌈W / stride⌉]`.
    ///
    /// # Errors
    /// Another number of channels, or libtorch's.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        if let Some(folded) = self.folded.as_ref().filter(|_| !pass.trains()) {
            return folded.forward(x, self.activation, None);
        }
        let (x, [top, left]) = self.shape.padding.apply(x, self.shape.kernel, self.shape.stride)?;
        let (x, weight) = (x.f_to_kind(pass.kind())?, self.weight.f_to_kind(pass.kind())?);
        let stride = [self.shape.stride; 2];
        let y = x.f_conv2d(&weight, None::<&Tensor>, stride, [top, left], [1, 1], self.shape.groups())?;
        let y = self.norm.forward(&y.f_to_kind(Kind::Float)?, pass.mode)?;
        match self.activation {
            // What the norm gives is nobody else's.
            Some(Activation::Relu) => Ok(y.shallow_clone().f_relu_()?),
            Some(activation) => activation.forward(&y),
            None => Ok(y),
        }
    }

    /// [`forward`](Self::forward) with `to`, of the shape that comes out, added after the activation.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_onto(&self, x: &Tensor, to: &Tensor, pass: &Pass) -> Result<Tensor> {
        match self.folded.as_ref().filter(|_| !pass.trains()) {
            Some(folded) => folded.forward(x, self.activation, Some(to)),
            None => Ok(self.forward(x, pass)?.f_add(to)?),
        }
    }
}

#[cfg(test)]
mod tests;
