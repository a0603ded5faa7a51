//! Training aligned encoders: a recipe, one readable loop, checkpoints that resume exactly, and the curves.
//!
//! Read [`mod@train`] top to bottom: it is the whole program.

pub mod batch;
pub mod checkpoint;
pub mod data;
mod error;
pub mod flops;
mod folder;
mod fusing;
mod learner;
pub mod optimizer;
pub mod recipe;
pub mod report;
pub mod schedule;
pub mod setup;
mod tensorboard;
pub mod tracking;
pub mod train;

pub use error::{Error, Result};
pub use learner::Learner;
pub use recipe::Recipe;
pub use train::{Event, Options, StepReport, Summary, train};
