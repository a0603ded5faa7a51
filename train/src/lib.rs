//! Training aligned encoders: a recipe, one readable loop, checkpoints that resume exactly, and the curves.
//!
//! Read [`mod@train`] top to bottom: it is the whole program.

pub mod average;
pub mod batch;
mod bridges;
mod canary;
pub mod checkpoint;
mod clock;
pub mod data;
pub mod energy;
mod error;
mod evaluate;
mod events;
mod exchange;
mod features;
pub mod finetune;
pub mod flops;
mod folder;
mod given;
mod keep;
mod kept;
mod learner;
mod memory;
mod mined;
mod nonfinite;
pub mod optimizer;
mod pick;
pub mod plan;
pub mod recipe;
pub mod report;
mod resume;
mod sample;
pub mod schedule;
pub mod setup;
mod speech;
mod step;
mod streams;
mod taught;
mod tensorboard;
mod thin;
mod told;
pub mod towers;
pub mod tracking;
pub mod train;
mod tuning;
pub mod watched;
pub mod world;

pub use error::{Error, Result};
pub use events::{Event, Exchanged, Options, StepReport, Summary};
pub use learner::Learner;
pub use recipe::Recipe;
pub use train::train;
