//! Options that would do nothing, or contradict each other: refused before anything is done.

use super::{Args, Format};
use crate::error::Error;
use unisono_jobs::scenes::SceneInput;
use unisono_scenes::labels::LabelSet;
use unisono_scenes::settings::{SceneSettings, Uses};

impl Args {
    /// The settings as they are used.
    pub(super) fn settings(&self) -> Result<SceneSettings, Error> {
        for (given, option, name) in [
            (!self.detectors.is_empty(), "--detector", "detectors"),
            (!self.models.labels.is_empty(), "--labels", "labels.sets"),
        ] {
            let set = |assignment: &String| assignment.split('=').next().unwrap_or_default().trim() == name;
            if given && self.set.iter().any(set) {
                return usage(format!("{option} and --set {name}=… say the same; give one of them"));
            }
        }
        let mut settings = SceneSettings::load(self.settings.as_deref(), &self.set)
            .map_err(|e| Error::Usage(e.to_string()))?;
        if !self.detectors.is_empty() {
            settings.detectors.clone_from(&self.detectors);
        }
        if !self.models.labels.is_empty() {
            settings.labels.sets.clone_from(&self.models.labels);
        }
        settings.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok(settings)
    }

    /// Of what prints something and ends: options that it does not look at.
    pub(super) fn check_ending(&self) -> Result<(), Error> {
        let ending = match (self.print_settings, &self.write_labels) {
            (true, _) => "--print-settings",
            (_, Some(_)) => "--write-labels",
            _ => return Ok(()),
        };
        if self.models.device.named() {
            return usage(format!("--device does nothing with {ending}"));
        }
        if self.ffmpeg.is_some() {
            return usage(format!("--ffmpeg does nothing with {ending}"));
        }
        if self.max_total_pixels.is_some() {
            return usage(format!("--max-total-pixels does nothing with {ending}"));
        }
        self.limits.none(&format!("videos; it does nothing with {ending}"))?;
        Ok(())
    }

    /// Options without what they are for.
    pub(super) fn check(&self, settings: &SceneSettings) -> Result<(), Error> {
        let models = &self.models;
        if models.transnet.is_some() && !settings.learned() {
            return usage("--transnet is for --detector transnet, which is not asked for");
        }
        for (given, option) in
            [(models.precision.is_some(), "--precision"), (models.device.named(), "--device")]
        {
            if given && !models.any() {
                return usage(format!(
                    "{option} is for models: give --model, --caption-model or --speech-model"
                ));
            }
        }
        if !models.labels.is_empty() && models.model.is_none() {
            return usage("--labels is for --model, which is not given");
        }
        if models.model.is_some() {
            for set in &settings.labels.sets {
                LabelSet::load(set).map_err(|e| Error::Usage(e.to_string()))?;
            }
        }
        if self.formats.contains(&Format::None) && self.formats.len() > 1 {
            return usage("--format none is nothing but the JSON: give it alone");
        }
        let report = self.formats.is_empty() || self.formats.contains(&Format::Report);
        let frames = models.model.is_some() || models.caption_model.is_some() || report;
        let uses = Uses { model: models.model.is_some(), frames };
        settings.heeds(&self.set, uses).map_err(|e| Error::Usage(e.to_string()))
    }

    /// Options that no input is for.
    pub(super) fn check_sources(&self, sources: &[SceneInput]) -> Result<(), Error> {
        let none = |is: fn(&SceneInput) -> bool| !sources.is_empty() && !sources.iter().any(is);
        if self.rate.is_some() && none(|source| matches!(source, SceneInput::Folder(_))) {
            return usage(
                "--rate is for folders of images, and no input is one; videos and animations tell their own times",
            );
        }
        if self.clips.is_some() && none(|source| matches!(source, SceneInput::Video(_))) {
            return usage("--clips cuts videos, and no input is one");
        }
        Ok(())
    }
}

fn usage<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(message.into()))
}
