//! Second views of a record's media, for pairs within a modality: another of its texts, its image changed otherwise.

use super::{Preparer, Sample};
use crate::pick;
use crate::streams::Streams;
use crate::{Error, Result};
use unisono_datasets::rng::Purpose;
use unisono_datasets::{Draw, Record};
use unisono_encoders::Modality;
use unisono_processors::Medium;

impl Preparer {
    /// The second views of what a sample has, of the modalities that the objective wants twice. They are drawn with streams of their own: a function of
    /// the draw.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub(super) fn again(
        &self,
        draw: &Draw,
        r: &Record,
        sample: &Sample,
        streams: &Streams,
    ) -> Result<Vec<Sample>> {
        let streams = Streams { key: streams.key ^ pick::hash("again"), ..*streams };
        let mut again = Vec::new();
        for modality in self.twice.iter().filter(|m| sample.has(**m)) {
            let mut of = Sample::new(sample.source, &sample.id, sample.label);
            match (modality, &r.image) {
                (Modality::Text, _) => {
                    let first = sample.caption.as_deref().unwrap_or_default();
                    let (told, rng) = (&self.given.told, &mut streams.of(Purpose::Pick));
                    let other = match told.of(draw.share) {
                        true => told.pick(draw.share, r, first, rng),
                        false => pick::another(r, &self.sources[draw.share].caption, first, rng),
                    };
                    let Some(caption) = other else { continue };
                    self.read(draw, r, caption, &mut of, &streams)?;
                }
                (Modality::Image, Some(blob)) => {
                    let medium = Medium::Image(blob);
                    self.follow((draw.share, r), &medium, &mut of)?;
                    self.look(medium, &mut of, &streams)?;
                }
                _ => continue,
            }
            again.push(of);
        }
        Ok(again)
    }

    /// Refuses a sample that nothing can be learned from.
    pub(super) fn enough(&self, draw: &Draw, sample: &Sample) -> Result<()> {
        let has = [Modality::Text, Modality::Image, Modality::Audio].map(|m| sample.has(m));
        match has.iter().filter(|has| **has).count() {
            0 => {}
            1 if sample.again.is_empty() => {
                if sample.has(Modality::Text) && self.twice.contains(&Modality::Text) {
                    let message = match self.sources[draw.share].caption.second_lang.as_deref() {
                        Some(lang) => format!(
                            "no text of language {lang:?} is of its label, and text_text pairs it with one"
                        ),
                        None => {
                            "one text, and text_text pairs two of a record: give it another, or leave it out"
                                .into()
                        }
                    };
                    return Err(Error::setting(sample.id.clone(), message));
                }
            }
            _ => return Ok(()),
        }
        Err(Error::setting(sample.id.clone(), "fewer than two modalities that this model has"))
    }
}
