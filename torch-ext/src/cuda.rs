//! CUDA on demand, so that one binary serves machines with and without a GPU.
//!
//! The binary links only libtorch's CPU library. [`load`] maps `libtorch_cuda` beside it, whose static initialisers
//! register the CUDA kernels. It must run before the first CUDA query: libtorch caches the answer of that query.

use crate::{Error, Result, ffi, library};
use std::path::PathBuf;
use std::sync::OnceLock;

/// What was found when CUDA was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The installed libtorch has no CUDA part.
    Absent {
        /// Where it was looked for.
        looked: PathBuf,
    },
    /// The CUDA part is there but did not load (a missing CUDA runtime library, say).
    Broken {
        /// The library that failed.
        path: PathBuf,
        /// The loader's words.
        message: String,
    },
    /// Loaded, but no device answers (no driver, or no GPU).
    NoDevice,
    /// Loaded, with this many devices.
    Ready {
        /// How many CUDA devices there are.
        devices: usize,
    },
}

/// Loads CUDA once for the process and says what is there. Cheap when called again. fp32 is fp32 from then on: libtorch's default of TF32
/// for convolutions is off (an EfficientNet's embeddings differed from the CPU's by 1.7e-4 with it).
pub fn load() -> &'static Status {
    static STATUS: OnceLock<Status> = OnceLock::new();
    STATUS.get_or_init(|| {
        let name = if cfg!(target_os = "macos") { "libtorch_cuda.dylib" } else { "libtorch_cuda.so" };
        let path = library::path().with_file_name(name);
        if !path.exists() {
            return Status::Absent { looked: path };
        }
        let opened = ffi::c_string(&path.to_string_lossy())
            // SAFETY: a NUL-terminated path; the library stays mapped for the life of the process.
            .and_then(|p| ffi::check("dlopen", unsafe { ffi::ute_dlopen(p.as_ptr()) }));
        match opened {
            Err(Error::Torch { message, .. }) => Status::Broken { path, message },
            Err(other) => Status::Broken { path, message: other.to_string() },
            Ok(()) => match usize::try_from(tch::Cuda::device_count()) {
                Ok(devices) if devices > 0 && tch::Cuda::is_available() => {
                    // SAFETY: sets a flag of libtorch's context.
                    unsafe { ffi::ute_ieee_fp32() };
                    Status::Ready { devices }
                }
                _ => Status::NoDevice,
            },
        }
    })
}

/// The device named by `cpu`, `cuda`, `cuda:1` or `auto` (a GPU when one answers).
///
/// # Errors
/// An unknown name, or a GPU that is not there; the message says which and what to do.
pub fn device(name: &str) -> Result<tch::Device> {
    let refuse = |message: String| Error::Torch { what: format!("device {name:?}"), message };
    let index = match name {
        "cpu" => return Ok(tch::Device::Cpu),
        "auto" => {
            return Ok(match load() {
                Status::Ready { .. } => tch::Device::Cuda(0),
                _ => tch::Device::Cpu,
            });
        }
        "cuda" => 0,
        other => other
            .strip_prefix("cuda:")
            .and_then(|i| i.parse::<usize>().ok())
            .ok_or_else(|| Error::Device { name: name.to_owned() })?,
    };
    match load() {
        Status::Ready { devices } if index < *devices => Ok(tch::Device::Cuda(index)),
        Status::Ready { devices } => Err(refuse(format!("this machine has {devices} CUDA devices"))),
        Status::NoDevice => {
            Err(refuse("no GPU or no driver answers; use cpu, or see `unisono doctor`".into()))
        }
        Status::Absent { .. } => {
            Err(refuse("this libtorch has no CUDA part; run `cargo xtask setup --cuda`".into()))
        }
        Status::Broken { path, message } => {
            Err(Error::Cuda { path: path.display().to_string(), message: message.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name() {
        assert_eq!(device("cpu").unwrap(), tch::Device::Cpu);
        for wrong in ["tpu", "gpu", "cuda:x", "cuda:", ""] {
            assert!(matches!(device(wrong), Err(Error::Device { .. })), "{wrong}");
        }
        match load() {
            Status::Ready { devices } => {
                assert_eq!(device("auto").unwrap(), tch::Device::Cuda(0));
                assert!(device(&format!("cuda:{devices}")).is_err());
            }
            status => {
                println!("skipped the GPU half: {status:?}");
                assert_eq!(device("auto").unwrap(), tch::Device::Cpu);
                let e = device("cuda").unwrap_err().to_string();
                assert!(e.contains("setup") || e.contains("doctor"), "{e}");
            }
        }
    }

    #[test]
    fn kernels_run_on_the_gpu_when_there_is_one() {
        let Status::Ready { .. } = load() else {
            println!("skipped: no CUDA device here ({:?})", load());
            return;
        };
        let d = tch::Device::Cuda(0);
        let a = tch::Tensor::ones([8, 8], (tch::Kind::Float, d));
        assert_eq!(a.f_matmul(&a).unwrap().f_sum(tch::Kind::Float).unwrap().double_value(&[]), 512.0);
    }

    #[test]
    fn convolutions_on_the_gpu_are_fp32() {
        let Status::Ready { .. } = load() else {
            println!("skipped: no CUDA device here ({:?})", load());
            return;
        };
        let x = tch::Tensor::rand([4, 32, 24, 24], (tch::Kind::Float, tch::Device::Cpu));
        let w = tch::Tensor::rand([64, 32, 3, 3], (tch::Kind::Float, tch::Device::Cpu));
        let conv = |x: &tch::Tensor, w: &tch::Tensor| {
            x.f_conv2d(w, None::<tch::Tensor>, [1, 1], [0, 0], [1, 1], 1).unwrap()
        };
        let d = tch::Device::Cuda(0);
        let (cpu, gpu) = (conv(&x, &w), conv(&x.to_device(d), &w.to_device(d)).to_device(tch::Device::Cpu));
        // Sums of 288 products of numbers up to 1: TF32 would be off by about 1e-2.
        assert!((cpu - gpu).abs().max().double_value(&[]) < 2e-4);
    }
}
