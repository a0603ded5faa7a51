//! What is measured while training, and which checkpoint is the best one.

use crate::events::Event;
use crate::setup::Manifests;
use crate::tracking::EvalLine;
use crate::{Error, Learner, Recipe, Result};
use std::collections::BTreeMap;
use unisono_datasets::Skip;
use unisono_eval::captioning::PreparedCaptions;
use unisono_eval::metrics::RetrievalMetrics;
use unisono_eval::protocol::{Prepared, Skipped};
use unisono_eval::stats::Bootstrap;

/// Items that an evaluation embeds at once.
const EVAL_BATCH: usize = 256;
/// Items that an evaluation captions at once.
const CAPTION_BATCH: usize = 64;

/// The evaluations of a run.
pub(crate) struct Evaluation {
    protocols: Vec<Prepared>,
    captions: Vec<PreparedCaptions>,
}

impl Evaluation {
    pub(crate) fn new(
        recipe: &Recipe,
        model: &Learner,
        manifests: &mut Manifests,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        let protocols = prepare_protocols(recipe, model, manifests, tell)?;
        Ok(Self { protocols, captions: prepare_captions(recipe, model, manifests, tell)? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.protocols.is_empty() && self.captions.is_empty()
    }

    pub(crate) fn run(&self, model: &Learner, step: u64, seconds: f64) -> Result<EvalLine> {
        evaluate(&self.protocols, &self.captions, model, step, seconds)
    }
}

fn prepare_captions(
    recipe: &Recipe,
    model: &Learner,
    manifests: &mut Manifests,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<PreparedCaptions>> {
    let mut out = Vec::new();
    for p in &recipe.evaluate.captions {
        let Some(fusion) = model.fusion() else {
            return Err(Error::setting(
                "evaluate.captions",
                "needs a [fusion] table: towers write no captions",
            ));
        };
        let prepared = PreparedCaptions::new(p, &*manifests.get(&p.manifest)?, fusion, &recipe.limits)?;
        tell(Event::Note(format!("captions {}: {} {}", p.name, prepared.len(), p.from)));
        for Skipped { id, reason } in &prepared.skipped {
            tell(Event::Skipped(&Skip { id: id.clone(), reason: reason.clone(), first: true }));
        }
        out.push(prepared);
    }
    Ok(out)
}

fn prepare_protocols(
    recipe: &Recipe,
    model: &Learner,
    manifests: &mut Manifests,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Prepared>> {
    let mut out = Vec::new();
    for p in &recipe.evaluate.protocol {
        let prepared = Prepared::new(p, &*manifests.get(&p.manifest)?, model.towers(), &recipe.limits)?;
        let (asking, answering) = (prepared.queries.items.len(), prepared.gallery.items.len());
        tell(Event::Note(format!("evaluation {}: {asking} {} ask {answering} {}", p.name, p.from, p.to)));
        for Skipped { id, reason } in &prepared.skipped {
            tell(Event::Skipped(&Skip { id: id.clone(), reason: reason.clone(), first: true }));
        }
        out.push(prepared);
    }
    Ok(out)
}

fn evaluate(
    protocols: &[Prepared],
    captions: &[PreparedCaptions],
    model: &Learner,
    step: u64,
    seconds: f64,
) -> Result<EvalLine> {
    let bootstrap = Bootstrap::default();
    let mut results: BTreeMap<String, RetrievalMetrics> = BTreeMap::new();
    for p in protocols {
        results.insert(p.protocol.name.clone(), p.run(model.towers(), EVAL_BATCH, &bootstrap)?.metrics);
    }
    let mut written = BTreeMap::new();
    for p in captions {
        if let Some(fusion) = model.fusion() {
            let (scores, _) = p.run(fusion, &fusion.config().generation, CAPTION_BATCH)?;
            written.insert(p.protocol.name.clone(), scores);
        }
    }
    let recall = results.values().map(|m| m.r5.value).sum::<f64>() / results.len().max(1) as f64;
    let cider = written.values().map(|s| s.cider_d).sum::<f64>() / written.len().max(1) as f64;
    // CIDEr-D goes to 10.
    Ok(EvalLine { step, score: recall + cider / 10.0, protocols: results, captions: written, seconds })
}
