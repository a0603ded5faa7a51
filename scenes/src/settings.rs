//! Every option of a scene analysis, with its default; `scenes/settings.toml` is the same as a file with a word on each.

use crate::detect::{
    AdaptiveSettings, ContentSettings, HashSettings, HistogramSettings, Settings as Detector,
    ThresholdSettings,
};
use crate::gradual::GradualSettings;
use crate::group::GroupSettings;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use unisono_files::{Budget, read_text};
use unisono_media::video::VideoLimits;

mod documented;
mod idle;

pub use idle::Uses;

/// All settings with their defaults, explained: what `--print-settings` prints.
pub const DOCUMENTED: &str = include_str!("../settings.toml");

/// Who says where shots begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorName {
    /// PySceneDetect's `detect-content`.
    Content,
    /// PySceneDetect's `detect-adaptive`.
    Adaptive,
    /// PySceneDetect's `detect-threshold`.
    Threshold,
    /// PySceneDetect's `detect-hist`.
    Histogram,
    /// PySceneDetect's `detect-hash`.
    Hash,
    /// TransNetV2, a network.
    Transnet,
}

impl DetectorName {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Content, Self::Adaptive, Self::Threshold, Self::Histogram, Self::Hash, Self::Transnet];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Adaptive => "adaptive",
            Self::Threshold => "threshold",
            Self::Histogram => "histogram",
            Self::Hash => "hash",
            Self::Transnet => "transnet",
        }
    }
}

impl std::str::FromStr for DetectorName {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|d| d.name() == text);
        found.ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|d| d.name()).collect();
            format!("unknown detector {text:?}: expected {}", all.join(", "))
        })
    }
}

/// TransNetV2's probabilities as boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransnetSettings {
    /// Frames above it are of a transition.
    pub threshold: f32,
}

impl Default for TransnetSettings {
    fn default() -> Self {
        Self { threshold: 0.5 }
    }
}

/// What becomes of dissolves and fades that no detector cut at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GradualUse {
    /// They are events; shots begin where detectors say.
    #[default]
    Mark,
    /// Shots begin in their middles too.
    Cut,
}

/// What becomes of detectors' cuts within a flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlashUse {
    /// They stay: shots begin where detectors say.
    #[default]
    Keep,
    /// They are no boundaries.
    Drop,
}

/// From events to shots.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShotSettings {
    /// Of dissolves and fades that no detector cut at.
    pub gradual: GradualUse,
    /// Of cuts within a flash.
    pub flashes: FlashUse,
}

/// The frames that models and people see.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleSettings {
    /// Seconds between them.
    pub every: f64,
    /// Pixels of the longer side of thumbnails.
    pub thumbnail: u32,
}

impl Default for SampleSettings {
    fn default() -> Self {
        Self { every: 0.5, thumbnail: 480 }
    }
}

/// Zero-shot labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelSettings {
    /// Names of shipped sets, or files of one's own.
    pub sets: Vec<String>,
    /// So many of each set's labels, the best.
    pub top: usize,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self { sets: ["places", "objects", "actions", "moods", "sounds"].map(str::to_owned).to_vec(), top: 3 }
    }
}

/// Every option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SceneSettings {
    /// Who says where shots begin; of several, any.
    pub detectors: Vec<DetectorName>,
    /// See the detector.
    pub content: ContentSettings,
    /// See the detector.
    pub adaptive: AdaptiveSettings,
    /// See the detector.
    pub threshold: ThresholdSettings,
    /// See the detector.
    pub histogram: HistogramSettings,
    /// See the detector.
    pub hash: HashSettings,
    /// See the detector.
    pub transnet: TransnetSettings,
    /// Dissolves, fades and flashes.
    pub gradual: GradualSettings,
    /// From events to shots.
    pub shots: ShotSettings,
    /// The frames that models and people see.
    pub sample: SampleSettings,
    /// From shots to scenes.
    pub group: GroupSettings,
    /// Zero-shot labels.
    pub labels: LabelSettings,
    /// What a file may cost.
    pub limits: VideoLimits,
}

impl Default for SceneSettings {
    fn default() -> Self {
        Self {
            detectors: vec![DetectorName::Adaptive],
            content: Default::default(),
            adaptive: Default::default(),
            threshold: Default::default(),
            histogram: Default::default(),
            hash: Default::default(),
            transnet: Default::default(),
            gradual: Default::default(),
            shots: Default::default(),
            sample: Default::default(),
            group: Default::default(),
            labels: Default::default(),
            limits: Default::default(),
        }
    }
}

impl SceneSettings {
    /// From a file, where there is one, with `a.b=value` on top; what neither names has its default.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value that is impossible.
    pub fn load(file: Option<&Path>, set: &[String]) -> Result<Self> {
        let mut table = match file {
            None => toml::Table::new(),
            Some(path) => {
                let text = read_text(path, &Budget::CONFIG)?;
                // Once from the text, for a message with the line.
                let one_line = |e: toml::de::Error| {
                    let line =
                        e.span().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
                    Error::format(path, format!("line {line}: {}", e.message().replace('\n', " ")))
                };
                toml::from_str::<Self>(&text).map_err(one_line)?;
                toml::from_str(&text).map_err(one_line)?
            }
        };
        for assignment in set {
            unisono_files::set(&mut table, assignment)
                .map_err(|why| Error::format(Path::new("--set"), format!("{assignment}: {why}")))?;
        }
        let settings: Self = toml::Value::Table(table).try_into().map_err(|e: toml::de::Error| {
            Error::setting("--set", "an option of the settings", e.message().replace('\n', " "))
        })?;
        settings.validate()?;
        Ok(settings)
    }

