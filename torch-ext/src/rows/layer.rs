//! 8-bit layers: the face of `layer.cpp` and `product.cpp`.

mod bytes;
mod product;
mod raw;

pub use bytes::Bytes;

use super::{plain, refused};
use crate::Result;
use product::Product;
use raw::{RawFinish, RawQuantise, lies};
use std::ptr::null_mut;
use tch::{Kind, Tensor};

/// What comes after a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Activation {
    /// Nothing.
    None = 0,
    /// max(x, 0).
    Relu = 1,
    /// x Φ(x).
    Gelu = 2,
    /// GELU by a hyperbolic tangent.
    GeluTanh = 3,
    /// x σ(1.702 x).
    QuickGelu = 4,
    /// x σ(x).
    Silu = 5,
    /// min(max(x, 0), 6).
    Relu6 = 6,
    /// The hyperbolic tangent.
    Tanh = 7,
}

/// A layer's weights `[out, in]` as signed bytes with a scale for each output channel.
#[derive(Debug)]
pub struct Weights {
    product: Product,
    /// `[in, out]` int8, for the activations that stand apart.
    turned: Tensor,
    /// `[out]` fp32.
    scale: Tensor,
    column: Tensor,
    bias: Option<Tensor>,
}

impl Weights {
    /// Rounds `weight` `[out, in]`; `bias` `[out]` stays in single precision.
    ///
    /// # Errors
    /// Other shapes, or a weight that is not on a CPU.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        Self::by(weight, bias, Product::new)
    }

    fn by(
        weight: &Tensor,
        bias: Option<&Tensor>,
        product: impl FnOnce(&Tensor) -> Result<Product>,
    ) -> Result<Self> {
        let weight = plain(&weight.f_detach()?, Kind::Float)?;
        let output = weight.size2()?.0;
        let most = weight.f_abs()?.f_amax([1i64].as_slice(), false)?.f_clamp_min(1e-12)?;
        let scale = most.f_div_scalar(127.0)?;
        let bytes = weight.f_div(&scale.f_unsqueeze(1)?)?.f_round()?.f_clamp(-127, 127)?;
        let bias = bias.map(|b| plain(&b.f_detach()?, Kind::Float)).transpose()?;
        if bias.as_ref().is_some_and(|b| b.size() != [output]) {
            return Err(refused(&format!("a bias of another size than the {output} outputs")));
        }
        let column = bytes.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
        let bytes = bytes.f_to_kind(Kind::Int8)?;
        Ok(Self { product: product(&bytes)?, turned: bytes.f_tr()?.f_contiguous()?, scale, column, bias })
    }

    /// `activation(x Wᵀ + b)`, and `onto` of the same shape added to it, `[.., in]` → `[.., out]` fp32.
    ///
    /// # Errors
    /// Another width than the weights', or an `onto` of another shape.
    pub fn forward(&self, x: &Bytes, activation: Activation, onto: Option<&Tensor>) -> Result<Tensor> {
        let shape = self.shape(x);
        let onto = onto.map(|onto| plain(onto, Kind::Float)).transpose()?;
        if let Some(onto) = onto.as_ref().filter(|onto| onto.size() != shape) {
            return Err(refused(&format!("a result of {shape:?} to add to {:?}", onto.size())));
        }
        let sums = self.run(x, activation, onto.as_ref(), RawQuantise::NONE)?;
        Ok(sums.f_reshape(shape)?)
    }

    /// [`forward`](Self::forward), its result as bytes for the next layer, while each row is still at hand.
    ///
    /// # Errors
    /// Another width than the weights'.
    pub fn forward_bytes(&self, x: &Bytes, activation: Activation) -> Result<Bytes> {
        let next = Bytes::blank(self.shape(x))?;
        let _ = self.run(x, activation, None, next.raw())?;
        Ok(next)
    }

    fn shape(&self, x: &Bytes) -> Vec<i64> {
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = self.scale.size()[0];
        }
        shape
    }

    fn run(
        &self,
        x: &Bytes,
        activation: Activation,
        onto: Option<&Tensor>,
        next: RawQuantise,
    ) -> Result<Tensor> {
        let (input, width) = self.turned.size2()?;
        if x.width() != input {
            return Err(refused(&format!("rows of {} numbers, the weights take {input}", x.width())));
        }
        let after = RawFinish {
            sums: null_mut(),
            of: x.raw(),
            turned: self.turned.data_ptr().cast::<i8>(),
            weight: self.scale.data_ptr().cast::<f32>(),
            column: self.column.data_ptr().cast::<f32>(),
            bias: lies(self.bias.as_ref()),
            onto: lies(onto),
            width,
            activation: activation as i64,
            next,
        };
        // SAFETY: `onto` and what `next` points to have the rows of `x` and the width of the weights' output, as have the scales and the
        // bias; columns that stand apart lie within the input's width, which is that of `turned`. All live through the call.
        unsafe { self.product.run(x, after) }
    }
}

#[cfg(test)]
mod tests;
