//! What is linked: libtorch's version, its place on disk, the CPU kernels it chose.

use crate::ffi;
use std::ffi::CStr;
use std::path::PathBuf;

/// The libtorch version of the headers that this build was compiled against (`"2.11.0"`).
pub fn version() -> String {
    // SAFETY: a static NUL-terminated string.
    unsafe { CStr::from_ptr(ffi::ute_torch_version()) }.to_string_lossy().into_owned()
}

/// The file that is mapped as libtorch's CPU library.
pub fn path() -> PathBuf {
    // SAFETY: returns an owned C string.
    PathBuf::from(ffi::take_string(unsafe { ffi::ute_torch_path() }))
}

/// libtorch's own build description: BLAS, oneDNN, flags.
pub fn config() -> String {
    // SAFETY: returns an owned C string.
    ffi::take_string(unsafe { ffi::ute_show_config() })
}

/// The instruction set that libtorch's own kernels run with here: `DEFAULT`, `AVX2`, `AVX512`.
pub fn cpu_capability() -> String {
    // SAFETY: returns an owned C string.
    ffi::take_string(unsafe { ffi::ute_cpu_capability() })
}

/// Lets the C library keep freed memory for the next training step instead of giving it back to the system and faulting it
/// in again: for long loops over tensors of the same sizes. Returns whether the C library took the settings (glibc does).
pub fn keep_freed_memory() -> bool {
    // SAFETY: sets three integers of malloc; allowed at any time.
    unsafe { ffi::ute_keep_freed_memory() }
}

/// Gives freed memory back that [`keep_freed_memory`] had kept: between parts of a program whose tensors are of other sizes.
pub fn give_back_freed_memory() {
    // SAFETY: touches free memory alone; allowed at any time.
    unsafe { ffi::ute_give_back_freed_memory() }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn malloc_takes_the_settings() {
        assert!(super::keep_freed_memory());
        super::give_back_freed_memory();
    }

    #[test]
    fn names_what_is_mapped() {
        assert!(super::version().starts_with("2.11."));
        assert!(super::path().exists(), "{:?}", super::path());
        assert!(super::config().contains("PyTorch built with"));
        assert!(!super::cpu_capability().is_empty());
    }
}
