//! What a GPU says of the energy that it takes, by NVIDIA's management library, which is loaded where it is installed.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};

type ByIndex = unsafe extern "C" fn(c_uint, *mut *mut c_void) -> c_int;
type ByUuid = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type Total = unsafe extern "C" fn(*mut c_void, *mut u64) -> c_int;

/// The energy counter of a GPU (Volta and later).
#[derive(Debug)]
pub struct EnergyCounter {
    device: *mut c_void,
    total: Total,
}

impl EnergyCounter {
    /// Of the GPU that libtorch calls `cuda:index`. `None` where there is no library, no such GPU, or one that does not count.
    pub fn open(index: usize) -> Option<Self> {
        // SAFETY: the library is opened by name and never closed, so that its functions live as long as the process.
        let library =
            unsafe { libc::dlopen(c"libnvidia-ml.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return None;
        }
        let symbol = |name: &CStr| {
            // SAFETY: a library that is open, and a name that ends with NUL.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        let (init, total) = (symbol(c"nvmlInit_v2")?, symbol(c"nvmlDeviceGetTotalEnergyConsumption")?);
        let mut device = std::ptr::null_mut();
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        // SAFETY: the functions have these types in every version of nvml.h that has them; the handle is written by the library.
        let (done, total) = unsafe {
            let init: unsafe extern "C" fn() -> c_int = std::mem::transmute(init);
            if init() != 0 {
                return None;
            }
            let done = match chosen(visible.as_deref(), index)? {
                Chosen::Index(index) => {
                    let by_index: ByIndex = std::mem::transmute(symbol(c"nvmlDeviceGetHandleByIndex_v2")?);
                    by_index(index, &mut device)
                }
                Chosen::Uuid(name) => {
                    let by_uuid: ByUuid = std::mem::transmute(symbol(c"nvmlDeviceGetHandleByUUID")?);
                    by_uuid(name.as_ptr(), &mut device)
                }
            };
            (done, std::mem::transmute::<*mut c_void, Total>(total))
        };
        let counter = Self { device, total };
        (done == 0 && counter.joules().is_some()).then_some(counter)
    }

    /// Joules since the driver was loaded.
    pub fn joules(&self) -> Option<f64> {
        let mut millijoules = 0;
        // SAFETY: the handle is the library's own; the number is written into a place of its type.
        let done = unsafe { (self.total)(self.device, &mut millijoules) };
        (done == 0).then_some(millijoules as f64 / 1e3)
    }
}

#[derive(Debug, PartialEq)]
enum Chosen {
    Index(c_uint),
    Uuid(CString),
}

/// The GPU that CUDA shows as number `index`: `CUDA_VISIBLE_DEVICES` lists numbers or names.
fn chosen(visible: Option<&str>, index: usize) -> Option<Chosen> {
    let Some(list) = visible.filter(|list| !list.trim().is_empty()) else {
        return Some(Chosen::Index(c_uint::try_from(index).ok()?));
    };
    let name = list.split(',').nth(index)?.trim();
    match name.parse() {
        Ok(number) => Some(Chosen::Index(number)),
        Err(_) => Some(Chosen::Uuid(CString::new(name).ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visible_devices_are_counted_through() {
        assert_eq!(chosen(None, 1), Some(Chosen::Index(1)));
        assert_eq!(chosen(Some("3, 5"), 1), Some(Chosen::Index(5)));
        assert_eq!(chosen(Some("GPU-ab"), 0), Some(Chosen::Uuid(c"GPU-ab".into())));
        assert_eq!(chosen(Some("0"), 1), None);
    }

    #[test]
    fn a_machine_without_the_library_has_no_counter() {
        if let Some(counter) = EnergyCounter::open(0) {
            let before = counter.joules().unwrap();
            assert!(counter.joules().unwrap() >= before);
        }
        assert!(EnergyCounter::open(10_000).is_none());
    }
}
