//! Rows of activations as bytes.

use super::super::{plain, refused, run};
use super::raw::{MOST, RawQuantise, RawRows, quantise_kernel};
use crate::Result;
use tch::{Device, Kind, Tensor};

/// Bytes past the last row that a product may read, and multiplies by nothing: it takes four at a time.
const SLACK: i64 = 3;

/// The highest byte of an activation. Without VNNI's instructions oneDNN adds pairs of products in 16 bits, which 255 · 127 would overflow.
fn levels() -> f32 {
    if crate::processor::get().features.get("vnni") == Some(&false) { 127.0 } else { 255.0 }
}

/// Rows of activations as unsigned bytes, each row with a scale and a lowest value of its own. The few numbers of a row that lie far from
/// all others (beyond 5.5 times its root mean square) are kept apart, in single precision: the scale need not reach them.
#[derive(Debug)]
pub struct Bytes {
    /// `[N, W]` uint8.
    pub(super) bytes: Tensor,
    /// `[N]` fp32.
    pub(super) scale: Tensor,
    pub(super) low: Tensor,
    /// `[N]` int64, `[N, MOST]` int64 and fp32.
    pub(super) apart: Tensor,
    pub(super) columns: Tensor,
    pub(super) beyond: Tensor,
    /// Of the tensor that they were made of.
    pub(super) shape: Vec<i64>,
}

impl Bytes {
    pub(super) fn blank(shape: Vec<i64>) -> Result<Self> {
        let width = shape.last().copied().unwrap_or(0);
        if width < 1 {
            return Err(refused(&format!("rows of {shape:?}: expected at least one number in each")));
        }
        let rows = shape.iter().product::<i64>() / width;
        let of = |shape: &[i64], kind| Tensor::f_empty(shape, (kind, Device::Cpu));
        let bytes = of(&[rows * width + SLACK], Kind::Uint8)?;
        Ok(Self {
            bytes: bytes.f_narrow(0, 0, rows * width)?.f_view([rows, width])?,
            scale: of(&[rows], Kind::Float)?,
            low: of(&[rows], Kind::Float)?,
            apart: of(&[rows], Kind::Int64)?,
            columns: of(&[rows, MOST], Kind::Int64)?,
            beyond: of(&[rows, MOST], Kind::Float)?,
            shape,
        })
    }

    /// As the kernels take it.
    pub(super) fn raw(&self) -> RawQuantise {
        RawQuantise {
            bytes: self.bytes.data_ptr().cast(),
            scale: self.scale.data_ptr().cast(),
            low: self.low.data_ptr().cast(),
            apart: self.apart.data_ptr().cast(),
            columns: self.columns.data_ptr().cast(),
            beyond: self.beyond.data_ptr().cast(),
            width: self.width(),
            levels: levels(),
        }
    }

    pub(super) fn rows(&self) -> i64 {
        self.scale.numel() as i64
    }

    pub(super) fn width(&self) -> i64 {
        self.shape.last().copied().unwrap_or(0)
    }

    /// `x` `[.., W]` as bytes.
    ///
    /// # Errors
    /// Rows without a number, or a tensor that is not on a CPU.
    pub fn of(x: &Tensor) -> Result<Self> {
        let x = plain(x, Kind::Float)?;
        let to = Self::blank(x.size())?;
        let mut raw = RawRows { x: x.data_ptr().cast::<f32>(), to: to.raw() };
        // SAFETY: `x` is contiguous fp32 of the rows and width that `to` was made for; both live through the call.
        unsafe { run(quantise_kernel(), to.rows(), to.width(), &mut raw)? };
        Ok(to)
    }
}
