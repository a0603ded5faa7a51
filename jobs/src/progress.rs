//! How a job tells how far it is, and learns that it should stop.

use std::ops::ControlFlow;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done: `list inputs`, `embed`, `self-check`.
    pub stage: &'a str,
    /// Items done, skipped ones included.
    pub done: usize,
    /// Items in all.
    pub total: usize,
    /// Items skipped so far.
    pub skipped: usize,
}

/// What a job does after it reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Goes on.
    Continue,
    /// Ends with [`Error::Interrupted`](crate::Error::Interrupted), leaving nothing half done.
    Stop,
}

impl From<Flow> for ControlFlow<()> {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Continue => Self::Continue(()),
            Flow::Stop => Self::Break(()),
        }
    }
}

impl Flow {
    pub(crate) fn check(self) -> crate::Result<()> {
        match self {
            Self::Continue => Ok(()),
            Self::Stop => Err(crate::Error::Interrupted),
        }
    }
}
