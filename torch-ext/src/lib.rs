//! What libtorch has and `tch` does not bind: any operator by name, backward with output gradients, activation checkpointing, the state
//! of the random generators, fused optimizers, process groups, and CUDA loaded on demand. Two C++ files, one safe face. Beside it the few kernels that
//! libtorch itself lacks (`rows`).

mod ffi;

pub mod autograd;
pub mod c10d;
mod checkpoint;
pub mod cuda;
pub mod dispatch;
mod dropout;
pub mod generator;
pub mod launch;
pub mod library;
pub mod nvml;
pub mod optim;
pub mod processor;
pub mod rows;
pub mod threads;

pub use checkpoint::checkpoint;
pub use dispatch::{Arg, call, call_one};
pub use dropout::dropout;
pub use launch::Launch;

/// An error of libtorch or of its loading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libtorch refused a call.
    #[error("libtorch: {what}: {message}")]
    Torch {
        /// The operator or function that was called.
        what: String,
        /// libtorch's own words, without the C++ back trace.
        message: String,
    },
    /// `tch` refused a call.
    #[error("libtorch: {0}")]
    Tch(#[from] tch::TchError),
    /// A string with a NUL byte cannot reach C++.
    #[error("{0:?} holds a NUL byte: not a name of an operator or a path")]
    Nul(String),
    /// An operator returned another number of tensors than the caller can use.
    #[error("operator {op} returned {found} tensors, expected {expected}")]
    Outputs {
        /// The operator's name.
        op: String,
        /// How many tensors were expected.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// A device that no machine has.
    #[error("device {name:?}: expected cpu, cuda, cuda:N or auto")]
    Device {
        /// What was asked for.
        name: String,
    },
    /// What the environment says of a group of processes makes no sense.
    #[error("{message}")]
    Launch {
        /// What was found, and what to do.
        message: String,
    },
    /// CUDA parts are there but would not load.
    #[error("the CUDA part of libtorch at {path} did not load: {message}; run `unisono doctor`")]
    Cuda {
        /// The library's path.
        path: String,
        /// The loader's words.
        message: String,
    },
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
