//! The raw declarations of `ext.cpp` and the two conversions that every face needs.

use crate::{Error, Result};
use std::ffi::{CStr, CString, c_char, c_void};
use tch::Tensor;
use torch_sys::C_tensor;

/// Runs a part of a model again: takes `n` tensors over, and gives one away. Null, or a message from `strdup`.
pub type Run = unsafe extern "C" fn(
    rust: *mut c_void,
    given: *const *mut C_tensor,
    n: usize,
    out: *mut *mut C_tensor,
) -> *mut c_char;

/// Drops what [`Run`] was given.
pub type Drop = unsafe extern "C" fn(rust: *mut c_void);

/// An operator call being put together (opaque).
#[repr(C)]
pub struct UteCall {
    _private: [u8; 0],
}

unsafe extern "C" {
    pub fn ute_free(text: *mut c_char);
    pub fn ute_call_new(name: *const c_char, overload: *const c_char, out: *mut *mut UteCall) -> *mut c_char;
    pub fn ute_call_drop(c: *mut UteCall);
    pub fn ute_push_none(c: *mut UteCall);
    pub fn ute_push_int(c: *mut UteCall, v: i64);
    pub fn ute_push_double(c: *mut UteCall, v: f64);
    pub fn ute_push_bool(c: *mut UteCall, v: bool);
    pub fn ute_push_str(c: *mut UteCall, v: *const c_char);
    pub fn ute_push_tensor(c: *mut UteCall, v: *const C_tensor);
    pub fn ute_push_tensors(c: *mut UteCall, v: *const *const C_tensor, n: usize);
    pub fn ute_push_optional_tensors(c: *mut UteCall, v: *const *const C_tensor, n: usize);
    pub fn ute_push_ints(c: *mut UteCall, v: *const i64, n: usize);
    pub fn ute_push_doubles(c: *mut UteCall, v: *const f64, n: usize);
    pub fn ute_call_run(c: *mut UteCall, n_out: *mut usize) -> *mut c_char;
    pub fn ute_call_take(c: *mut UteCall, out: *mut *mut C_tensor);
    pub fn ute_backward(
        tensors: *const *const C_tensor,
        grads: *const *const C_tensor,
        n: usize,
        retain: bool,
        create: bool,
    ) -> *mut c_char;
    pub fn ute_grad(
        outputs: *const *const C_tensor,
        grads: *const *const C_tensor,
        n: usize,
        inputs: *const *const C_tensor,
        m: usize,
        retain: bool,
        create: bool,
        allow_unused: bool,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub fn ute_grad_enabled() -> bool;
    pub fn ute_checkpoint(
        rust: *mut c_void,
        run: Run,
        drop: Drop,
        inputs: *const *const C_tensor,
        n: usize,
        given: usize,
        output: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub fn ute_generator_get(cuda_index: i64, out: *mut *mut C_tensor) -> *mut c_char;
    pub fn ute_generator_set(cuda_index: i64, state: *const C_tensor) -> *mut c_char;
    pub fn ute_dropout_noise(out: *const C_tensor, keep: f64) -> *mut c_char;
    pub fn ute_torch_version() -> *const c_char;
    pub fn ute_torch_path() -> *mut c_char;
    pub fn ute_show_config() -> *mut c_char;
    pub fn ute_cpu_capability() -> *mut c_char;
    pub fn ute_keep_freed_memory() -> bool;
    pub fn ute_give_back_freed_memory();
    pub fn ute_ieee_fp32();
    pub fn ute_dlopen(path: *const c_char) -> *mut c_char;
}

/// Takes a string that C++ allocated.
pub fn take_string(text: *mut c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: `ext.cpp` hands out NUL-terminated strings from `strdup`, freed once, here.
    unsafe {
        let s = CStr::from_ptr(text).to_string_lossy().into_owned();
        ute_free(text);
        s
    }
}

/// Turns `ext.cpp`'s answer (null, or a message) into a result.
pub fn check(what: &str, answer: *mut c_char) -> Result<()> {
    if answer.is_null() {
        return Ok(());
    }
    let text = take_string(answer);
    let message = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Error::Torch { what: what.to_owned(), message })
}

/// A C string, or the error that says why not.
pub fn c_string(s: &str) -> Result<CString> {
    CString::new(s).map_err(|_| Error::Nul(s.to_owned()))
}

/// The pointers of borrowed tensors, null for `None`.
pub fn pointers<'a>(tensors: impl IntoIterator<Item = Option<&'a Tensor>>) -> Vec<*const C_tensor> {
    tensors.into_iter().map(|t| t.map_or(std::ptr::null(), Tensor::as_ptr)).collect()
}

/// Owns a tensor that `ext.cpp` gave away.
///
/// # Safety
/// `p` is null or comes from `new at::Tensor` and is owned by nobody else.
pub unsafe fn own(p: *mut C_tensor) -> Option<Tensor> {
    if p.is_null() { None } else { Some(unsafe { Tensor::from_ptr(p) }) }
}
