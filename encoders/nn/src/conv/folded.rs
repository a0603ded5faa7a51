//! A convolution prepared for inference: its weight packed once as its kernel takes it, its activation and what is added to it fused.

use super::{ConvShape, Padding};
use crate::onednn::{self, Steps};
use crate::packed::Packed;
use crate::{Activation, Precision, Result};
use tch::{Device, Tensor};

/// A weight and a bias in the form that their kernel takes.
#[derive(Debug)]
pub(super) struct Folded {
    kernel: Kernel,
    bias: Tensor,
    shape: ConvShape,
}

#[derive(Debug)]
enum Kernel {
    /// Of one place: a product over the last axis.
    Product(Packed),
    /// oneDNN's blocked layout; `grown`: with a row and a column of zeros in front.
    Blocked { weight: Tensor, grown: Option<Tensor> },
    /// As libtorch takes it.
    Plain(Tensor),
}

impl Folded {
    /// `weight` `[out, in, k, k]` and `bias` `[out]` without gradients. Only what sees all channels of one place is worth less precise
    /// arithmetic: there the products are.
    pub fn new(weight: &Tensor, bias: Tensor, shape: ConvShape, precision: Precision) -> Result<Self> {
        let pointwise = shape.kernel == 1 && shape.stride == 1 && !shape.depthwise;
        let product = match pointwise {
            true => Packed::new(&weight.f_flatten(1, -1)?, Some(&bias), precision)?,
            false => None,
        };
        let kernel = match product {
            Some(packed) => Kernel::Product(packed),
            None if weight.device() == Device::Cpu => {
                let uneven = shape.depthwise && shape.padding == Padding::Same && shape.stride % 2 == 0;
                let grown = uneven.then(|| blocked(&weight.f_constant_pad_nd([1, 0, 1, 0])?, shape));
                Kernel::Blocked { weight: blocked(weight, shape)?, grown: grown.transpose()? }
            }
            None => Kernel::Plain(weight.shallow_clone()),
        };
        Ok(Self { kernel, bias, shape })
    }

    /// `activation(conv(x) + bias) + onto`.
    pub fn forward(
        &self,
        x: &Tensor,
        activation: Option<Activation>,
        onto: Option<&Tensor>,
    ) -> Result<Tensor> {
        let ConvShape { kernel, stride, padding, .. } = self.shape;
        match &self.kernel {
            Kernel::Product(packed) => {
                let last = |x: &Tensor| x.f_permute([0, 2, 3, 1]);
                let onto = onto.map(last).transpose()?;
                let y = packed.forward(&last(x)?, Some(&self.bias), activation, onto.as_ref())?;
                Ok(y.f_permute([0, 3, 1, 2])?)
            }
            Kernel::Blocked { weight, grown } => {
                let [[top, bottom], [left, right]] = padding.ends(x, kernel, stride)?;
                let (x, weight, ends) = match grown {
                    // As many zeros on either side of a kernel that begins with zeros: nothing is copied.
                    Some(grown) if bottom > top && right > left => {
                        (x.shallow_clone(), grown, [bottom, right])
                    }
                    _ => {
                        let (x, ends) = padding.apply(x, kernel, stride)?;
                        (x, weight, ends)
                    }
                };
                let steps = Steps { ends, stride, groups: self.shape.groups() };
                onednn::conv(&x, weight, &self.bias, steps, activation, onto)
            }
            Kernel::Plain(weight) => {
                let (x, ends) = padding.apply(x, kernel, stride)?;
                let groups = self.shape.groups();
                let y = x.f_conv2d(weight, Some(&self.bias), [stride; 2], ends, [1, 1], groups)?;
                onednn::added(onednn::activated(y, activation)?, onto)
            }
        }
    }
}

fn blocked(weight: &Tensor, shape: ConvShape) -> Result<Tensor> {
    let ends = [weight.size4()?.2 / 2; 2];
    onednn::conv_weight(weight, Steps { ends, stride: shape.stride, groups: shape.groups() })
}
