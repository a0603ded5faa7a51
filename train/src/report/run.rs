//! What the run itself says: its head, its curves, its times, how its numbers were made.

use crate::setup::Sources;
use crate::tracking::Line;
use crate::watched::Watched;
use crate::{Recipe, Result, Summary};
use std::path::Path;
use unisono_eval::protocol::Outcome;
use unisono_eval::report::{
    Curves, DataSet, Fact, Header, Headline, Notes, RecallPoint, RecallRow, Throughput, TimeSpent,
    TrainPoint, ValPoint,
};
use unisono_eval::stats::Estimate;
use unisono_page::number::{duration, thousands};

/// What the caller knows and the run does not.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Stages before and after training with their wall seconds.
    pub stages: Vec<(String, f64)>,
    /// The day, as people write it.
    pub date: Option<String>,
    /// The command that made the run.
    pub command: Option<String>,
}

/// The recipe as the run's directory has it: its `[report]` and `[limits]` may be edited after the training.
pub(super) fn recipe_of(run: &Path, trained: Recipe) -> Result<Recipe> {
    let path = run.join("recipe.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let edited = Recipe::parse(&text, &path)?;
            Ok(Recipe { report: edited.report, limits: edited.limits, ..trained })
        }
        Err(_) => Ok(trained),
    }
}

pub(super) fn header(
    recipe: &Recipe,
    summary: &Summary,
    context: &Context,
    sources: &mut Sources,
) -> Result<Header> {
    let mut data_sets = Vec::new();
    for d in &recipe.report.data_set {
        let counts =
            sources.get(&d.source)?.splits().into_iter().map(|(split, n)| (split, n as u64)).collect();
        data_sets.push(DataSet {
            name: d.name.clone(),
            counts,
            licence: d.licence.clone(),
            source: Some(d.origin.clone()),
        });
    }
    let mut facts = vec![
        Fact::new("Parameters", format!("{:.2} million", summary.parameters as f64 / 1e6)),
        Fact::new("Steps", thousands(summary.step)),
        Fact::new("Samples", thousands(summary.samples)),
        Fact::new("Training", duration(summary.seconds)),
        Fact::new("Machine", format!("{}, {} threads", summary.device, summary.threads)),
        Fact::new("Seed", recipe.seed),
    ];
    // Runs of earlier versions did not count it.
    if !summary.energy.how.is_empty() {
        facts.push(Fact::new("Energy", &summary.energy));
    }
    let watched = |(name, watched): (&String, &Watched)| {
        let fell = if watched.fell { ", fell" } else { "" };
        Fact::new(format!("Watched: {name}"), format!("{}{fell}", watched.shown()))
    };
    facts.extend(summary.canary.iter().map(watched));
    let title = if recipe.report.title.is_empty() { "Unisono: a run" } else { &recipe.report.title };
    Ok(Header {
        title: title.to_owned(),
        subtitle: Some(
            "Text, images and speech in one embedding space: one checkpoint gave every number here.".into(),
        ),
        date: context.date.clone(),
        facts,
        data_sets,
        command: context.command.clone(),
    })
}

pub(super) fn headlines(rows: &[RecallRow]) -> Vec<Headline> {
    rows.iter().take(4).map(|r| Headline::recall(r, if r.metrics.gallery > 500.0 { 5 } else { 10 })).collect()
}

pub(super) fn curves(lines: &[Line], best_step: Option<u64>) -> Curves {
    let mut curves = Curves { train: Vec::new(), val: Vec::new(), best_step };
    for line in lines {
        match line {
            Line::Train(t) => curves.train.push(TrainPoint {
                step: t.step,
                loss: t.loss,
                lr: Some(t.lr),
                pairs: t.pairs.iter().map(|(k, v)| (k.replace('_', "–"), *v)).collect(),
                norms: std::iter::once(("all".to_owned(), t.grad_norm))
                    .chain(t.grad_norms.iter().map(|(k, v)| (k.replace('_', " "), *v)))
                    .collect(),
                scales: t.logit_scales.iter().map(|(k, v)| (k.replace('_', "–"), *v)).collect(),
            }),
            Line::Eval(e) => curves.val.push(ValPoint {
                step: e.step,
                recalls: e.outcomes.iter().filter_map(|(name, o)| point(name, o)).collect(),
            }),
            // The first is what the run began from; the others are of steps that are evaluated, or of little besides.
            Line::Canary(c) if c.step == 0 => curves.val.push(ValPoint {
                step: 0,
                recalls: c.outcomes.iter().filter_map(|(name, o)| point(name, o)).collect(),
            }),
            Line::Canary(_) => {}
        }
    }
    curves
}

/// R@5 of a protocol that has it.
fn point(protocol: &str, outcome: &Outcome) -> Option<RecallPoint> {
    let r5 = outcome.metrics.get("r5")?;
    let value =
        Estimate { value: r5.value, low: r5.low.unwrap_or(r5.value), high: r5.high.unwrap_or(r5.value) };
    Some(RecallPoint { name: format!("{protocol} R@5"), value, chance: r5.chance })
}

pub(super) fn time(summary: &Summary, context: &Context) -> TimeSpent {
    let part = |name: &str| summary.parts.get(name).copied().unwrap_or(0.0);
    let in_loop: f64 = ["data_wait", "forward", "backward", "optimizer"].into_iter().map(part).sum();
    let wait = 100.0 * part("data_wait") / in_loop.max(1e-9);
    let verdict = if wait <= 10.0 {
        format!("The loop waited for data {wait:.1} % of its time: the arithmetic is the limit.")
    } else {
        format!(
            "The loop waited for data {wait:.1} % of its time: decoding is the limit; more workers or a larger cache help."
        )
    };
    let names = ["forward", "backward", "optimizer", "data_wait", "evaluate", "checkpoint", "start"];
    TimeSpent {
        stages: context.stages.clone(),
        training: names.into_iter().map(|n| (n.replace('_', " "), part(n))).collect(),
        throughput: Some(Throughput { reached: summary.gflops, machine: summary.machine_gflops }),
        verdict: Some(verdict),
    }
}

pub(super) fn notes(recipe: &Recipe, run: &Path) -> Notes {
    let own = "Every protocol's items are held out: no near-copy of them was trained on. R@k is the share of queries whose first right answer is among the k nearest; \
               intervals are 95 % bootstrap intervals that resample things, not queries; chance is exact for the gallery's size.";
    let control = "The duration control never hears anything: it predicts a clip's length from a caption's and ranks by the difference. A speech result means something only beside it. \
                   The second control is also told the clip's language, and knows from the training clips how fast each is spoken.";
    let examples = "Searches and recordings shown were drawn by a hash of their ids, not chosen; the checkpoint is the one that scored best on the validation protocols.";
    Notes {
        paragraphs: vec![own.into(), control.into(), examples.into()],
        commands: vec!["cargo xtask quickstart".into(), format!("unisono report --run {}", run.display())],
        facts: vec![Fact::new("Seed", recipe.seed), Fact::new("Recipe", run.join("recipe.toml").display())],
    }
}
