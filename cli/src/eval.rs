//! `unisono eval`.

mod args;
mod check;

use crate::{error::Error, out, style};
use args::Args;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use unisono_datasets::{Manifest, Skip};
use unisono_encoders::{Modality, Model, Role};
use unisono_eval::Error as EvalError;
use unisono_eval::metrics::RetrievalMetrics;
use unisono_eval::protocol::{Captions, Reading, Spoken};
use unisono_eval::retrieval::Retrieval;
use unisono_eval::stats::Bootstrap;
use unisono_eval::table;
use unisono_torch_ext::cuda;

/// Measure a model.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Retrieval: R@1/5/10, median rank, chance, with 95 % bootstrap intervals.
    ///
    /// Every record asks. Right are items of the same label (or record), of the same file, and with the same words in one language; R@k is
    /// the share of queries with a right answer among the first k.
    Retrieval(Args),
}

#[derive(Serialize)]
struct Row<'a> {
    model: &'a Path,
    protocol: Retrieval,
    metrics: RetrievalMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_control: Option<RetrievalMetrics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_language_control: Option<RetrievalMetrics>,
    /// How many media could not be used, and which.
    skipped: usize,
    skipped_media: Vec<Skip>,
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    let Command::Retrieval(args) = command;
    let reading = Reading { limits: args.limits.get(), ffmpeg: args.ffmpeg.as_deref(), memo: None };
    let source = args.layout.of(&args.data)?;
    let mut unread = Vec::new();
    let manifest = Manifest::of(&*crate::source::open(&source)?, &mut unread);
    check::manifest(args, &manifest)?;
    let device = cuda::device(&args.device)?;
    let dir = crate::place::model(&args.model)?;
    // Captions ask, files answer, as in a search.
    let mut model = Model::load_as(&dir, Some(Role::Query), device).map_err(EvalError::from)?;
    args.texts.set(&mut model).map_err(EvalError::from)?;
    let pairs = pairs(args, &manifest, &model);
    if pairs.is_empty() {
        return Err(Error::Failed(format!(
            "{}: split {:?} has no two modalities that the model embeds ({})",
            source.name(),
            args.split,
            model.embeds().iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
        )));
    }
    check::pairs(args, &manifest, &pairs)?;
    match pairs.iter().any(|(from, to)| [from, to].contains(&&Modality::Text)) {
        true => args.texts.note(&model, "captions"),
        false => args.texts.no_prompt("no captions take part in what is measured")?,
    }
    let spoken = |split: &String| Spoken::measure(&manifest, split, &reading);
    let spoken = args.duration_control.as_ref().map(spoken).transpose()?;
    let mut rows = Vec::new();
    let mut named = BTreeSet::new();
    name(&unread, &mut named);
    for (from, to) in pairs {
        let protocol = Retrieval {
            name: args.split.clone(),
            source: source.clone(),
            split: args.split.clone(),
            distractors: args.distractors.clone(),
            from,
            to,
            query_lang: args.query_lang.clone(),
            gallery_lang: args.gallery_lang.clone(),
            same_lang: args.same_lang,
            captions: match (args.all_captions, args.joined_captions) {
                (true, _) => Captions::All,
                (_, true) => Captions::Joined,
                _ => Captions::First,
            },
        };
        let mut skipped = Vec::new();
        let measured = protocol
            .task(&manifest, &model, &reading)
            .and_then(|task| task.run(&model, args.batch as usize, &Bootstrap::default(), &mut skipped));
        name(&skipped, &mut named);
        let found = match measured {
            // Of all pairs, those that have nothing in common are none.
            Err(e @ (EvalError::NoRelevant { .. } | EvalError::NothingToEmbed { .. }))
                if args.from.is_none() =>
            {
                out::note(&format!("note: {from} → {to} is not measured: {e}"));
                continue;
            }
            measured => measured?,
        };
        let controls = match &spoken {
            Some(spoken) => found.duration_control(spoken, &Bootstrap::default())?,
            None => None,
        };
        if found.metrics.chance_r1 >= 1.0 {
            out::note(&format!(
                "note: {from} → {to}: every item of the gallery is right, so this measures nothing"
            ));
        }
        let (duration_control, duration_language_control) =
            controls.map(|c| (c.duration, c.with_language)).unzip();
        rows.push(Row {
            model: &args.model,
            protocol,
            metrics: found.metrics,
            duration_control,
            duration_language_control,
            skipped: skipped.len(),
            skipped_media: skipped,
        });
    }
    if rows.is_empty() {
        return Err(Error::Failed(format!("{}: none of these pairs can be measured", source.name())));
    }
    if named.len() > NAMED {
        let more = style::count(named.len() - NAMED, "record");
        out::note(&format!("  left out {more} more (--json lists them all)"));
    }
    if args.json {
        return out::json(&rows);
    }
    let mut lines: Vec<(&str, &RetrievalMetrics)> = Vec::new();
    for row in &rows {
        lines.push((&row.protocol.name, &row.metrics));
        lines.extend(row.duration_control.as_ref().map(|c| ("  duration alone", c)));
        lines.extend(row.duration_language_control.as_ref().map(|c| ("  duration and language", c)));
    }
    out::print(&table::recalls(&lines))
}

/// Media that were left out and are named in full.
const NAMED: usize = 10;

/// Names what was left out: each once, though several pairs want it.
fn name(skipped: &[Skip], named: &mut BTreeSet<(String, String)>) {
    for s in skipped {
        if named.insert((s.id.clone(), s.reason.clone())) && named.len() <= NAMED {
            out::note(&format!("  left out {}: {}", s.id, s.reason));
        }
    }
}

/// The pair asked for, or every ordered pair of which the split and the model have both sides.
fn pairs(args: &Args, manifest: &Manifest, model: &Model) -> Vec<(Modality, Modality)> {
    if let (Some(from), Some(to)) = (args.from, args.to) {
        return vec![(from, to)];
    }
    let records = manifest.split(&args.split);
    let present = |m: &Modality| records.iter().any(|r| check::has(r, *m));
    let there: Vec<Modality> = model.embeds().into_iter().filter(present).collect();
    let others = |a: Modality| there.iter().filter(move |b| **b != a).map(move |b| (a, *b));
    there.iter().flat_map(|a| others(*a)).collect()
}
