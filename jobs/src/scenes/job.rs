//! What is to be done, how far it is, and what came of it.

use super::inputs::FRAMES;
use crate::Skip;
use std::path::{Path, PathBuf};
use unisono_media::MediaLimits;
use unisono_scenes::settings::SceneSettings;
use unisono_scenes::write::{Cut, Output};

/// What is to be done with each video.
#[derive(Debug, Clone)]
pub struct SceneJob<'a> {
    /// Where everything goes.
    pub out: &'a Path,
    /// Every option of the analysis.
    pub settings: &'a SceneSettings,
    /// Files besides `video.json` and the lines of JSON.
    pub outputs: &'a [Output],
    /// A file for each scene, cut so.
    pub clips: Option<Cut>,
    /// Frames a second of folders of images; [`FRAMES`] is usual.
    pub rate: u32,
    /// Videos at a time; absent: one for each core.
    pub workers: Option<usize>,
    /// Videos that may be unusable; one more ends the job.
    pub max_skip: usize,
    /// What is there is done again.
    pub fresh: bool,
    /// The program that decodes; absent: looked for.
    pub ffmpeg: Option<&'a Path>,
    /// The audio track that is heard, counted from 1; absent: the container's own choice.
    pub audio_track: Option<u16>,
    /// The folder of TransNetV2's weights; absent: set-up's.
    pub transnet: Option<&'a Path>,
    /// What a file may cost.
    pub limits: MediaLimits,
}

impl<'a> SceneJob<'a> {
    /// With the defaults of `unisono scenes`: JSON alone, a video for each core, at most 100 unusable ones.
    pub fn new(out: &'a Path, settings: &'a SceneSettings) -> Self {
        Self {
            out,
            settings,
            outputs: &[],
            clips: None,
            rate: FRAMES,
            workers: None,
            max_skip: 100,
            fresh: false,
            ffmpeg: None,
            audio_track: None,
            transnet: None,
            limits: MediaLimits::default(),
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneProgress {
    /// Videos behind us, those that were done before among them.
    pub videos: usize,
    /// All videos.
    pub total: usize,
    /// Frames decoded by this run.
    pub frames: u64,
    /// Bytes of files behind us and in work so far, of this run.
    pub bytes: u64,
    /// Bytes of all files that this run does.
    pub all_bytes: u64,
    /// Videos that could not be used.
    pub skipped: usize,
}

/// What came of a video.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct VideoDone {
    /// The file. Written as it is shown: JSON has no bytes that are no Unicode.
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// Where its files lie.
    #[serde(serialize_with = "shown")]
    pub folder: PathBuf,
    /// Frames decoded.
    pub frames: u64,
    /// Seconds from its first frame to the end of its last.
    pub seconds: f64,
    /// Number of shots.
    pub shots: usize,
    /// Number of scenes.
    pub scenes: usize,
    /// Complaints of the decoder.
    pub failures: usize,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
    /// An earlier run did it.
    pub before: bool,
}

fn shown<S: serde::Serializer>(path: &Path, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

/// What came of a job.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct SceneReport {
    /// Videos in the order of the inputs.
    pub videos: Vec<VideoDone>,
    /// The others.
    pub skipped: Vec<Skip>,
    /// What was gathered; absent while other shards are not done.
    pub gathered: Option<Gathered>,
}

/// What was gathered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Gathered {
    /// One line a scene, of all videos.
    pub scenes: PathBuf,
    /// Scenes in it.
    pub count: usize,
    /// An index of their vectors; absent without an embedding model. Its paths are texts: videos whose names are no Unicode are not in it.
    pub index: Option<PathBuf>,
}
