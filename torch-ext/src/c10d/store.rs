//! A store of keys and values that processes share: one serves it, the others are its clients.

use super::ffi::{self, UteStore};
use super::milliseconds;
use crate::Result;
use crate::ffi::{c_string, check, ute_free};
use std::ptr::null_mut;
use std::time::Duration;

/// What a process is to a [`Store`] over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It serves, and uses it, too.
    Server,
    /// Another process serves.
    Client,
}

/// libtorch's `TCPStore`, or a part of one. Threads may share it: calls wait for each other, [`get`](Self::get) and [`wait`](Self::wait) too; a thread
/// that waits for long has a [connection of its own](Self::another).
#[derive(Debug)]
pub struct Store {
    raw: *mut UteStore,
}

// SAFETY: `TCPStore` locks each of its operations.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Connects to the store at `host:port`, waiting up to `timeout` for it to be there; later calls wait as long. A server at port 0 takes one that is
    /// free ([`port`](Self::port)).
    ///
    /// # Errors
    /// Nobody serves within the time, or the port is taken.
    pub fn tcp(host: &str, port: u16, role: Role, timeout: Duration) -> Result<Self> {
        let (host, server) = (c_string(host)?, role == Role::Server);
        let mut raw = null_mut();
        // SAFETY: `raw` receives a store that we own.
        check("TCPStore", unsafe {
            ffi::ute_store_tcp(host.as_ptr(), port, server, -1, milliseconds(timeout), &mut raw)
        })?;
        Ok(Self { raw })
    }

    /// The same store, whose keys all begin so.
    ///
    /// # Errors
    /// libtorch's.
    pub fn under(&self, prefix: &str) -> Result<Self> {
        let prefix = c_string(prefix)?;
        let mut raw = null_mut();
        // SAFETY: as above.
        check("PrefixStore", unsafe { ffi::ute_store_prefix(prefix.as_ptr(), self.raw, &mut raw) })?;
        Ok(Self { raw })
    }

    /// A connection of its own to the same store.
    ///
    /// # Errors
    /// Nobody serves any more.
    pub fn another(&self) -> Result<Self> {
        let mut raw = null_mut();
        // SAFETY: as above.
        check("Store::clone", unsafe { ffi::ute_store_clone(self.raw, &mut raw) })?;
        Ok(Self { raw })
    }

    /// The port that it is served at.
    pub fn port(&self) -> u16 {
        // SAFETY: reads a number.
        unsafe { ffi::ute_store_port(self.raw) }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// Nobody serves any more.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = c_string(key)?;
        // SAFETY: `value` is borrowed through the call.
        check("Store::set", unsafe {
            ffi::ute_store_set(self.raw, key.as_ptr(), value.as_ptr(), value.len())
        })
    }

    /// A key's value, waiting for it.
    ///
    /// # Errors
    /// It is not set within the store's timeout, or nobody serves any more.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        let key = c_string(key)?;
        let (mut value, mut n) = (null_mut(), 0);
        // SAFETY: `value` receives `n` bytes that are ours to free.
        unsafe {
            check("Store::get", ffi::ute_store_get(self.raw, key.as_ptr(), &mut value, &mut n))?;
            let bytes = std::slice::from_raw_parts(value, n).to_vec();
            ute_free(value.cast());
            Ok(bytes)
        }
    }

    /// A key's value, if it is set.
    ///
    /// # Errors
    /// Nobody serves any more.
    pub fn find(&self, key: &str) -> Result<Option<Vec<u8>>> {
        if self.has(key)? { self.get(key).map(Some) } else { Ok(None) }
    }

    /// Whether a key is set.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn has(&self, key: &str) -> Result<bool> {
        let (key, mut there) = (c_string(key)?, false);
        // SAFETY: `there` receives a flag.
        check("Store::check", unsafe { ffi::ute_store_check(self.raw, key.as_ptr(), &mut there) })?;
        Ok(there)
    }

    /// Adds to the number of a key, which is 0 where it is not set, and returns the sum.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn add(&self, key: &str, by: i64) -> Result<i64> {
        let (key, mut sum) = (c_string(key)?, 0);
        // SAFETY: `sum` receives a number.
        check("Store::add", unsafe { ffi::ute_store_add(self.raw, key.as_ptr(), by, &mut sum) })?;
        Ok(sum)
    }

    /// Waits until a key is set.
    ///
    /// # Errors
    /// It is not within `timeout`.
    pub fn wait(&self, key: &str, timeout: Duration) -> Result<()> {
        let key = c_string(key)?;
        // SAFETY: reads its arguments.
        check("Store::wait", unsafe { ffi::ute_store_wait(self.raw, key.as_ptr(), milliseconds(timeout)) })
    }

    /// Forgets a key; whether it was set.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn delete(&self, key: &str) -> Result<bool> {
        let (key, mut was) = (c_string(key)?, false);
        // SAFETY: `was` receives a flag.
        check("Store::deleteKey", unsafe { ffi::ute_store_delete(self.raw, key.as_ptr(), &mut was) })?;
        Ok(was)
    }

    /// For the faces beside this one.
    pub(super) fn raw(&self) -> *mut UteStore {
        self.raw
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once.
        unsafe { ffi::ute_store_drop(self.raw) }
    }
}
