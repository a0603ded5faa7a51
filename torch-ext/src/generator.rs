//! The state of libtorch's default random generators, to save and to put back.

use crate::ffi;
use crate::{Error, Result};
use tch::{Device, Tensor};

fn index(device: Device) -> Result<i64> {
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(i) => i64::try_from(i)
            .map_err(|_| Error::Torch { what: "generator".into(), message: format!("no CUDA device {i}") }),
        other => Err(Error::Torch {
            what: "generator".into(),
            message: format!("no generator state for {other:?}"),
        }),
    }
}

/// The state of `device`'s default generator: a byte tensor, opaque but stable within one libtorch version.
///
/// # Errors
/// The device has no generator here.
pub fn state(device: Device) -> Result<Tensor> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `out` receives a tensor that we own.
    unsafe {
        ffi::check("generator state", ffi::ute_generator_get(index(device)?, &mut out))?;
        ffi::own(out).ok_or_else(|| Error::Outputs { op: "generator state".into(), expected: 1, found: 0 })
    }
}

/// Puts a state from [`state`] back.
///
/// # Errors
/// The bytes are no state of such a generator.
pub fn set_state(device: Device, state: &Tensor) -> Result<()> {
    // SAFETY: the tensor is borrowed through the call.
    ffi::check("generator state", unsafe { ffi::ute_generator_set(index(device)?, state.as_ptr()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn a_restored_state_repeats_the_stream() {
        // The default generator is process-wide: this is the only test of the crate that draws from it.
        tch::manual_seed(7);
        let saved = state(Device::Cpu).unwrap();
        let a = Tensor::randn([100], (Kind::Float, Device::Cpu));
        let between = Tensor::randn([100], (Kind::Float, Device::Cpu));
        set_state(Device::Cpu, &saved).unwrap();
        let b = Tensor::randn([100], (Kind::Float, Device::Cpu));
        assert_eq!(a, b);
        assert_ne!(a, between);
        let junk = Tensor::zeros([3], (Kind::Uint8, Device::Cpu));
        assert!(set_state(Device::Cpu, &junk).is_err());
    }
}
