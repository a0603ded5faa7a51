//! How a source is checked.

use std::path::PathBuf;
use unisono_media::MediaLimits;

/// With what files are opened.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// What a file may cost.
    pub limits: MediaLimits,
    /// The program that decodes videos, and audio files that nothing else does; `None`: it is looked for where one is met.
    pub ffmpeg: Option<PathBuf>,
}

/// How a source is checked.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// With what files are opened.
    pub opening: Opening,
    /// Threads that open them.
    pub workers: usize,
    /// Images whose thumbnails differ by less are alike: the root mean square of differences, 0 to 255, of images or of one and the other's mirror
    /// image.
    pub difference: f32,
    /// Files whose vectors have at least this cosine are alike, where a model is asked.
    pub cosine: f32,
    /// Images that are compared by their looks, and files by their vectors, at most: each costs a kilobyte, or what a vector does. Of equal bytes 32
    /// times as many are found, at fifty bytes each.
    pub most: usize,
}

impl Default for CheckOptions {
    /// A worker a core, a difference of 8, a cosine of 0.97, half a million images.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let (opening, most) = (Opening::default(), 500_000);
        Self { opening, workers, difference: 8.0, cosine: 0.97, most }
    }
}
