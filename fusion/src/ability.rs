//! What a model can be asked for.

use std::fmt;

/// What a model can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// A sentence about an image, audio file or video.
    Caption,
    /// The probability that a text and an image, audio file or video belong together.
    Match,
    /// An answer to a question about one.
    Ask,
    /// What is said in an audio file.
    Transcribe,
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Caption, Self::Match, Self::Ask, Self::Transcribe];

    /// `caption`, `match`, `ask`, `transcribe`: the commands' names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caption => "caption",
            Self::Match => "match",
            Self::Ask => "ask",
            Self::Transcribe => "transcribe",
        }
    }

    /// The head that it needs, in words.
    pub(crate) const fn head(self) -> &'static str {
        match self {
            Self::Caption => "captioning",
            Self::Match => "matching",
            Self::Ask => "answering",
            Self::Transcribe => "speech",
        }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