    /// # Errors
    /// The first value that is impossible.
    pub fn validate(&self) -> Result<()> {
        if self.detectors.is_empty() {
            return Err(Error::setting("detectors", "at least one", "none"));
        }
        // Only those that run: a file may hold what another run needs.
        for detector in self.classical() {
            detector.validate()?;
        }
        let within = |name: &str, value: f64, from: f64, to: f64| {
            if (from..=to).contains(&value) {
                return Ok(());
            }
            Err(Error::setting(name, format!("{from} to {to}"), value))
        };
        within("transnet.threshold", self.transnet.threshold.into(), 0.0, 1.0)?;
        within("sample.every", self.sample.every, 0.01, 3600.0)?;
        within("sample.thumbnail", self.sample.thumbnail.into(), 16.0, 4096.0)?;
        within("gradual.max_frames", self.gradual.max_frames.into(), 0.0, 600.0)?;
        within("gradual.flash_frames", self.gradual.flash_frames.into(), 0.0, 60.0)?;
        within("gradual.min_frames", self.gradual.min_frames.into(), 2.0, 600.0)?;
        within("gradual.min_change", self.gradual.min_change.into(), 1.0, 255.0)?;
        within("gradual.max_bend", self.gradual.max_bend.into(), 0.0, 1.0)?;
        within("gradual.flash_rise", self.gradual.flash_rise.into(), 1.0, 255.0)?;
        within("labels.top", self.labels.top as f64, 1.0, 1000.0)?;
        let limits = &self.limits;
        within("limits.max_pixels", limits.max_pixels as f64, 1.0, 4e9)?;
        within("limits.max_total_pixels", limits.max_total_pixels as f64, 1.0, 9e15)?;
        within("limits.max_frames", limits.max_frames as f64, 1.0, 1e9)?;
        within("limits.max_seconds", limits.max_seconds, 1.0, 1e7)?;
        within("limits.max_silence", limits.max_silence, 1.0, 1e5)?;
        within("limits.max_memory", limits.max_memory as f64, 256.0, 1e7)?;
        self.group.validate()
    }

    /// The detectors besides the network, in the order asked for, none twice.
    pub fn classical(&self) -> Vec<Detector> {
        let mut found: Vec<Detector> = Vec::new();
        for name in &self.detectors {
            let detector = match name {
                DetectorName::Content => Detector::Content(self.content.clone()),
                DetectorName::Adaptive => Detector::Adaptive(self.adaptive.clone()),
                DetectorName::Threshold => Detector::Threshold(self.threshold.clone()),
                DetectorName::Histogram => Detector::Histogram(self.histogram.clone()),
                DetectorName::Hash => Detector::Hash(self.hash.clone()),
                DetectorName::Transnet => continue,
            };
            if !found.contains(&detector) {
                found.push(detector);
            }
        }
        found
    }

    /// Whether the network is asked.
    pub fn learned(&self) -> bool {
        self.detectors.contains(&DetectorName::Transnet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_holds_every_option_at_its_default() {
        let documented: SceneSettings = toml::from_str(DOCUMENTED).unwrap();
        assert_eq!(documented, SceneSettings::default());
        let written: toml::Table = toml::from_str(DOCUMENTED).unwrap();
        let all = toml::Table::try_from(SceneSettings::default()).unwrap();
        fn keys(table: &toml::Table, before: &str, into: &mut Vec<String>) {
            for (name, value) in table {
                match value {
                    toml::Value::Table(inner) => keys(inner, &format!("{before}{name}."), into),
                    _ => into.push(format!("{before}{name}")),
                }
            }
        }
        let (mut has, mut needs) = (Vec::new(), Vec::new());
        keys(&written, "", &mut has);
        keys(&all, "", &mut needs);
        has.sort();
        needs.sort();
        assert_eq!(has, needs);
    }

    #[test]
    fn files_and_assignments() {
        let set = |words: &[&str]| {
            SceneSettings::load(None, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
        };
        let settings =
            set(&["content.threshold=30", "detectors=[\"content\", \"transnet\"]", "shots.flashes=drop"])
                .unwrap();
        assert_eq!((settings.content.threshold, settings.shots.flashes), (30.0, FlashUse::Drop));
        assert!(settings.learned() && settings.classical().len() == 1);
        for (words, what) in [
            (&["content.treshold=1"][..], "unknown field `treshold`"),
            (&["content"], "NAME=VALUE"),
            (&["detectors=[]"], "at least one"),
            (&["sample.every=0"], "sample.every: expected 0.01 to 3600"),
            (&["detectors=[\"psychic\"]"], "unknown variant `psychic`"),
            (&["group.window=nan"], "group.window"),
            (&["detectors.x=1", "detectors.y.z=3"], "sequence"),
        ] {
            let error = set(words).unwrap_err().to_string();
            assert!(error.contains(what) && error.lines().count() == 1, "{words:?}: {error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        std::fs::write(&path, "[content]\nthreshold = 20\n\n[group]\nwindows = 3\n").unwrap();
        let error = SceneSettings::load(Some(&path), &[]).unwrap_err().to_string();
        assert!(error.contains("s.toml: line 5: unknown field `windows`"), "{error}");
    }
}
