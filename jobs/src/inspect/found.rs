//! What an inspection finds.

use super::spread::Spread;
use crate::Skip;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts of one split, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records.
    pub records: usize,
    /// Distinct labels (ids where there is none).
    pub labels: usize,
    /// Texts.
    pub text: usize,
    /// Images, a file that several records name counted once.
    pub image: usize,
    /// Audio files, counted so too.
    pub audio: usize,
    /// Videos, counted so too.
    pub video: usize,
}

/// A source, looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Inspection {
    /// All records that can be read.
    pub total: Counts,
    /// There are more labels or files than are remembered: of these there are at most as many as counted.
    pub at_most: bool,
    /// By split; records without one under the empty name.
    pub splits: BTreeMap<String, Counts>,
    /// Records by language; records without one under the empty name.
    pub languages: BTreeMap<String, usize>,
    /// Records that name no language and have captions, by the language of those; where none is sure enough under the empty name. Absent: it was not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages_detected: Option<BTreeMap<String, usize>>,
    /// Records by what they have: `text + image`.
    pub modalities: BTreeMap<String, usize>,
    /// Their labels.
    pub labels: Labels,
    /// Their texts.
    pub captions: Captions,
    /// Sizes of images.
    pub images: Images,
    /// Lengths of audio files.
    pub audio: Lengths,
    /// Lengths of videos, or of the parts of videos that records name.
    pub video: Lengths,
    /// Files whose heads were read.
    pub measured_files: usize,
    /// 1: of all records the files' heads were read; else of one record in so many, drawn from all over.
    pub measured_every: usize,
    /// How many problems there are.
    pub problem_count: usize,
    /// Files that are missing or empty, and records that cannot be read; the first ten thousand.
    pub problems: Vec<Skip>,
    /// Files whose content is not what their names' endings promise, of those whose heads were read. They are read by their content.
    pub misnamed: Vec<Misnamed>,
    /// Groups of near-copies that stand in two splits, with those: what was learned would be tested.
    pub crossing_groups: Vec<(String, String, String)>,
}

/// A file with another ending than its content has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misnamed {
    /// The file.
    pub path: String,
    /// What it is: "a JPEG image".
    pub content: &'static str,
}

/// Labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// Records that have one.
    pub records: usize,
    /// Different ones.
    pub distinct: usize,
    /// Whether all of them were counted: the first 262,144 are.
    pub complete: bool,
    /// The most frequent, each with its records.
    pub most_frequent: Vec<(String, usize)>,
    /// The least frequent of the others, the least first.
    pub least_frequent: Vec<(String, usize)>,
}

/// Texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Captions {
    /// How many a record has.
    pub per_record: Spread,
    /// Words of each, parted by spaces.
    pub words: Spread,
    /// Characters of each.
    pub characters: Spread,
}

/// Images.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Images {
    /// Those of which the head does not say a size.
    pub unknown: usize,
    /// Width in pixels.
    pub width: Spread,
    /// Height in pixels.
    pub height: Spread,
}

/// Audio files, or videos.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lengths {
    /// Those of which the head does not say how long they last.
    pub unknown: usize,
    /// Seconds.
    pub seconds: Spread,
}
