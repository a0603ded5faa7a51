//! A sentence about each image, audio or video.

use super::{Task, tokens};
use crate::{Batch, Flow, Outcome, Result};
use serde::Serialize;
use unisono_fusion::{Ability, FusionModel, Generation};

/// Write a sentence about each image, audio or video.
pub struct Caption<'a> {
    /// How every caption begins, such as "a photo of".
    pub prompt: String,
    /// How texts are written; [`Caption::new`] takes the model's own settings.
    pub generation: Generation,
    /// Is told a caption word by word, as it comes: for one item at a time and one beam.
    pub words: Option<&'a mut dyn FnMut(&str)>,
}

impl Caption<'_> {
    /// As the model's own settings say, without a prompt.
    pub fn new(model: &FusionModel) -> Self {
        Self { prompt: String::new(), generation: model.config().generation.clone(), words: None }
    }
}

/// A caption.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Captioned {
    /// The sentence, with what every caption begins with.
    pub caption: String,
    /// The mean log-probability of its tokens; of a beam search, the beam's score.
    pub score: f64,
}

impl Task for Caption<'_> {
    type Value = Captioned;
    const STAGE: &'static str = "caption";
    const ABILITY: Ability = Ability::Caption;

    fn check(&self, model: &FusionModel) -> Result<()> {
        if !self.prompt.is_empty() {
            model.fits("a prompt", &self.prompt)?;
        }
        Ok(())
    }

    fn settings(&self) -> String {
        format!("{:?} {:?}", self.generation, self.prompt)
    }

    fn run(
        &mut self,
        model: &FusionModel,
        batch: Batch<'_>,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Outcome<Captioned>>> {
        let prompt = model.caption_prompt(&self.prompt)?;
        let memory = model.cross_kv(&tokens(model, batch.inputs)?)?;
        let mut text = Growing::default();
        if let (Some(words), false) = (&mut self.words, self.prompt.is_empty()) {
            words(&format!("{} ", self.prompt));
        }
        let mut streamer = |new: &[(usize, i64)]| {
            if let Some(words) = &mut self.words {
                new.iter().filter_map(|(_, id)| text.push(model, *id)).for_each(|more| words(&more));
            }
            go_on().into()
        };
        let made = model.caption(&memory, &prompt, &self.generation, batch.first, Some(&mut streamer))?;
        let one = |t| Ok(Ok(Captioned { caption: model.decode(t)?, score: t.score }));
        made.iter().map(one).collect()
    }
}

/// A text as its tokens come.
#[derive(Default)]
struct Growing {
    ids: Vec<u32>,
    shown: String,
}

impl Growing {
    /// What a token adds; nothing while a character's bytes are not all there.
    fn push(&mut self, model: &FusionModel, id: i64) -> Option<String> {
        self.ids.extend(u32::try_from(id).ok());
        let text = model.text().ok()?.tokenizer().decode(&self.ids, true).ok()?;
        let text = text.replace("</w>", " ");
        let whole = text.trim_end_matches('\u{fffd}').trim();
        let more = whole.strip_prefix(self.shown.as_str())?.to_owned();
        whole.clone_into(&mut self.shown);
        Some(more)
    }
}
