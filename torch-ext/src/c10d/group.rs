//! Processes that exchange tensors.

use super::ffi::{self, UteGroup, UteWork};
use super::{Store, milliseconds};
use crate::ffi::{c_string, check, pointers};
use crate::{Error, Result};
use std::ffi::CString;
use std::ptr::{null, null_mut};
use std::time::Duration;
use tch::{Device, Tensor};

/// How the tensors of all processes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Their sum. It is added up in an order that is the same at every call, and every process has the same bits.
    Sum = 0,
    /// The smallest of each element.
    Min = 1,
    /// The largest.
    Max = 2,
}

/// A group of processes (libtorch's `ProcessGroupGloo`). All of its processes make the same calls in the same order; each returns [`Work`] that is done
/// when it was waited for, and several may be in flight. Tensors are dense, contiguous and on the CPU.
#[derive(Debug)]
pub struct ProcessGroup {
    raw: *mut UteGroup,
    rank: usize,
    size: usize,
    timeout: Duration,
}

// SAFETY: libtorch's queue of work is locked; one thread at a time calls.
unsafe impl Send for ProcessGroup {}

impl ProcessGroup {
    /// Joins the group of `size` processes that meet in `store`, as its process `rank`. Messages go through the `interface` of this name, or else through
    /// that of `address`, a name or number of this machine; without both through that of the machine's own name. A call that is not answered within
    /// `timeout` is an error.
    ///
    /// # Errors
    /// A process that does not come within the time.
    pub fn gloo(
        store: &Store,
        (rank, size): (usize, usize),
        timeout: Duration,
        interface: Option<&str>,
        address: Option<&str>,
    ) -> Result<Self> {
        let number = |n: usize| {
            i32::try_from(n).map_err(|_| Error::Torch {
                what: "ProcessGroupGloo".into(),
                message: format!("expected fewer than 2^31 processes, found {n}"),
            })
        };
        let [interface, address] = [interface, address].map(|name| name.map(c_string).transpose());
        let (interface, address) = (interface?, address?);
        let pointer = |name: &Option<CString>| name.as_ref().map_or(null(), |name| name.as_ptr());
        let mut raw = null_mut();
        // SAFETY: `raw` receives a group that we own.
        check("ProcessGroupGloo", unsafe {
            ffi::ute_group_gloo(
                store.raw(),
                number(rank)?,
                number(size)?,
                milliseconds(timeout),
                pointer(&interface),
                pointer(&address),
                &mut raw,
            )
        })?;
        Ok(Self { raw, rank, size, timeout })
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Processes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// `tensor` becomes the reduction of all processes'.
    ///
    /// # Errors
    /// A tensor that cannot be sent; what goes wrong on the way is [`Work::wait`]'s.
    pub fn all_reduce(&self, tensor: &Tensor, by: Reduce) -> Result<Work> {
        self.sendable("all_reduce", [tensor])?;
        // SAFETY: the tensor is borrowed through the call, and the work holds its memory; likewise below.
        self.begin("all_reduce", |out| unsafe {
            ffi::ute_group_all_reduce(self.raw, tensor.as_ptr(), by as i32, out)
        })
    }

    /// `tensor` becomes that of the process `root`.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<Work> {
        self.sendable("broadcast", [tensor])?;
        let root = i64::try_from(root).unwrap_or(-1);
        self.begin("broadcast", |out| unsafe {
            ffi::ute_group_broadcast(self.raw, tensor.as_ptr(), root, out)
        })
    }

