//! What is said, and when.

use serde::Serialize;

/// What is said in an audio file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transcript {
    /// The code of the language; absent for models of English only.
    pub language: Option<String>,
    /// All of it.
    pub text: String,
    /// In the order of time.
    pub segments: Vec<Segment>,
}

/// What is said in some seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Seconds on the clock of the file, as its images are; to the millisecond.
    pub start: f64,
    /// … and its end.
    pub end: f64,
    /// What is said.
    pub text: String,
}
