//! Settings of the detectors: PySceneDetect's options, names and defaults.

use super::length::MinLength;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A detector and its settings; in a file `detector = "content"` beside the options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "detector", rename_all = "snake_case")]
pub enum Settings {
    /// Change of colour and brightness from frame to frame: hard cuts.
    Content(ContentSettings),
    /// The same change against its neighbours': hard cuts, with less trust in fast moves.
    Adaptive(AdaptiveSettings),
    /// Average brightness against a fixed level: fades.
    Threshold(ThresholdSettings),
    /// Histograms of brightness.
    Histogram(HistogramSettings),
    /// Perceptual hashes.
    Hash(HashSettings),
}

/// How much each part of the change counts. The sum is divided by the weights' sum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Hue, of 180 steps.
    pub hue: f64,
    /// Saturation, of 256 steps.
    pub saturation: f64,
    /// The largest of blue, green and red, of 256 steps.
    pub luma: f64,
    /// Edges, 255 where there is one. Usually larger than the others; costs most of the time.
    pub edges: f64,
}

impl Default for Weights {
    /// Hue, saturation and luma alike, no edges.
    fn default() -> Self {
        Self { hue: 1.0, saturation: 1.0, luma: 1.0, edges: 0.0 }
    }
}

impl Weights {
    /// Brightness alone.
    pub const LUMA: Self = Self { hue: 0.0, saturation: 0.0, luma: 1.0, edges: 0.0 };
}

/// What is done with cuts nearer than the shortest shot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterMode {
    /// Cuts that follow one another too fast become one, at the last of them.
    #[default]
    Merge,
    /// The first stays; the others are left out.
    Suppress,
}

/// `content`: the mean change of hue, saturation, brightness and edges from one frame to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContentSettings {
    /// A frame whose `content_val` is at least this begins a shot. 27
    pub threshold: f64,
    /// The shortest shot: frames (`15`), seconds (`0.6`), or `"00:00:00.600"`. 15 frames
    pub min_scene_len: MinLength,
    /// How much each part of the change counts. 1, 1, 1, 0
    pub weights: Weights,
    /// Brightness alone; `weights` are not looked at. false
    pub luma_only: bool,
    /// How far edges are widened before they are compared: an odd number of pixels from 3. By the image's size
    pub kernel_size: Option<usize>,
    /// What is done with cuts nearer than the shortest shot. merge
    pub filter_mode: FilterMode,
}

impl Default for ContentSettings {
    fn default() -> Self {
        Self {
            threshold: 27.0,
            min_scene_len: MinLength::default(),
            weights: Weights::default(),
            luma_only: false,
            kernel_size: None,
            filter_mode: FilterMode::Merge,
        }
    }
}

/// `adaptive`: `content`'s change, compared with the mean change of the frames around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveSettings {
    /// A frame whose change is at least so many times that of its neighbours begins a shot. 3
    pub adaptive_threshold: f64,
    /// The shortest shot. 15 frames
    pub min_scene_len: MinLength,
    /// So many frames before it and after it are its neighbours. 2
    pub window_width: usize,
    /// … and whose `content_val` is at least this. 15
    pub min_content_val: f64,
    /// How much each part of the change counts. 1, 1, 1, 0
    pub weights: Weights,
    /// Brightness alone; `weights` are not looked at. false
    pub luma_only: bool,
    /// How far edges are widened before they are compared: an odd number of pixels from 3. By the image's size
    pub kernel_size: Option<usize>,
}

impl Default for AdaptiveSettings {
    fn default() -> Self {
        Self {
            adaptive_threshold: 3.0,
            min_scene_len: MinLength::default(),
            window_width: 2,
            min_content_val: 15.0,
            weights: Weights::default(),
            luma_only: false,
            kernel_size: None,
        }
    }
}

/// Which side of the level is a fade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Below it: fades to black.
    #[default]
    Floor,
    /// Above it: fades to white.
    Ceiling,
}

/// `threshold`: average brightness that crosses a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThresholdSettings {
    /// The level, of 256 steps; what stands behind the point is cut off. 12
    pub threshold: f64,
    /// The shortest shot. 15 frames
    pub min_scene_len: MinLength,
    /// Where in the fade the cut lies: from -1 (where it goes out) to 1 (where it comes in). 0
    pub fade_bias: f64,
    /// A video that ends faded out gets a cut there. false
    pub add_final_scene: bool,
    /// Which side of the level is a fade. floor
    pub method: Method,
}

impl Default for ThresholdSettings {
    fn default() -> Self {
        Self {
            threshold: 12.0,
            min_scene_len: MinLength::default(),
            fade_bias: 0.0,
            add_final_scene: false,
            method: Method::Floor,
        }
    }
}

