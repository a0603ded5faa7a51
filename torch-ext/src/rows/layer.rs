//! The face of `layer.cpp`.

use super::{kernel, plain, refused, run};
use crate::{Arg, Result, call_one};
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use tch::{Device, Kind, Tensor};

kernel! {
    quantise_kernel = ute_quantise_plain, ute_quantise_avx2, ute_quantise_avx512;
    finish_kernel = ute_finish_plain, ute_finish_avx2, ute_finish_avx512;
}

/// `Quantise` of `layer.cpp`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawQuantise {
    x: *const f32,
    bytes: *mut u8,
    scale: *mut f32,
    low: *mut f32,
    apart: *mut i64,
    columns: *mut i64,
    beyond: *mut f32,
    width: i64,
    levels: f32,
}

impl RawQuantise {
    const NONE: Self = Self {
        x: null(),
        bytes: null_mut(),
        scale: null_mut(),
        low: null_mut(),
        apart: null_mut(),
        columns: null_mut(),
        beyond: null_mut(),
        width: 0,
        levels: 0.0,
    };
}

/// `Finish` of `layer.cpp`.
#[repr(C)]
struct RawFinish {
    sums: *mut f32,
    of: RawQuantise,
    turned: *const i8,
    weight: *const f32,
    column: *const f32,
    bias: *const f32,
    width: i64,
    activation: i64,
    next: RawQuantise,
}

/// Numbers of a row that may stand apart.
const MOST: i64 = 16;

/// Rows for which oneDNN chooses its layout: a batch of images has thousands, a batch of sentences hundreds.
const TYPICAL_ROWS: i64 = 1600;

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

/// The highest byte of an activation. Without VNNI's instructions oneDNN adds pairs of products in 16 bits, which 255 · 127 would overflow.
fn levels() -> f32 {
    if crate::processor::get().features.get("vnni") == Some(&false) { 127.0 } else { 255.0 }
}

/// Rows of activations as unsigned bytes, each row with a scale and a lowest value of its own. The few numbers of a row that lie far from
/// all others (beyond 5.5 times its root mean square) are kept apart, in single precision: the scale need not reach them.
#[derive(Debug)]
pub struct Bytes {
    /// `[N, W]` uint8.
    bytes: Tensor,
    /// `[N]` fp32.
    scale: Tensor,
    low: Tensor,
    /// `[N]` int64, `[N, MOST]` int64 and fp32.
    apart: Tensor,
    columns: Tensor,
    beyond: Tensor,
    /// Of the tensor that they were made of.
    shape: Vec<i64>,
}

impl Bytes {
    fn blank(shape: Vec<i64>) -> Result<Self> {
        let width = shape.last().copied().unwrap_or(0);
        if width < 1 {
            return Err(refused(&format!("rows of {shape:?}: expected at least one number in each")));
        }
        let rows = shape.iter().product::<i64>() / width;
        let of = |shape: &[i64], kind| Tensor::f_empty(shape, (kind, Device::Cpu));
        Ok(Self {
            bytes: of(&[rows, width], Kind::Uint8)?,
            scale: of(&[rows], Kind::Float)?,
            low: of(&[rows], Kind::Float)?,
            apart: of(&[rows], Kind::Int64)?,
            columns: of(&[rows, MOST], Kind::Int64)?,
            beyond: of(&[rows, MOST], Kind::Float)?,
            shape,
        })
    }

    /// As the kernels take it, made of what `x` points to.
    fn raw(&self, x: *const f32) -> RawQuantise {
        RawQuantise {
            x,
            bytes: self.bytes.data_ptr().cast(),
            scale: self.scale.data_ptr().cast(),
            low: self.low.data_ptr().cast(),
            apart: self.apart.data_ptr().cast(),
            columns: self.columns.data_ptr().cast(),
            beyond: self.beyond.data_ptr().cast(),
            width: self.bytes.size()[1],
            levels: levels(),
        }
    }

    /// `x` `[.., W]` as bytes.
    ///
    /// # Errors
    /// Rows without a number, or a tensor that is not on a CPU.
    pub fn of(x: &Tensor) -> Result<Self> {
        let x = plain(x, Kind::Float)?;
        let to = Self::blank(x.size())?;
        let mut raw = to.raw(x.data_ptr().cast());
        // SAFETY: `x` is contiguous fp32 of the rows and width that `to` was made for; both live through the call.
        unsafe { run(quantise_kernel(), to.bytes.size()[0], raw.width, &mut raw)? };
        Ok(to)
    }
}

/// A layer's weights `[out, in]` as signed bytes with a scale for each output channel.
#[derive(Debug)]
pub struct Weights {
    /// As oneDNN multiplies them.
    packed: Tensor,
    /// `[in, out]` int8, for the activations that stand apart.
    turned: Tensor,
    /// `[out]` fp32.
    scale: Tensor,
    column: Tensor,
    bias: Option<Tensor>,
    /// oneDNN's own scale and zero point: it is to give plain sums.
    one: Tensor,
    zero: Tensor,
}

