//! What a worker makes of a draw, and what a tower is given of it.

use image::RgbImage;
use std::collections::BTreeMap;
use unisono_encoders::{Input, Modality};

/// What a worker makes of a draw.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The record's id.
    pub id: String,
    /// The `[[data]]` that it was drawn from.
    pub(crate) source: usize,
    /// The running number of its draw there.
    pub(crate) draw: u64,
    pub(crate) label: u64,
    pub(crate) text: Option<u64>,
    pub(crate) ids: Option<Vec<i64>>,
    /// No fusion part sees them.
    pub(crate) untold: bool,
    /// What the text tower sees of them, where that is not all.
    pub(crate) thinned: Option<Vec<i64>>,
    /// An image, or frames of a video in their order.
    pub(crate) squares: Vec<RgbImage>,
    /// The squares are a video's.
    pub(crate) video: bool,
    /// The spectrogram `[T, M]` of the video's own audio, where the model listens to it.
    pub(crate) track: Option<Vec<f32>>,
    /// `[T, M]`.
    pub(crate) mel: Option<Vec<f32>>,
    /// Pooled vectors `[W]` of the modalities whose features are kept: their towers do not run.
    pub(crate) pooled: BTreeMap<Modality, Vec<f32>>,
    /// The same, where the objective keeps their structure.
    pub(crate) frozen: BTreeMap<Modality, Vec<f32>>,
    /// A teacher's vectors.
    pub(crate) taught: BTreeMap<Modality, Vec<f32>>,
    /// The caption that was drawn.
    pub(crate) caption: Option<String>,
    /// Second views, one modality each.
    pub(crate) again: Vec<Sample>,
    /// It is a second view of that sample of the batch.
    pub(crate) of: Option<usize>,
    /// Mined negatives, a text each.
    pub(crate) negatives: Vec<Sample>,
    /// It is a mined negative of another sample.
    pub(crate) mined: bool,
}

/// A view of a medium, as its tower takes it.
pub(crate) enum Seen {
    Ids(Vec<i64>),
    Image(RgbImage),
    Mel(Vec<f32>),
}

impl Seen {
    pub(crate) fn input(&self) -> Input<'_> {
        match self {
            Self::Ids(ids) => Input::Text(ids),
            Self::Image(image) => Input::Image(image),
            Self::Mel(mel) => Input::Audio(mel),
        }
    }
}

impl Sample {
    /// Nothing of a record yet.
    pub(crate) fn new(source: usize, id: &str, label: u64) -> Self {
        Self { source, id: id.to_owned(), label, ..Self::default() }
    }

    /// Whether a fusion part has tokens of this modality of it.
    pub(crate) fn shows(&self, modality: Modality) -> bool {
        match modality {
            Modality::Image => !self.squares.is_empty() || self.pooled.contains_key(&modality),
            Modality::Audio => self.mel.is_some() || self.pooled.contains_key(&modality),
            Modality::Text | Modality::Video => false,
        }
    }

    /// The captions that were drawn: the first, and behind it those of its second views.
    pub fn captions(&self) -> Vec<&str> {
        let again = self.again.iter().filter_map(|view| view.caption.as_deref());
        self.caption.as_deref().into_iter().chain(again).collect()
    }

    /// Whether a tower has something of it.
    pub(crate) fn has(&self, modality: Modality) -> bool {
        let there = match modality {
            Modality::Text => self.ids.is_some(),
            Modality::Image => !self.squares.is_empty(),
            Modality::Audio => self.mel.is_some(),
            Modality::Video => false,
        };
        there || self.pooled.contains_key(&modality)
    }

    /// One modality of it.
    pub(crate) fn only(&self, modality: Modality) -> Self {
        let mut only = Self { id: self.id.clone(), label: self.label, text: self.text, ..Self::default() };
        match modality {
            Modality::Text => only.ids.clone_from(&self.ids),
            Modality::Image => only.squares.clone_from(&self.squares),
            Modality::Audio => only.mel.clone_from(&self.mel),
            Modality::Video => {}
        }
        only.pooled.extend(self.pooled.get(&modality).map(|row| (modality, row.clone())));
        only
    }

    /// The tokens that a fusion part sees.
    pub(crate) fn told(&self) -> Option<&[i64]> {
        self.ids.as_deref().filter(|_| !self.untold)
    }

    /// The tokens that the text tower sees.
    pub(crate) fn read(&self) -> Option<&[i64]> {
        self.thinned.as_deref().or(self.ids.as_deref())
    }
}
