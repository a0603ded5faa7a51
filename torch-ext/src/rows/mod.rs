//! Kernels that give every row (token) the same result alone and in any batch, on CPUs: what an 8-bit layer does before and after its
//! product, that product itself, attention in a fixed order, and inverted bottlenecks. They run on libtorch's own threads.

mod attend;
mod bottleneck;
mod layer;
mod panels;

pub use attend::{Seen, attend, attends};
pub use bottleneck::{Bottleneck, Layer, narrows};
pub use layer::{Activation, Bytes, Weights};

use crate::{Error, Result};
use std::ffi::c_void;
use tch::{Device, Kind, Tensor};

/// Rows from `begin` to `end` with the arguments that the pointer leads to.
type Kernel = unsafe extern "C" fn(begin: i64, end: i64, given: *mut c_void);

unsafe extern "C" {
    // Of libtorch's own stable interface: zero where nothing went wrong.
    fn torch_parallel_for(begin: i64, end: i64, grain: i64, run: Kernel, given: *mut c_void) -> i32;
}

/// A kernel as it was compiled for each set of instructions.
macro_rules! kernel {
    ($($see:vis $name:ident = $plain:ident, $avx2:ident, $avx512:ident;)*) => {
        unsafe extern "C" {
            $(fn $plain(begin: i64, end: i64, given: *mut c_void);)*
        }
        #[cfg(target_arch = "x86_64")]
        unsafe extern "C" {
            $(
                fn $avx2(begin: i64, end: i64, given: *mut c_void);
                fn $avx512(begin: i64, end: i64, given: *mut c_void);
            )*
        }
        $(
            $see fn $name() -> $crate::rows::Kernel {
                #[cfg(target_arch = "x86_64")]
                match $crate::rows::level() {
                    $crate::rows::Level::Avx512 => return $avx512,
                    $crate::rows::Level::Avx2 => return $avx2,
                    $crate::rows::Level::Plain => (),
                }
                $plain
            }
        )*
    };
}
pub(crate) use kernel;

/// The sets of instructions that kernels are compiled for, in x86's names.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Plain,
    Avx2,
    Avx512,
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn level() -> Level {
    use std::is_x86_feature_detected as has;
    if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("fma") {
        Level::Avx512
    } else if has!("avx2") && has!("fma") {
        Level::Avx2
    } else {
        Level::Plain
    }
}

/// Runs `kernel` over `rows` rows of `work` numbers each, cut among libtorch's threads.
///
/// # Safety
/// `given` is what the kernel takes, and what it points to has that many rows.
unsafe fn run<T>(kernel: Kernel, rows: i64, work: i64, given: &mut T) -> Result<()> {
    // libtorch's own measure for work that is worth a thread.
    let grain = (32_768 / work.max(1)).max(1);
    // SAFETY: the caller's promise; the call returns when all rows are done.
    let failed = unsafe { torch_parallel_for(0, rows, grain, kernel, std::ptr::from_mut(given).cast()) };
    match failed {
        0 => Ok(()),
        _ => Err(refused("libtorch's threads did not run")),
    }
}

fn refused(message: &str) -> Error {
    Error::Torch { what: "rows".into(), message: message.to_owned() }
}

/// A contiguous CPU tensor of `kind`: the same, where it is one.
fn plain(x: &Tensor, kind: Kind) -> Result<Tensor> {
    if x.device() != Device::Cpu {
        return Err(refused("these kernels run on CPUs only"));
    }
    Ok(x.f_to_kind(kind)?.f_contiguous()?)
}