impl Weights {
    /// Rounds `weight` `[out, in]`; `bias` `[out]` stays in single precision.
    ///
    /// # Errors
    /// Other shapes, or a weight that is not on a CPU.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let weight = plain(&weight.f_detach()?, Kind::Float)?;
        let (output, input) = weight.size2()?;
        let most = weight.f_abs()?.f_amax([1i64].as_slice(), false)?.f_clamp_min(1e-12)?;
        let scale = most.f_div_scalar(127.0)?;
        let bytes = weight.f_div(&scale.f_unsqueeze(1)?)?.f_round()?.f_clamp(-127, 127)?;
        let bias = bias.map(|b| plain(&b.f_detach()?, Kind::Float)).transpose()?;
        if bias.as_ref().is_some_and(|b| b.size() != [output]) {
            return Err(refused(&format!("a bias of another size than the {output} outputs")));
        }
        let column = bytes.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
        let bytes = bytes.f_to_kind(Kind::Int8)?;
        let typical = [TYPICAL_ROWS, input];
        Ok(Self {
            packed: call_one("onednn::qlinear_prepack", &[Arg::Tensor(&bytes), Arg::Ints(&typical)])?,
            turned: bytes.f_tr()?.f_contiguous()?,
            one: scale.f_ones_like()?,
            zero: scale.f_zeros_like()?.f_to_kind(Kind::Int)?,
            scale,
            column,
            bias,
        })
    }

    /// `activation(x Wᵀ + b)`, `[.., in]` → `[.., out]` fp32.
    ///
    /// # Errors
    /// Another width than the weights'.
    pub fn forward(&self, x: &Bytes, activation: Activation) -> Result<Tensor> {
        let sums = self.sums(x)?;
        self.finish(&sums, x, activation, RawQuantise::NONE)?;
        Ok(sums.f_reshape(self.shape(x))?)
    }

    /// [`forward`](Self::forward), its result as bytes for the next layer, while each row is still at hand.
    ///
    /// # Errors
    /// Another width than the weights'.
    pub fn forward_bytes(&self, x: &Bytes, activation: Activation) -> Result<Bytes> {
        let (sums, next) = (self.sums(x)?, Bytes::blank(self.shape(x))?);
        self.finish(&sums, x, activation, next.raw(sums.data_ptr().cast()))?;
        Ok(next)
    }

    fn shape(&self, x: &Bytes) -> Vec<i64> {
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = self.scale.size()[0];
        }
        shape
    }

    /// The sums of products of bytes, exact: whole numbers, whatever kernel oneDNN takes for so many rows.
    fn sums(&self, x: &Bytes) -> Result<Tensor> {
        let (width, input) = (x.bytes.size()[1], self.turned.size()[0]);
        if width != input {
            return Err(refused(&format!("rows of {width} numbers, the weights take {input}")));
        }
        if x.bytes.size()[0] == 0 {
            return Ok(Tensor::f_empty([0, self.scale.size()[0]], (Kind::Float, Device::Cpu))?);
        }
        let args = [
            Arg::Tensor(&x.bytes),
            Arg::Double(1.0),
            Arg::Int(0),
            Arg::Tensor(&self.packed),
            Arg::Tensor(&self.one),
            Arg::Tensor(&self.zero),
            Arg::None,
            Arg::Double(1.0),
            Arg::Int(0),
            Arg::Kind(Kind::Float),
            Arg::Str("none"),
            Arg::Doubles(&[]),
            Arg::Str(""),
        ];
        call_one("onednn::qlinear_pointwise", &args)?.f_contiguous().map_err(Into::into)
    }

    fn finish(&self, sums: &Tensor, x: &Bytes, activation: Activation, next: RawQuantise) -> Result<()> {
        let (rows, width) = sums.size2()?;
        let mut raw = RawFinish {
            sums: sums.data_ptr().cast(),
            of: x.raw(null()),
            turned: self.turned.data_ptr().cast::<i8>(),
            weight: self.scale.data_ptr().cast::<f32>(),
            column: self.column.data_ptr().cast::<f32>(),
            bias: self.bias.as_ref().map_or(null(), |b| b.data_ptr().cast::<f32>()),
            width,
            activation: activation as i64,
            next,
        };
        // SAFETY: `sums` is fresh, contiguous fp32 of the rows of `x` and the width of every other tensor, and so is what `next` points to;
        // columns that stand apart lie within the input's width, which is that of `turned`.
        unsafe { run(finish_kernel(), rows, 4 * width, &mut raw) }
    }
}

#[cfg(test)]
mod tests;
