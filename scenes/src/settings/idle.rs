//! Settings that would change nothing.

use super::{DetectorName, SceneSettings};
use crate::{Error, Result};
use std::collections::BTreeSet;

/// What there is that looks at settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// A model of the shared space.
    pub model: bool,
    /// Somebody looks at frames: that model, a captioning model or the page.
    pub frames: bool,
}

impl SceneSettings {
    /// Whether each of these assignments (`content.threshold=30`) means something; a file may hold what another run needs, but what is named
    /// on the command line is meant for this one.
    ///
    /// # Errors
    /// The first that changes nothing, with what would make it.
    pub fn heeds(&self, assignments: &[String], uses: Uses) -> Result<()> {
        let mut seen = BTreeSet::new();
        for assignment in assignments {
            let name = assignment.split('=').next().unwrap_or_default().trim();
            let idle = |expected: &str| Err(Error::setting(name, expected, "none; it would change nothing"));
            if !seen.insert(name) {
                return Err(Error::setting(name, "one value", "two"));
            }
            let (section, rest) = name.split_once('.').unwrap_or((name, ""));
            let detector = DetectorName::ALL.into_iter().find(|d| d.name() == section);
            if detector.is_some_and(|detector| !self.detectors.contains(&detector)) {
                return idle(&format!("a detector that looks at it (--detector {section})"));
            }
            let luma = match detector {
                Some(DetectorName::Content) => self.content.luma_only,
                Some(DetectorName::Adaptive) => self.adaptive.luma_only,
                _ => false,
            };
            if luma && rest.starts_with("weights") {
                return idle(&format!("a detector that looks at it ({section}.luma_only=false)"));
            }
            if ["group", "labels"].contains(&section) && !uses.model {
                return idle("a model that looks at it (--model DIR)");
            }
            if section == "sample" && !uses.frames {
                return idle("somebody who looks at frames (--model, --caption-model or --format report)");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_nothing_is_refused() {
        let heeds = |words: &[&str], model: bool, frames: bool| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            let settings = SceneSettings::load(None, &words).unwrap();
            settings.heeds(&words, Uses { model, frames }).map_err(|e| e.to_string())
        };
        for fine in [
            &["adaptive.window_width=3", "gradual.max_frames=0", "shots.gradual=cut"][..],
            &["detectors=[\"content\", \"transnet\"]", "content.threshold=30", "transnet.threshold=0.4"],
            &["group.window=5", "labels.top=2", "sample.every=1"],
        ] {
            heeds(fine, true, true).unwrap();
        }
        for (idle, model, frames, what) in [
            (&["content.threshold=30"][..], true, true, "content.threshold: expected a detector"),
            (&["transnet.threshold=0.4"], true, true, "--detector transnet"),
            (&["adaptive.luma_only=true", "adaptive.weights.hue=2"], true, true, "adaptive.luma_only=false"),
            (&["group.window=5"], false, true, "--model DIR"),
            (&["labels.top=5"], false, true, "--model DIR"),
            (&["sample.thumbnail=100"], false, false, "--format report"),
            (&["hash.size=8", "hash.size=9"], true, true, "hash.size"),
        ] {
            let said = heeds(idle, model, frames).unwrap_err();
            assert!(said.contains(what) && said.lines().count() == 1, "{idle:?}: {said}");
        }
    }
}
