//! What is known of a video: shots, events, scenes. Written as JSON (`docs/scenes-files.md` has the schema); every file format and the
//! report are made of this.

pub use crate::moment::Moment;
use crate::write::forms;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use unisono_media::video::{Jump, Ratio, Time};

/// A video as it was decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRecord {
    /// The file, absolute. A name that is not Unicode is written with its bytes beside it.
    #[serde(flatten, with = "forms::path")]
    pub path: PathBuf,
    /// Width and height of a frame as it is shown, in pixels.
    pub size: (u32, u32),
    /// Where that changes; the first 1000 places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<Resized>,
    /// The container's average rate, frames a second; absent where it tells none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "forms::rate")]
    pub rate: Option<Ratio>,
    /// The distance between frames changes.
    pub variable_rate: bool,
    /// First frame.
    pub start: Moment,
    /// End of the last frame; `frame` is the number of frames.
    pub end: Moment,
    /// There is an audio track.
    pub audio: bool,
    /// Complaints of the decoder.
    #[serde(default)]
    pub failures: FailureRecord,
    /// How scenes were found: the detector's name and the settings that differ from the defaults.
    pub detector: String,
}

/// From which frame on frames are of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resized {
    /// The first of them.
    pub frame: u64,
    /// Width and height, in pixels.
    pub size: (u32, u32),
}

/// What could not be decoded, or not be believed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// Complaints of the decoder and the container's reader; each jump of the clock is one.
    pub count: usize,
    /// The words of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Times that the container promises a frame for and for which none came; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "forms::times")]
    pub places: Vec<Time>,
    /// Where the container's clock goes back or jumps, the first 1000: times run on there.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "forms::jumps")]
    pub jumps: Vec<Jump>,
}

impl VideoRecord {
    /// The file's name without its folders, as it can be shown: bytes that are not Unicode become `\u{fffd}`.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// How one shot gives way to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// From one frame to the next.
    Cut,
    /// The one shows through the other.
    Dissolve,
    /// Out to one colour (black or white) and in again, or only one of both.
    Fade,
    /// A few bright frames within a shot: no boundary.
    Flash,
}

impl EventKind {
    /// All, in the order of their names here.
    pub const ALL: [Self; 4] = [Self::Cut, Self::Dissolve, Self::Fade, Self::Flash];

    /// As files write it: `cut`, `dissolve`, `fade`, `flash`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Dissolve => "dissolve",
            Self::Fade => "fade",
            Self::Flash => "flash",
        }
    }
}

/// Something that happens between shots or, a flash, within one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// The first frame that is not wholly the old shot's. Of a cut: the new shot's first frame.
    pub start: Moment,
    /// The first frame that is wholly the new shot's. Of a cut: the same as `start`.
    pub end: Moment,
    /// The detector that saw it: `content`, `adaptive`, `threshold`, `histogram`, `hash`, `transnet`.
    pub detector: String,
    /// The detector's score at its strongest frame, in that detector's units. Not finite: `null` in JSON, NaN when it is read.
    #[serde(with = "forms::number")]
    pub score: f64,
}

/// Frames between two boundaries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shot {
    /// Counted from 0.
    pub index: usize,
    /// First frame.
    pub start: Moment,
    /// The first frame that is no longer of it.
    pub end: Moment,
    /// The frame that stands for it.
    pub key: Moment,
}

/// A label and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The label, a line of its set's file.
    pub label: String,
    /// Between 0 and 1.
    #[serde(with = "forms::number")]
    pub probability: f64,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spoken {
    /// In seconds of the container's clock.
    #[serde(with = "forms::number")]
    pub start: f64,
    /// In seconds of the container's clock.
    #[serde(with = "forms::number")]
    pub end: f64,
    /// The words.
    pub text: String,
    /// Who speaks, where the model tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}

/// Shots that belong together. What no model was given for is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Counted from 0.
    pub index: usize,
    /// First frame.
    pub start: Moment,
    /// The first frame that is no longer of it.
    pub end: Moment,
    /// Its first shot and the one after its last.
    pub shots: (usize, usize),
    /// The frame that stands for it.
    pub key: Moment,
    /// A JPEG of that frame, relative to the folder of the video's files.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "forms::relative")]
    pub thumbnail: Option<PathBuf>,
    /// Labels by label set (`places`, `objects`, `actions`, `moods`, `emotions`, one's own), the best first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Vec<Label>>,
    /// What is heard, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sounds: Vec<Label>,
    /// A sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// What is said in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Spoken>,
    /// Its row in the vectors' file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<usize>,
}

/// Scores of each frame, for choosing thresholds and for curves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Names of the columns: `content`, `delta_hue`, … as PySceneDetect's statistics name them.
    pub names: Vec<String>,
    /// One row a frame, NaN where a detector has no score (the first frame of differences).
    pub rows: Vec<Vec<f64>>,
    /// The frames' times.
    pub times: Vec<Time>,
}

/// All that is known of a video.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoScenes {
    /// The file.
    pub video: VideoRecord,
    /// Boundaries and flashes, by their start.
    pub events: Vec<Event>,
    /// Shots, one after another without a gap.
    pub shots: Vec<Shot>,
    /// Scenes, one after another without a gap.
    pub scenes: Vec<Scene>,
    /// Scores of each frame.
    pub scores: Scores,
}
