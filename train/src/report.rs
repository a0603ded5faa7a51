//! A run's report: its curves, its recalls on held-out data with controls, examples that nobody chose, and where time went.
//!
//! What is measured and gathered is here; [`unisono_eval::report`] makes the page of it.

mod captions;
mod run;
mod search;
mod show;

pub use run::Context;

use crate::setup::Sources;
use crate::tracking;
use crate::{Error, Result, Summary, checkpoint};
use show::{BATCH, HITS, Show};
use std::collections::HashMap;
use std::path::Path;
use tch::Device;
use unisono_datasets::SourceConfig;
use unisono_encoders::{Modality, Model, Precision};
use unisono_eval::memo::Memo;
use unisono_eval::protocol::{Reading, Spoken};
use unisono_eval::report::{RecallRow, ReportData};
use unisono_eval::stats::Bootstrap;

/// Measures the best checkpoint of `run` on the protocols of its recipe's `[report]` and gathers the page.
///
/// # Errors
/// No checkpoint, or data that cannot be read.
pub fn gather_report(run: &Path, context: &Context, tell: &mut dyn FnMut(String)) -> Result<ReportData> {
    let Some(progress) = checkpoint::progress(run)? else {
        return Err(Error::Run {
            path: run.into(),
            message: "holds no training; `unisono train RECIPE --out` makes one".into(),
        });
    };
    let recipe = run::recipe_of(run, progress.recipe)?;
    let summary: Summary = unisono_processors::read_json(&run.join("summary.json"))?;
    let mut model = Model::load(&checkpoint::model_dir(run), Device::Cpu)?;
    model.prepare(Precision::Fp32)?;
    let limits = recipe.limits;
    let mut show = Show { model, limits, sources: Sources::default(), thumbnails: HashMap::new() };
    let lines = tracking::read(&run.join("metrics.jsonl"))?;

    // Recordings that four protocols ask about are heard once.
    let memo = Memo::default();
    let (mut recall, mut mistakes) = (Vec::new(), Vec::new());
    let mut spoken: Vec<(SourceConfig, Spoken)> = Vec::new();
    for p in recipe.report.retrieval() {
        tell(format!("measuring {}: {} to {}", p.name, p.from, p.to));
        let source = show.sources.get(&p.source)?;
        let reading = Reading { limits: show.limits, ffmpeg: None, memo: Some(&memo) };
        let task = p.task(&*source, &show.model, &reading)?;
        let found = task.run(&show.model, BATCH, &Bootstrap::default(), &mut Vec::new())?;
        let controls = if p.from == Modality::Audio || p.to == Modality::Audio {
            let at = match spoken.iter().position(|(source, _)| *source == p.source) {
                Some(at) => at,
                None => {
                    let measured = Spoken::measure(&*source, "train", &reading)?;
                    spoken.push((p.source.clone(), measured));
                    spoken.len() - 1
                }
            };
            found.duration_control(&spoken[at].1, &Bootstrap::default())?
        } else {
            None
        };
        if mistakes.len() < HITS {
            mistakes.extend(show.mistakes(&found)?);
        }
        let (control, language_control) = controls.map(|c| (c.duration, c.with_language)).unzip();
        recall.push(RecallRow {
            protocol: p.name.clone(),
            metrics: found.metrics,
            control,
            language_control,
        });
    }
    mistakes.truncate(HITS);
    tell("searching".into());
    let (mut searches, mut spoken_searches, mut audio_to_text) = (Vec::new(), Vec::new(), Vec::new());
    for c in &recipe.report.search {
        searches.extend(show.text_to_images(c)?);
    }
    for c in &recipe.report.spoken {
        let (to_images, to_texts) = show.spoken(c)?;
        spoken_searches.extend(to_images);
        audio_to_text.extend(to_texts);
    }
    let (written, cards) = show.captions(run, &memo, tell)?;
    let header = run::header(&recipe, &summary, context, &mut show.sources)?;
    show.sources.notes().into_iter().for_each(tell);
    Ok(ReportData {
        captions: written,
        captioned: cards,
        header,
        headlines: run::headlines(&recall),
        curves: Some(run::curves(&lines, summary.best.map(|(_, step)| step))),
        recall,
        searches,
        spoken: spoken_searches,
        audio_to_text,
        mistakes,
        time: Some(run::time(&summary, context)),
        notes: Some(run::notes(&recipe, run)),
    })
}