/// `histogram`: the correlation of two frames' histograms of brightness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistogramSettings {
    /// A frame whose histogram's correlation with the one before is at most 1 less this begins a shot; from 0 to 1. 0.05
    pub threshold: f64,
    /// Bins of the histogram. 256
    pub bins: usize,
    /// The shortest shot. 15 frames
    pub min_scene_len: MinLength,
}

impl Default for HistogramSettings {
    fn default() -> Self {
        Self { threshold: 0.05, bins: 256, min_scene_len: MinLength::default() }
    }
}

/// `hash`: the share of differing bits of two frames' perceptual hashes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashSettings {
    /// A frame whose share of differing bits is at least this begins a shot; from 0 to 1. 0.395
    pub threshold: f64,
    /// The hash has this number of bits, squared. 16
    pub size: usize,
    /// The image is made `size` times this wide before its low frequencies are taken; the product must be even. 2
    pub lowpass: usize,
    /// The shortest shot. 15 frames
    pub min_scene_len: MinLength,
}

impl Default for HashSettings {
    fn default() -> Self {
        Self { threshold: 0.395, size: 16, lowpass: 2, min_scene_len: MinLength::default() }
    }
}

impl Settings {
    /// The detector's name, as settings and events write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Content(_) => "content",
            Self::Adaptive(_) => "adaptive",
            Self::Threshold(_) => "threshold",
            Self::Histogram(_) => "histogram",
            Self::Hash(_) => "hash",
        }
    }

    /// The shortest shot.
    pub fn min_scene_len(&self) -> &MinLength {
        match self {
            Self::Content(s) => &s.min_scene_len,
            Self::Adaptive(s) => &s.min_scene_len,
            Self::Threshold(s) => &s.min_scene_len,
            Self::Histogram(s) => &s.min_scene_len,
            Self::Hash(s) => &s.min_scene_len,
        }
    }

    /// Whether a detector can be made of them.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first setting that is impossible.
    pub fn validate(&self) -> Result<()> {
        let name = |setting: &str| format!("{}.{setting}", self.name());
        self.min_scene_len().least(&name("min_scene_len"))?;
        let number = |setting: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            let expected =
                if high == f64::MAX { format!("at least {low}") } else { format!("{low} to {high}") };
            Err(Error::setting(name(setting), expected, value))
        };
        match self {
            Self::Content(s) => {
                number("threshold", s.threshold, 0.0, f64::MAX)?;
                weights(&name, &s.weights, s.luma_only, s.kernel_size)
            }
            Self::Adaptive(s) => {
                number("adaptive_threshold", s.adaptive_threshold, 0.0, f64::MAX)?;
                number("min_content_val", s.min_content_val, 0.0, f64::MAX)?;
                number("window_width", s.window_width as f64, 1.0, 1000.0)?;
                weights(&name, &s.weights, s.luma_only, s.kernel_size)
            }
            Self::Threshold(s) => {
                number("threshold", s.threshold, 0.0, 255.0)?;
                number("fade_bias", s.fade_bias, -1.0, 1.0)
            }
            Self::Histogram(s) => {
                number("threshold", s.threshold, 0.0, 1.0)?;
                number("bins", s.bins as f64, 1.0, 65_536.0)
            }
            Self::Hash(s) => {
                number("threshold", s.threshold, 0.0, 1.0)?;
                number("size", s.size as f64, 1.0, 256.0)?;
                number("lowpass", s.lowpass as f64, 1.0, 256.0)?;
                let side = s.size * s.lowpass;
                // OpenCV has no cosine transform of odd length either.
                if side > 1024 || side % 2 == 1 {
                    let expected = "size times lowpass an even number up to 1024";
                    return Err(Error::setting(name("size"), expected, side));
                }
                Ok(())
            }
        }
    }
}

fn weights(
    name: &impl Fn(&str) -> String,
    weights: &Weights,
    luma_only: bool,
    kernel: Option<usize>,
) -> Result<()> {
    let all = [weights.hue, weights.saturation, weights.luma, weights.edges];
    let possible = all.iter().all(|w| w.is_finite() && *w >= 0.0) && all.iter().any(|w| *w > 0.0);
    if !luma_only && !possible {
        let expected = "numbers of at least 0, one of them above it";
        return Err(Error::setting(name("weights"), expected, format!("{all:?}")));
    }
    match kernel {
        Some(k) if !(3..=255).contains(&k) || k % 2 == 0 => {
            Err(Error::setting(name("kernel_size"), "an odd number from 3 to 255", k))
        }
        _ => Ok(()),
    }
}
