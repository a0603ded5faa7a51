//! What could not be decoded.

use super::clock::Jump;
#[cfg(doc)]
use super::ffmpeg::Ffmpeg;

/// What could not be decoded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failures {
    /// Complaints of the decoder and the container's reader.
    pub count: usize,
    /// The words of the first of them. Their places are the times of the [`index`](Ffmpeg::index) for which no frame came: the decoder
    /// runs ahead of what it shows, so a line of its log has no place.
    pub first: Option<String>,
    /// Where the container's clock goes back or jumps, each of them one complaint; the first thousand. Frames' times run on there.
    pub jumps: Vec<Jump>,
}
