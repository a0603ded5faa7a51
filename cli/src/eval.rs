//! `unisono eval`.

use crate::{error::Error, limits::LimitArgs, out};
use serde::Serialize;
use std::path::PathBuf;
use unisono_datasets::Manifest;
use unisono_encoders::{Modality, Model};
use unisono_eval::metrics::RetrievalMetrics;
use unisono_eval::protocol::{Captions, Prepared, Protocol, Spoken};
use unisono_eval::stats::Bootstrap;
use unisono_eval::table;
use unisono_torch_ext::cuda;

/// Measure a model.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Retrieval: R@1/5/10, median rank, chance, with 95 % bootstrap intervals.
    Retrieval(Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A model directory, or the directory of a run (its best checkpoint).
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The manifest, or MSR-VTT's own JSON or CSV file with the videos beside it.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Its split.
    #[arg(long, default_value = "test")]
    split: String,
    /// What asks: text, image, audio or video. Without --from and --to every pair is measured.
    #[arg(long, requires = "to")]
    from: Option<Modality>,
    /// What is found.
    #[arg(long, requires = "from")]
    to: Option<Modality>,
    /// A split whose items join the gallery as distractors. May be repeated.
    #[arg(long, value_name = "SPLIT")]
    distractors: Vec<String>,
    /// Only queries of this language. May be repeated.
    #[arg(long, value_name = "LANG")]
    query_lang: Vec<String>,
    /// Only gallery items of this language. May be repeated.
    #[arg(long, value_name = "LANG")]
    gallery_lang: Vec<String>,
    /// Each query meets only items of its own language.
    #[arg(long)]
    same_lang: bool,
    /// Use every caption of a record, not only its first.
    #[arg(long, conflicts_with = "joined_captions")]
    all_captions: bool,
    /// Use a record's captions joined into one: the name and all its tags.
    #[arg(long)]
    joined_captions: bool,
    /// Beside speech results, what controls reach that see only the clip's duration, and that also know its language;
    /// fitted on this split.
    #[arg(long, value_name = "SPLIT")]
    duration_control: Option<String>,
    /// Items embedded at once.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
    /// auto, cpu, cuda, cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Serialize)]
struct Row {
    protocol: Protocol,
    metrics: RetrievalMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_control: Option<RetrievalMetrics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_language_control: Option<RetrievalMetrics>,
    skipped: usize,
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    let Command::Retrieval(args) = command;
    let limits = args.limits.get();
    let manifest = Manifest::load(&args.data)?;
    let dir = crate::place::model(&args.model)?;
    let model = Model::load(&dir, cuda::device(&args.device)?).map_err(unisono_eval::Error::from)?;
    let spoken = args.duration_control.as_ref().map(|split| Spoken::measure(&manifest.split(split), &limits));
    let mut rows = Vec::new();
    for (from, to) in pairs(args, &manifest, &model) {
        let protocol = Protocol {
            name: args.split.clone(),
            manifest: args.data.clone(),
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
        let prepared = Prepared::new(&protocol, &manifest, &model, &limits)?;
        for s in &prepared.skipped {
            out::note(&format!("  left out {}: {}", s.id, s.reason));
        }
        let outcome = prepared.run(&model, args.batch as usize, &Bootstrap::default())?;
        let controls = match &spoken {
            Some(spoken) => prepared.duration_control(spoken, &Bootstrap::default())?,
            None => None,
        };
        let skipped = prepared.skipped.len();
        let (duration_control, duration_language_control) =
            controls.map(|c| (c.duration, c.with_language)).unzip();
        rows.push(Row {
            protocol,
            metrics: outcome.metrics,
            duration_control,
            duration_language_control,
            skipped,
        });
    }
    if rows.is_empty() {
        return Err(Error::Failed(format!(
            "{}: split {:?} has no two modalities that the model embeds ({})",
            args.data.display(),
            args.split,
            model.embeds().iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
        )));
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

/// The pair asked for, or every ordered pair of which the split and the model have both sides.
fn pairs(args: &Args, manifest: &Manifest, model: &Model) -> Vec<(Modality, Modality)> {
    if let (Some(from), Some(to)) = (args.from, args.to) {
        return vec![(from, to)];
    }
    let records = manifest.split(&args.split);
    let present = |m: &Modality| match m {
        Modality::Text => records.iter().any(|r| !r.text.is_empty()),
        Modality::Image => records.iter().any(|r| r.image.is_some()),
        Modality::Audio => records.iter().any(|r| !r.audio.is_empty()),
        Modality::Video => records.iter().any(|r| r.video.is_some()),
    };
    let there: Vec<Modality> = model.embeds().into_iter().filter(present).collect();
    let others = |a: Modality| there.iter().filter(move |b| **b != a).map(move |b| (a, *b));
    there.iter().flat_map(|a| others(*a)).collect()
}
