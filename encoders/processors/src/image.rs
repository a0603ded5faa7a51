//! The image half of the contract: decoded pixels → pixels of the size that a tower takes.

mod deep;
mod files;
mod interpolation;
mod processor;
mod resize;
#[cfg(target_arch = "x86_64")]
mod resize_avx2;
mod stored;
mod taps;
mod timm;

pub use interpolation::Interpolation;
pub use processor::{Alpha, Fit, ImageProcessor, Rounding};
