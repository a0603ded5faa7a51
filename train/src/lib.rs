//! Training aligned encoders: a recipe, one readable loop, checkpoints that resume exactly, and the curves.
//!
//! Read [`mod@train`] top to bottom: it is the whole program.

pub mod batch;
pub mod checkpoint;
mod clock;
pub mod data;
mod error;
mod evaluate;
mod events;
mod features;
pub mod flops;
mod folder;
mod given;
mod keep;
mod learner;
pub mod optimizer;
mod pick;
pub mod recipe;
pub mod report;
mod resume;
mod sample;
pub mod schedule;
pub mod setup;
mod speech;
mod step;
mod tensorboard;
pub mod towers;
pub mod tracking;
pub mod train;
pub mod world;

pub use error::{Error, Result};
pub use events::{Event, Options, StepReport, Summary};
pub use learner::Learner;
pub use recipe::Recipe;
pub use train::train;
