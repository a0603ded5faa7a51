//! The structures of `layer.h`, `layer.cpp` and `product.cpp`, and the kernels that take them.

use super::super::kernel;
use std::ffi::c_void;
use std::ptr::{null, null_mut};

kernel! {
    pub(super) quantise_kernel = ute_quantise_plain, ute_quantise_avx2, ute_quantise_avx512;
    pub(super) finish_kernel = ute_finish_plain, ute_finish_avx2, ute_finish_avx512;
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    pub(super) fn ute_product_vnni(begin: i64, end: i64, given: *mut c_void);
    pub(super) fn ute_panels_vnni(begin: i64, end: i64, given: *mut c_void);
    pub(super) fn ute_product_amx(begin: i64, end: i64, given: *mut c_void);
    pub(super) fn ute_panels_amx(begin: i64, end: i64, given: *mut c_void);
    /// Whether the system lets this process use AMX's tiles; 0 where the compiler did not know them.
    pub(super) fn ute_tiles_amx() -> i64;
}

/// Numbers of a row that may stand apart.
pub(super) const MOST: i64 = 16;

/// `Quantise` of `layer.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RawQuantise {
    pub bytes: *mut u8,
    pub scale: *mut f32,
    pub low: *mut f32,
    pub apart: *mut i64,
    pub columns: *mut i64,
    pub beyond: *mut f32,
    pub width: i64,
    pub levels: f32,
}

impl RawQuantise {
    pub const NONE: Self = Self {
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

/// `Rows` of `layer.cpp`.
#[repr(C)]
pub(super) struct RawRows {
    pub x: *const f32,
    pub to: RawQuantise,
}

/// `Finish` of `layer.h`.
#[repr(C)]
pub(super) struct RawFinish {
    pub sums: *mut f32,
    pub of: RawQuantise,
    pub turned: *const i8,
    pub weight: *const f32,
    pub column: *const f32,
    pub bias: *const f32,
    pub onto: *const f32,
    pub width: i64,
    pub activation: i64,
    pub next: RawQuantise,
}

/// `Product` of `product.cpp`.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
pub(super) struct RawProduct {
    pub panels: *const i8,
    pub steps: i64,
    pub rows: i64,
    pub after: RawFinish,
}

/// Where a tensor that may be absent lies.
pub(super) fn lies(x: Option<&tch::Tensor>) -> *const f32 {
    x.map_or(null(), |x| x.data_ptr().cast_const().cast::<f32>())
}
