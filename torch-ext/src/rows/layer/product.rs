//! The product of bytes, and what follows it row by row.

use super::super::run;
use super::bytes::Bytes;
use super::raw::{RawFinish, finish_kernel};
use crate::{Arg, Result, call_one};
use tch::{Device, Kind, Tensor};

/// Rows for which oneDNN chooses its layout: a batch of images has thousands, a batch of sentences hundreds.
const TYPICAL_ROWS: i64 = 1600;

/// Weights as a product takes them.
#[derive(Debug)]
pub(super) enum Product {
    /// As `product.cpp` does: processors with AVX-512 VNNI, by tiles where they have AMX, too.
    #[cfg(target_arch = "x86_64")]
    Panels(panels::Panels),
    /// As oneDNN multiplies them, with a scale and a zero point of its own: it is to give plain sums.
    OneDnn { packed: Tensor, one: Tensor, zero: Tensor },
}

impl Product {
    /// Of `weight` `[out, in]` int8, for this processor.
    pub fn new(weight: &Tensor) -> Result<Self> {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernels) = panels::kernels() {
            return Ok(Self::Panels(panels::Panels::new(weight, kernels)?));
        }
        Self::one_dnn(weight)
    }

    pub fn one_dnn(weight: &Tensor) -> Result<Self> {
        let (output, input) = weight.size2()?;
        let typical = [TYPICAL_ROWS, input];
        Ok(Self::OneDnn {
            packed: call_one("onednn::qlinear_prepack", &[Arg::Tensor(weight), Arg::Ints(&typical)])?,
            one: Tensor::f_ones([output], (Kind::Float, Device::Cpu))?,
            zero: Tensor::f_zeros([output], (Kind::Int, Device::Cpu))?,
        })
    }

    /// The sums of products of bytes, exact: whole numbers, whatever kernel makes them; then what `after` says of every row. They become
    /// the result `[N, out]`, which is whatever was left over where `after` wants bytes.
    ///
    /// # Safety
    /// What `after` points to has the rows of `x` and the width of the weights' output; it lives through the call.
    pub unsafe fn run(&self, x: &Bytes, mut after: RawFinish) -> Result<Tensor> {
        let (rows, width) = (x.rows(), after.width);
        let blank = || Tensor::f_empty([rows, width], (Kind::Float, Device::Cpu));
        if rows == 0 {
            return Ok(blank()?);
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Panels(panels) => {
                let sums = blank()?;
                after.sums = sums.data_ptr().cast();
                // SAFETY: the caller's promise; `sums` is fresh and contiguous.
                unsafe { panels.run(rows, after)? };
                Ok(sums)
            }
            Self::OneDnn { packed, one, zero } => {
                let args = [
                    Arg::Tensor(&x.bytes),
                    Arg::Double(1.0),
                    Arg::Int(0),
                    Arg::Tensor(packed),
                    Arg::Tensor(one),
                    Arg::Tensor(zero),
                    Arg::None,
                    Arg::Double(1.0),
                    Arg::Int(0),
                    Arg::Kind(Kind::Float),
                    Arg::Str("none"),
                    Arg::Doubles(&[]),
                    Arg::Str(""),
                ];
                let sums = call_one("onednn::qlinear_pointwise", &args)?.f_contiguous()?;
                after.sums = sums.data_ptr().cast();
                // SAFETY: as above.
                unsafe { run(finish_kernel(), rows, 4 * width, &mut after)? };
                Ok(sums)
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod panels {
    use super::super::raw::{
        RawProduct, ute_panels_amx, ute_panels_vnni, ute_product_amx, ute_product_vnni, ute_tiles_amx,
    };
    use super::{RawFinish, Result, Tensor, finish_kernel, run};
    use crate::rows::panels::{LANES, WIDE, panels};
    use crate::rows::{Kernel, Level, level};
    use std::is_x86_feature_detected as has;
    use std::sync::OnceLock;

    /// Bytes that one instruction sums: `STEP` of `product.cpp`.
    const STEP: i64 = 4;

    /// Fewer rows than these are cut among threads by columns: every thread would read all weights for a few of them.
    const MANY: i64 = 96;

    /// `product.cpp` as it is compiled for this processor.
    #[derive(Debug, Clone, Copy)]
    pub struct Kernels {
        /// Of many rows.
        product: Kernel,
        /// Of few.
        panels: Kernel,
    }

    impl Kernels {
        pub const VNNI: Self = Self { product: ute_product_vnni, panels: ute_panels_vnni };
        const AMX: Self = Self { product: ute_product_amx, panels: ute_panels_amx };
    }

    /// The fastest; `None` where oneDNN is faster.
    pub fn kernels() -> Option<Kernels> {
        static TILES: OnceLock<bool> = OnceLock::new();
        if level() != Level::Avx512 || !has!("avx512vnni") {
            return None;
        }
        if crate::processor::get().features.get("amx") != Some(&true) {
            return Some(Kernels::VNNI);
        }
        // SAFETY: it takes nothing, and asks the system for what the process may use.
        TILES.get_or_init(|| unsafe { ute_tiles_amx() } != 0).then_some(Kernels::AMX)
    }

    /// Weights as `product.cpp` takes them.
    #[derive(Debug)]
    pub struct Panels {
        bytes: Tensor,
        steps: i64,
        columns: i64,
        kernels: Kernels,
    }

    impl Panels {
        pub fn new(weight: &Tensor, kernels: Kernels) -> Result<Self> {
            let (output, input) = weight.size2()?;
            let steps = (input + STEP - 1) / STEP;
            Ok(Self { bytes: panels(weight, STEP)?, steps, columns: output, kernels })
        }

        /// # Safety
        /// `after` has `rows` rows and the width of these weights everywhere, and lives through the call.
        pub unsafe fn run(&self, rows: i64, after: RawFinish) -> Result<()> {
            let mut raw =
                RawProduct { panels: self.bytes.data_ptr().cast::<i8>(), steps: self.steps, rows, after };
            if rows >= MANY {
                // SAFETY: the caller's promise; the weights are of the panels and steps that `new` laid out.
                return unsafe { run(self.kernels.product, rows, self.steps * self.columns, &mut raw) };
            }
            let panels = (self.columns + WIDE * LANES - 1) / (WIDE * LANES);
            // SAFETY: the same.
            unsafe {
                run(self.kernels.panels, panels, rows * self.steps * WIDE * LANES, &mut raw)?;
                run(finish_kernel(), rows, 4 * self.columns, &mut raw.after)
            }
        }
    }
}
