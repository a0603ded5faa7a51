//! Between text and the ids of speech, and what is refused before any audio file is read.

use super::track::Track;
use super::{Segment, Transcription};
use crate::{Ability, Error, FusionModel, Result};

impl FusionModel {
    /// The text of a segment.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn segment_text(&self, segment: &Segment) -> Result<String> {
        let Some(speech) = &self.config().speech else { return Ok(String::new()) };
        let words = segment.ids.iter().filter(|id| **id < speech.no_timestamps);
        let ids: Vec<u32> = words.filter_map(|id| u32::try_from(*id).ok()).collect();
        let text = self.text()?.tokenizer().decode(&ids, true);
        Ok(text.map_err(|e| unisono_processors::Error::Tokenizer(e.to_string()))?)
    }

    /// The ids of text that comes before what is said.
    ///
    /// # Errors
    /// The tokenizer's, or a model that takes no such text.
    pub fn speech_prompt(&self, text: &str) -> Result<Vec<i64>> {
        let Some(speech) = &self.config().speech else { return Ok(Vec::new()) };
        if speech.previous.is_none() {
            return Err(Error::Config("this model takes no prompt: it has no token for earlier text".into()));
        }
        let encoding = self.text()?.tokenizer().encode_fast(format!(" {}", text.trim()), false);
        let encoding = encoding.map_err(|e| unisono_processors::Error::Tokenizer(e.to_string()))?;
        Ok(encoding.get_ids().iter().map(|i| i64::from(*i)).collect())
    }

    /// Refuses a language or task that the model does not have, and a model without its tokenizer, before any audio file is read.
    ///
    /// # Errors
    /// Says what there is.
    pub fn check_speech(&self, options: &Transcription) -> Result<()> {
        self.require(Ability::Transcribe)?;
        self.text()?;
        let Some(speech) = &self.config().speech else { return Ok(()) };
        if !options.window.is_whole() && !self.towers().cuts_windows() {
            return Err(Error::Config(
                "this model's windows cannot be cut: its audio tower hears whole ones only".into(),
            ));
        }
        self.languages(
            &mut [Track::new(&[], 1)],
            speech,
            &Transcription {
                language: Some(options.language.clone().unwrap_or_else(|| {
                    speech.languages.keys().next().cloned().unwrap_or_else(|| "en".into())
                })),
                ..options.clone()
            },
            &mut || Ok(()),
        )?;
        self.prompt(&Track::new(&[], 1), speech, options).map(|_| ())
    }
}
