//! What is kept of a medium, before it is changed.

use unisono_processors::Prepared;

/// What is kept of a medium, before it is changed.
pub(crate) enum Kept {
    Prepared(Prepared),
    /// Of an audio file that is changed before it is processed; `None`: a video without audio.
    Samples(Option<Vec<f32>>),
}

impl Kept {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Prepared(prepared) => prepared.bytes(),
            Self::Samples(samples) => samples.as_deref().map_or(0, size_of_val),
        }
    }
}
