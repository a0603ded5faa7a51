//! Activation checkpointing (Chen et al. 2016): a part of a model keeps nothing of its forward pass but its inputs, and is run again when
//! the backward pass comes to it.

use crate::{Error, Result, autograd, ffi, generator};
use std::ffi::{c_char, c_void};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::{Device, Tensor};
use torch_sys::C_tensor;

/// `run(given)`, of which no graph is kept: the backward pass calls `run` again, on detached tensors, with the random draws of
/// the first time. `params` are the parameters that `run` uses besides, whose gradients are found with those of `given`.
///
/// `run` must do the same both times: what changes a state of its own (a batch norm's statistics) changes it twice. For a GPU libtorch
/// runs it on a thread of its own, while the one that asked for the backward pass waits. Calls may be nested, and a graph that is
/// retained can be gone through again; second derivatives are refused. Without gradients, or where nothing asks for one, `run` is simply
/// called.
///
/// # Errors
/// `run`'s own, as it is in the forward pass; in the backward pass it and its panics come as [`Error::Torch`] from there.
pub fn checkpoint<E, F>(given: &[&Tensor], params: &[Tensor], run: F) -> Result<Tensor, E>
where
    E: Display + From<Error>,
    F: Fn(&[Tensor]) -> Result<Tensor, E> + Send + 'static,
{
    let own: Vec<Tensor> = given.iter().map(|t| t.shallow_clone()).collect();
    let inputs: Vec<&Tensor> = given.iter().copied().chain(params).collect();
    if !autograd::grad_enabled() || !inputs.iter().any(|t| t.requires_grad()) {
        return run(&own);
    }
    let draws = Draws::now(given.iter().map(|t| t.device()))?;
    // Its graph is let go at once. Without one libtorch would choose other kernels for some operations, whose last bits differ from those
    // that the backward pass is then about.
    let output = run(&own)?.f_detach().map_err(Error::from)?;
    drop(own);
    let again = move |given: &[Tensor]| -> Result<Tensor, String> {
        let after = Draws::now(draws.0.iter().map(|(device, _)| *device)).map_err(|e| e.to_string())?;
        draws.put_back().map_err(|e| e.to_string())?;
        let found = catch_unwind(AssertUnwindSafe(|| run(given)));
        after.put_back().map_err(|e| e.to_string())?;
        match found {
            Ok(found) => found.map_err(|e| e.to_string()),
            Err(panic) => Err(format!("a checkpointed part panicked: {}", said(panic.as_ref()))),
        }
    };
    let part: Box<Part> = Box::new(Box::new(again));
    let pointers = ffi::pointers(inputs.iter().map(|t| Some(*t)));
    let mut out = std::ptr::null_mut();
    // SAFETY: the part is C++'s from here on, which drops it once by `drop_part`; the pointers are to tensors that are borrowed through
    // the call, and `out` receives one that we own.
    let tied = unsafe {
        let part = Box::into_raw(part).cast::<c_void>();
        let (p, n) = (pointers.as_ptr(), pointers.len());
        let answer =
            ffi::ute_checkpoint(part, run_part, drop_part, p, n, given.len(), output.as_ptr(), &mut out);
        ffi::check("checkpoint", answer).map(|()| ffi::own(out))
    };
    tied?.ok_or_else(|| Error::Outputs { op: "checkpoint".into(), expected: 1, found: 0 }.into())
}

/// States of the generators that a part may draw from.
struct Draws(Vec<(Device, Tensor)>);

impl Draws {
    fn now(devices: impl Iterator<Item = Device>) -> Result<Self> {
        let mut all = vec![Device::Cpu];
        for device in devices {
            if !all.contains(&device) {
                all.push(device);
            }
        }
        let states = all.into_iter().map(|device| Ok((device, generator::state(device)?)));
        states.collect::<Result<_>>().map(Self)
    }

    fn put_back(&self) -> Result<()> {
        self.0.iter().try_for_each(|(device, state)| generator::set_state(*device, state))
    }
}

/// What C++ holds: a thin pointer to this.
type Part = Box<dyn Fn(&[Tensor]) -> Result<Tensor, String> + Send>;

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// # Safety
/// `rust` is a [`Part`] that is alive, `given` are `n` tensors that nobody else owns, `out` can be written.
unsafe extern "C" fn run_part(
    rust: *mut c_void,
    given: *const *mut C_tensor,
    n: usize,
    out: *mut *mut C_tensor,
) -> *mut c_char {
    // SAFETY: the caller's promise.
    let (part, given) = unsafe {
        let pointers = if n == 0 { &[] } else { std::slice::from_raw_parts(given, n) };
        let given: Vec<Tensor> = pointers.iter().map(|p| Tensor::from_ptr(*p)).collect();
        (&*rust.cast::<Part>(), given)
    };
    // No panic may leave this function: the frames below are C++.
    let found = catch_unwind(AssertUnwindSafe(|| {
        let found = part(&given);
        drop(given);
        found
    }));
    let message = match found {
        Ok(Ok(mut output)) => {
            // SAFETY: the tensor is C++'s from here on.
            unsafe { *out = output.as_mut_ptr() };
            std::mem::forget(output);
            return std::ptr::null_mut();
        }
        Ok(Err(message)) => message,
        Err(panic) => said(panic.as_ref()).to_owned(),
    };
    let text = ffi::c_string(&message.replace('\0', " ")).unwrap_or_default();
    // SAFETY: a NUL-terminated string; C++ frees the copy. Without memory for one it misses the tensor.
    unsafe { libc::strdup(text.as_ptr()) }
}

/// # Safety
/// `rust` is a [`Part`] that nobody uses any more.
unsafe extern "C" fn drop_part(rust: *mut c_void) {
    // SAFETY: the caller's promise. What a part holds are tensors and numbers, whose drops do not panic.
    drop(unsafe { Box::from_raw(rust.cast::<Part>()) });
}
