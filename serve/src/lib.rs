//! The HTTP server, its page, and MCP.
//!
//! ```text
//! connection -> guard -> route -> workers (decode, tokenize) -> engine (batches across requests) -> answer
//! ```
//!
//! Start at [`App`]: the models, each on a thread of its own, and the index. [`Server`] listens and answers until it is told to end; [`mcp`] answers
//! an agent on standard input and output.

mod api;
mod app;
mod asked;
mod engine;
mod error;
mod form;
mod gate;
mod given;
mod guard;
pub mod mcp;
mod metrics;
mod mime;
mod model;
mod places;
mod prepare;
mod refresh;
mod refusal;
mod scenes;
mod search;
mod server;
mod settings;
mod spool;
mod stream;
mod thumbnail;

pub use app::App;
pub use engine::{Held, Load};
pub use error::{Error, Result};
pub use model::Source;
pub use search::Searched;
pub use server::{Server, signals};
pub use settings::{Batching, Settings};
