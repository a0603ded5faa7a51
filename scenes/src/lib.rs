//! Where scenes begin in a video, and the files that say so. No model is needed here: what models add (vectors, labels, captions,
//! transcripts) comes in as data.
//!
//! ```text
//! frames -> detect (scores, cuts) -> events -> shots -> group (with vectors) -> scenes -> write, report
//! ```

pub mod detect;
mod error;
pub mod gradual;
pub mod group;
pub mod labels;
mod mini;
mod moment;
pub mod record;
pub mod report;
pub mod settings;
pub mod shots;
pub mod write;

pub use error::{Error, Result};
pub use mini::Mini;
