//! The flywheel: votes on what searches found, as data to learn from and as the judge of what was learned.

mod judge;
mod manifest;
mod votes;

pub use judge::{Judged, judge};
pub use manifest::{Fed, from_feedback, is_held_out};
pub use votes::{Vote, Voted, Votes, read};
