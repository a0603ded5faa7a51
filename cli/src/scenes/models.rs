//! The models of `unisono scenes`.

use crate::error::Error;
use crate::inputs::DeviceArg;
use crate::place;
use std::path::{Path, PathBuf};
use unisono_encoders::{Precision, Role};
use unisono_fusion::FusionModel;
use unisono_fusion::speech::Transcription;
use unisono_jobs::scenes::Models;
use unisono_jobs::{Device, Embedder, Error as JobError, identity, identity_with_fusion};
use unisono_scenes::settings::SceneSettings;

/// What looks at the scenes; each is optional, and what none can do is left out.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Models")]
pub(super) struct ModelArgs {
    /// A model of the shared space: scenes are grouped by it, labelled, and found by unisono search
    #[arg(long, value_name = "DIR_OR_ID")]
    pub(super) model: Option<PathBuf>,
    /// A model that writes captions
    #[arg(long, value_name = "DIR_OR_ID")]
    pub(super) caption_model: Option<PathBuf>,
    /// A speech model that writes down what is said
    #[arg(long, value_name = "DIR_OR_ID")]
    pub(super) speech_model: Option<PathBuf>,
    /// The language that is spoken, by its code (de) [default: found out]
    #[arg(long, value_name = "CODE", requires = "speech_model")]
    pub(super) language: Option<String>,
    /// The audio track that is heard where a video has several, counted from 1 [default: the container's own choice]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) audio_track: Option<u16>,
    /// A label set for --model, shipped (places, objects, actions, moods, sounds, emotions, voices) or a file; may be given several times
    /// [default: the first five]
    #[arg(long = "labels", value_name = "SET")]
    pub(super) labels: Vec<String>,
    /// Folder of TransNetV2's weights, for --detector transnet [default: set-up's]
    #[arg(long, value_name = "DIR")]
    pub(super) transnet: Option<PathBuf>,
    /// Arithmetic of these models: fp32, bf16 or int8 [default: fp32]
    #[arg(long, value_name = "PRECISION")]
    pub(super) precision: Option<Precision>,
    #[command(flatten)]
    pub(super) device: DeviceArg,
}

impl ModelArgs {
    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        self.model.is_some() || self.caption_model.is_some() || self.speech_model.is_some()
    }

    pub(super) fn load(&self, settings: &SceneSettings, device: Device) -> Result<Models, Error> {
        let (mut models, precision) = (Models::default(), self.precision.unwrap_or_default());
        models.arithmetic(&format!("{:?}", precision));
        let prepared = |dir: &Path| -> Result<FusionModel, Error> {
            let mut model = unisono_fusion::import::load(dir, device).map_err(JobError::from)?.model;
            model.prepare(precision).map_err(JobError::from)?;
            Ok(model)
        };
        let named = |dir: &Path, e: JobError| match e {
            e @ JobError::Fusion(_) => Error::Failed(format!("{}: {e}", dir.display())),
            e => e.into(),
        };
        if let Some(model) = &self.model {
            let dir = place::model(model)?;
            // Labels ask, what is seen and heard answers.
            let loaded = unisono_encoders::families::load_as(&dir, Some(Role::Query), device);
            let mut loaded = loaded.map_err(JobError::from)?.model;
            loaded.prepare(precision).map_err(JobError::from)?;
            models.embed(Embedder::new(loaded), &dir, identity(&dir)?, &settings.labels)?;
        }
        if let Some(model) = &self.caption_model {
            let dir = place::model(model)?;
            let loaded = prepared(&dir)?;
            let generation = loaded.config().generation.clone();
            models.caption(loaded, generation, identity_with_fusion(&dir)?).map_err(|e| named(&dir, e))?;
        }
        if let Some(model) = &self.speech_model {
            let dir = place::model(model)?;
            let loaded = prepared(&dir)?;
            let mut options = Transcription::new(loaded.config().generation.clone());
            if let Some(language) = &self.language {
                // Without it first: what is wrong with the model is no wrong usage.
                loaded.check_speech(&options).map_err(|e| named(&dir, e.into()))?;
                options.language = Some(language.clone());
                loaded
                    .check_speech(&options)
                    .map_err(|e| Error::Usage(format!("--language {language}: {e}")))?;
            }
            models.transcribe(loaded, options, identity_with_fusion(&dir)?).map_err(|e| named(&dir, e))?;
        }
        Ok(models)
    }
}
