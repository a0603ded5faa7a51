//! Captions that stand beside the data they are of, as annotations.

use super::{Caption, Captioned, Task, Understander};
use crate::inputs::list_record;
use crate::{Batch, Error, Flow, Listing, Outcome, Result, Skip};
use serde::Serialize;
use unisono_datasets::Source;
use unisono_fusion::{Ability, FusionModel};

/// Writes a caption of each record, which is added to those that it has, or takes their place.
pub struct Recaption<'a> {
    /// How captions are written.
    pub caption: Caption<'a>,
    /// They take the place of what there is.
    pub replace: bool,
}

/// What an annotation says besides the id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recaptioned {
    /// The caption in place of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The caption beside others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_text: Option<String>,
    /// See [`Captioned::score`].
    pub caption_score: f64,
}

/// Of each record of a source the first medium that a model attends to: its image, its video, its first audio file.
///
/// # Errors
/// No record has one.
pub fn one_each(source: &dyn Source, model: &Understander) -> Result<Listing> {
    let sees = model.sees();
    let mut listing = Listing::default();
    for index in 0..source.len() {
        match source.record(index) {
            Ok(record) => {
                let mut own = Listing::default();
                list_record(&record, &sees, true, &mut own);
                listing.items.extend(own.items.iter().take(1));
                listing.skipped.extend(own.skipped.into_iter().take(usize::from(own.items.is_empty())));
            }
            Err(e) => listing.skipped.push(Skip { id: format!("record {index}"), reason: e.to_string() }),
        }
    }
    if listing.items.is_empty() && listing.skipped.is_empty() {
        let sees = sees.iter().map(|m| m.name()).collect::<Vec<_>>().join(" or ");
        return Err(Error::Input(format!("{}: no record has any {sees}", source.path().display())));
    }
    Ok(listing)
}

impl Task for Recaption<'_> {
    type Value = Recaptioned;
    const STAGE: &'static str = <Caption<'static> as Task>::STAGE;
    const ABILITY: Ability = <Caption<'static> as Task>::ABILITY;

    fn check(&self, model: &FusionModel) -> Result<()> {
        self.caption.check(model)
    }

    fn settings(&self) -> String {
        format!("{} annotations {}", self.caption.settings(), self.replace)
    }

    fn run(
        &mut self,
        model: &FusionModel,
        batch: Batch<'_>,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Outcome<Recaptioned>>> {
        let replace = self.replace;
        let said = |Captioned { caption, score }| {
            let (text, add_text) = if replace { (Some(caption), None) } else { (None, Some(caption)) };
            Recaptioned { text, add_text, caption_score: score }
        };
        let made = self.caption.run(model, batch, go_on)?;
        Ok(made.into_iter().map(|outcome| outcome.map(said)).collect())
    }
}