    /// `outputs`, one for each process and of `input`'s shape, become their inputs.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn all_gather(&self, outputs: &[Tensor], input: &Tensor) -> Result<Work> {
        self.sendable("all_gather", outputs.iter().chain([input]))?;
        self.one_each("all_gather", outputs)?;
        let all = pointers(outputs.iter().map(Some));
        self.begin("all_gather", |out| unsafe {
            ffi::ute_group_all_gather(self.raw, all.as_ptr(), all.len(), input.as_ptr(), out)
        })
    }

    /// `output` becomes the reduction of what all processes have for this one: `inputs`, one for each process and of its shape. Gloo makes it by reducing
    /// all of them everywhere: it saves no traffic beside [`all_reduce`](Self::all_reduce).
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn reduce_scatter(&self, output: &Tensor, inputs: &[Tensor], by: Reduce) -> Result<Work> {
        self.sendable("reduce_scatter", inputs.iter().chain([output]))?;
        self.one_each("reduce_scatter", inputs)?;
        let all = pointers(inputs.iter().map(Some));
        self.begin("reduce_scatter", |out| unsafe {
            ffi::ute_group_reduce_scatter(self.raw, output.as_ptr(), all.as_ptr(), all.len(), by as i32, out)
        })
    }

    /// Sends `tensor` to another process, which [receives](Self::recv) it under the same tag.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn send(&self, tensor: &Tensor, to: usize, tag: i32) -> Result<Work> {
        self.sendable("send", [tensor])?;
        let to = i32::try_from(to).unwrap_or(-1);
        self.begin("send", |out| unsafe { ffi::ute_group_send(self.raw, tensor.as_ptr(), to, tag, out) })
    }

    /// `tensor` becomes what the process `from` [sends](Self::send) under this tag.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn recv(&self, tensor: &Tensor, from: usize, tag: i32) -> Result<Work> {
        self.sendable("recv", [tensor])?;
        let from = i32::try_from(from).unwrap_or(-1);
        self.begin("recv", |out| unsafe { ffi::ute_group_recv(self.raw, tensor.as_ptr(), from, tag, out) })
    }

    /// Done when all processes have come so far.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn barrier(&self) -> Result<Work> {
        self.begin("barrier", |out| unsafe { ffi::ute_group_barrier(self.raw, out) })
    }

    fn begin(
        &self,
        what: &'static str,
        call: impl FnOnce(*mut *mut UteWork) -> *mut std::ffi::c_char,
    ) -> Result<Work> {
        let mut raw = null_mut();
        check(what, call(&mut raw))?;
        Ok(Work { raw, what, timeout: self.timeout })
    }

    /// Gloo reads and writes memory as it lies.
    fn sendable<'a>(&self, what: &str, tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
        for tensor in tensors {
            if tensor.device() != Device::Cpu || !tensor.is_contiguous() {
                return Err(Error::Torch {
                    what: what.to_owned(),
                    message: format!(
                        "expected a contiguous tensor on the CPU, found one of shape {:?} on {:?}",
                        tensor.size(),
                        tensor.device()
                    ),
                });
            }
        }
        Ok(())
    }

    fn one_each(&self, what: &str, tensors: &[Tensor]) -> Result<()> {
        if tensors.len() == self.size {
            return Ok(());
        }
        let message =
            format!("expected a tensor for each of {} processes, found {}", self.size, tensors.len());
        Err(Error::Torch { what: what.to_owned(), message })
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once; libtorch joins its threads.
        unsafe { ffi::ute_group_drop(self.raw) }
    }
}

/// A call in flight. What it writes is there when it was waited for. Dropped, it goes on without anybody who learns how it ends.
#[derive(Debug)]
#[must_use]
pub struct Work {
    raw: *mut UteWork,
    what: &'static str,
    timeout: Duration,
}

// SAFETY: libtorch's own, counted and locked.
unsafe impl Send for Work {}

impl Work {
    /// Waits until it is done.
    ///
    /// # Errors
    /// A process that went away, or did not answer within the group's timeout.
    pub fn wait(self) -> Result<()> {
        let (raw, what, timeout) = (self.raw, self.what, self.timeout);
        std::mem::forget(self);
        // SAFETY: gives the work back, which is dropped there.
        check(what, unsafe { ffi::ute_work_wait(raw, milliseconds(timeout)) })
    }

    /// Whether it is done, well or not.
    pub fn is_done(&self) -> bool {
        // SAFETY: reads a flag under a lock.
        unsafe { ffi::ute_work_is_done(self.raw) }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: ours, dropped once.
        unsafe { ffi::ute_work_drop(self.raw) }
    }
}
