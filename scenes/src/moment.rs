//! A place in a video. How it stands in JSON is beside the other forms, in `write/forms.rs`.

use unisono_media::video::Time;

/// A frame's place: its number, counted from 0 in the order of showing, and the container's own time of it. In JSON: the number, the time
/// as an exact fraction of seconds and as a decimal to read, and the ticks and their base, which are what is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Frames before it. For the end of a video: the number of its frames.
    pub frame: u64,
    /// When it is shown. For the end of a video: when its last frame has been shown.
    pub time: Time,
}
