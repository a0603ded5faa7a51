//! Captions that the page shows.

use super::run::recipe_of;
use super::show::{BATCH, Show, carried, spread};
use crate::{Result, checkpoint};
use std::path::Path;
use tch::Device;
use unisono_encoders::{Modality, Precision};
use unisono_eval::memo::Memo;
use unisono_eval::protocol::Reading;
use unisono_eval::report::{CaptionCard, CaptionRow, Query};
use unisono_fusion::FusionModel;

/// Items that are captioned at once.
const CAPTIONS: usize = 64;
/// Captions shown of a protocol.
const CARDS: usize = 6;

impl Show {
    /// Captions by the run's own fusion part, or by that of the run `fusion` inside it.
    pub(super) fn captions(
        &mut self,
        run: &Path,
        memo: &Memo,
        tell: &mut dyn FnMut(String),
    ) -> Result<(Vec<CaptionRow>, Vec<CaptionCard>)> {
        let inner = run.join("fusion");
        let fused = |run: &Path| unisono_fusion::files::has(&checkpoint::model_dir(run));
        // The towers of a second stage may have gone on learning.
        let own = Memo::default();
        let both = [(run, memo), (inner.as_path(), &own)];
        let Some((run, memo)) = both.into_iter().find(|(r, _)| fused(r)) else {
            return Ok(Default::default());
        };
        let Some(progress) = checkpoint::progress(run)? else { return Ok(Default::default()) };
        let recipe = recipe_of(run, progress.recipe)?;
        let mut model = FusionModel::load(&checkpoint::model_dir(run), Device::Cpu)?;
        model.prepare(Precision::Fp32)?;
        let options = model.config().generation.clone();
        let (mut rows, mut cards) = (Vec::new(), Vec::new());
        for p in recipe.report.captioning() {
            tell(format!("captions {}", p.name));
            let source = self.sources.get(&p.source)?;
            let reading = Reading { limits: recipe.limits, ffmpeg: None, memo: Some(memo) };
            let (task, mut skipped) = (p.task(&*source, &model, &reading)?, Vec::new());
            let (scores, mut captioned) = task.run(&model, &options, CAPTIONS, &mut skipped)?;
            let baselines = task.baselines(&*source, &model, BATCH, &mut skipped)?;
            rows.push(CaptionRow {
                protocol: p.name.clone(),
                model: scores,
                nearest: baselines.nearest,
                frequent: baselines.frequent,
            });
            captioned.sort_by_key(|c| (spread(&c.id), c.id.clone()));
            for c in captioned.into_iter().take(CARDS) {
                let query = if p.from == Modality::Image {
                    Query::Image { media: self.image(&c.blob)?, text: None }
                } else {
                    let media = carried(&c.blob)?;
                    Query::Audio { media, text: None, lang: None, seconds: None }
                };
                let truth = c.references.first().cloned().unwrap_or_default();
                cards.push(CaptionCard { query, caption: c.caption, truth });
            }
        }
        Ok((rows, cards))
    }
}
