//! What is on the page besides the video's record.

/// A score to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its column in the scores.
    pub name: String,
    /// The line that it is measured against.
    pub threshold: Option<f64>,
}

/// What is on the page besides the video's record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Scores to draw, in this order. Empty: the first six that have any, without thresholds.
    pub curves: Vec<Curve>,
}
