//! Protocols, metrics, statistics and reports.
//!
//! The way of a number: embeddings → [`retrieval::ranks`] → [`metrics::RetrievalMetrics`] (with intervals and chance)
//! → [`table`] for the terminal and [`report`] for the browser. [`control`] gives the ranks that a model would reach
//! from the clip's duration alone; it stands beside every speech result.
//!
//! ```
//! use unisono_eval::{metrics::RetrievalMetrics, retrieval::{Embeddings, ranks}, stats::Bootstrap, table};
//!
//! # fn main() -> unisono_eval::Result<()> {
//! let texts = [1.0, 0.0, 0.0, 1.0];
//! let images = [0.8, 0.6, 0.6, 0.8];
//! let keys = ["cat", "dog"];
//! let found = ranks(&Embeddings::new(2, &texts)?, &keys, &Embeddings::new(2, &images)?, &keys, None)?;
//! let metrics = RetrievalMetrics::new("text", "image", &found, &keys, &Bootstrap::default())?;
//! assert_eq!(metrics.r1.value, 1.0);
//! print!("{}", table::recalls(&[("test", &metrics)]));
//! # Ok(())
//! # }
//! ```

pub mod captioning;
pub mod captions;
pub mod chance;
pub mod control;
mod error;
mod items;
pub mod memo;
pub mod metrics;
mod outcome;
pub mod protocol;
pub mod report;
pub mod retrieval;
mod side;
mod spoken;
pub mod stats;
mod stream;
pub mod table;

pub use error::{Error, Result};
