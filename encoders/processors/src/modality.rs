//! The kinds of inputs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Strings.
    Text,
    /// Images.
    Image,
    /// Audio files.
    Audio,
    /// Videos: frames that the image tower sees, and their audio where the model listens to it.
    Video,
}

impl Modality {
    /// All of them, in their fixed order.
    pub const ALL: [Self; 4] = [Self::Text, Self::Image, Self::Audio, Self::Video];

    /// Every unordered pair that has a temperature of its own, in its fixed order; videos have images'.
    pub const PAIRS: [(Self, Self); 3] =
        [(Self::Text, Self::Image), (Self::Text, Self::Audio), (Self::Image, Self::Audio)];

    /// `text`, `image`, `audio`, `video`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Modality {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|m| m.name() == s);
        found.ok_or_else(|| format!("unknown modality {s:?}: expected text, image, audio or video"))
    }
}
