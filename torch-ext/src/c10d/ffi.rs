//! The raw declarations of `c10d.cpp`.

use std::ffi::c_char;
use torch_sys::C_tensor;

/// A store (opaque).
#[repr(C)]
pub struct UteStore {
    _private: [u8; 0],
}

/// A process group (opaque).
#[repr(C)]
pub struct UteGroup {
    _private: [u8; 0],
}

/// Work in flight (opaque).
#[repr(C)]
pub struct UteWork {
    _private: [u8; 0],
}

unsafe extern "C" {
    pub fn ute_store_tcp(
        host: *const c_char,
        port: u16,
        server: bool,
        workers: i64,
        timeout_ms: i64,
        out: *mut *mut UteStore,
    ) -> *mut c_char;
    pub fn ute_store_prefix(prefix: *const c_char, of: *mut UteStore, out: *mut *mut UteStore)
    -> *mut c_char;
    pub fn ute_store_clone(of: *mut UteStore, out: *mut *mut UteStore) -> *mut c_char;
    pub fn ute_store_drop(s: *mut UteStore);
    pub fn ute_store_port(s: *mut UteStore) -> u16;
    pub fn ute_store_set(s: *mut UteStore, key: *const c_char, value: *const u8, n: usize) -> *mut c_char;
    pub fn ute_store_get(
        s: *mut UteStore,
        key: *const c_char,
        out: *mut *mut u8,
        n: *mut usize,
    ) -> *mut c_char;
    pub fn ute_store_add(s: *mut UteStore, key: *const c_char, by: i64, out: *mut i64) -> *mut c_char;
    pub fn ute_store_check(s: *mut UteStore, key: *const c_char, out: *mut bool) -> *mut c_char;
    pub fn ute_store_wait(s: *mut UteStore, key: *const c_char, timeout_ms: i64) -> *mut c_char;
    pub fn ute_store_delete(s: *mut UteStore, key: *const c_char, out: *mut bool) -> *mut c_char;
    pub fn ute_group_gloo(
        store: *mut UteStore,
        rank: i32,
        size: i32,
        timeout_ms: i64,
        interface: *const c_char,
        address: *const c_char,
        out: *mut *mut UteGroup,
    ) -> *mut c_char;
    pub fn ute_group_drop(g: *mut UteGroup);
    pub fn ute_group_all_reduce(
        g: *mut UteGroup,
        tensor: *const C_tensor,
        op: i32,
        out: *mut *mut UteWork,
    ) -> *mut c_char;
    pub fn ute_group_broadcast(
        g: *mut UteGroup,
        tensor: *const C_tensor,
        root: i64,
        out: *mut *mut UteWork,
    ) -> *mut c_char;
    pub fn ute_group_all_gather(
        g: *mut UteGroup,
        outputs: *const *const C_tensor,
        n: usize,
        input: *const C_tensor,
        out: *mut *mut UteWork,
    ) -> *mut c_char;
    pub fn ute_group_reduce_scatter(
        g: *mut UteGroup,
        output: *const C_tensor,
        inputs: *const *const C_tensor,
        n: usize,
        op: i32,
        out: *mut *mut UteWork,
    ) -> *mut c_char;
    pub fn ute_group_send(
        g: *mut UteGroup,
        tensor: *const C_tensor,
        to: i32,
        tag: i32,
        out: *mut *mut UteWork,
    ) -> *mut c_char;
    pub fn ute_group_recv(
        g: *mut UteGroup,
        tensor: *const C_tensor,
        from: i32,
        tag: i32,
        out: *mut *mut UteWork,
    ) -> *mut c_char;
    pub fn ute_group_barrier(g: *mut UteGroup, out: *mut *mut UteWork) -> *mut c_char;
    pub fn ute_work_wait(w: *mut UteWork, timeout_ms: i64) -> *mut c_char;
    pub fn ute_work_is_done(w: *mut UteWork) -> bool;
    pub fn ute_work_drop(w: *mut UteWork);
}
