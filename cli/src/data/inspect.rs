//! `unisono data inspect`: what a source of records holds.

use super::lang::LangArgs;
use super::show::{self, named};
use crate::error::Error;
use crate::inputs::show_progress;
use crate::progress::Meter;
use crate::source::PathArgs;
use crate::{interrupt, out, style};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unisono_datasets::Source;
use unisono_eval::table::{Align, Table};
use unisono_jobs::inspect::{
    Counts, InspectOptions, Inspection, Labels, Lengths, PageOptions, Spread, inspect, page,
};

/// Count what a source of records holds, and look for its files
///
/// No file is decoded: sizes and durations are what the files' heads say, of some 10,000 records where there are more (`data check` decodes all). Exit code
/// 1 when a file is missing or empty, or a record cannot be read.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    #[command(flatten)]
    detect: LangArgs,
    /// Write a page: records to look at and to listen to, histograms and problems
    #[arg(long, value_name = "PAGE.html")]
    html: Option<PathBuf>,
    /// With --html: so many records are shown, drawn by lot [default: 24]
    #[arg(long, value_name = "N", requires = "html", value_parser = clap::value_parser!(u16).range(0..=1000))]
    samples: Option<u16>,
    /// With --html: another number draws other records [default: 0]
    #[arg(long, value_name = "N", requires = "html")]
    seed: Option<u64>,
    /// Print all counts and every problem as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    let options = InspectOptions { detector: args.detect.get()?, ..InspectOptions::default() };
    let config = args.source.get()?;
    let source = crate::source::open(&config)?;
    // Nobody looks at a million records to be told that the page cannot be written.
    let html = args.html.as_deref();
    let _held = html.map(unisono_files::Lock::make).transpose().map_err(unisono_jobs::Error::from)?;
    let mut meter = Meter::new();
    let found = inspect(&*source, &options, &mut show_progress(&mut meter))?;
    meter.finish();
    if let Some(path) = html {
        write_page(path, &*source, &config.name(), &found, args)?;
    }
    if args.json {
        out::json(&found)?;
    } else {
        out::print(&report(&found))?;
    }
    match found.problem_count {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{}: {}", config.name(), style::count(n, "problem")))),
    }
}

fn write_page(
    path: &Path,
    source: &dyn Source,
    name: &str,
    found: &Inspection,
    args: &Args,
) -> Result<(), Error> {
    let samples = args.samples.map_or(24, usize::from);
    let options = PageOptions { page: path, samples, seed: args.seed.unwrap_or(0) };
    let text = page(source, name, found, &options);
    unisono_files::write(path, text).map_err(unisono_jobs::Error::from)?;
    out::note(&format!("page: {}", path.display()));
    Ok(())
}

fn report(found: &Inspection) -> String {
    let mut text = counts(found);
    if found.at_most {
        text += "note: more labels or files than are remembered; there are at most so many\n";
    }
    let mut row = |name: &str, value: String| text += &format!("{name:<14}{value}\n");
    row("languages", format!("({}): {}", found.languages.len(), frequent(&found.languages)));
    if let Some(detected) = &found.languages_detected {
        row("  by captions", frequent(detected));
    }
    row("modalities", frequent(&found.modalities));
    if found.labels.records > 0 {
        row("labels", labels(&found.labels));
    }
    let whole = |n: f64| format!("{n:.0}");
    if found.captions.words.count > 0 {
        row("captions", format!("{} a record", show::spread(&found.captions.per_record, whole)));
        row("  words", show::spread(&found.captions.words, whole));
        row("  characters", show::spread(&found.captions.characters, whole));
    }
    if found.images.width.count > 0 {
        row("images", format!("width {}", show::spread(&found.images.width, whole)));
        row("", format!("height {}", show::spread(&found.images.height, whole)));
    }
    for (name, of, n) in
        [("audio", &found.audio, found.total.audio), ("videos", &found.video, found.total.video)]
    {
        if of.seconds.count > 0 {
            row(name, lengths(of, n, found.measured_every));
        }
    }
    for (name, n) in [
        ("images", found.images.unknown),
        ("audio files", found.audio.unknown),
        ("videos", found.video.unknown),
    ] {
        if n > 0 {
            row("", format!("{n} {name} whose heads do not say it"));
        }
    }
    if found.measured_every > 1 {
        let n = style::thousands(found.measured_files);
        row(
            "",
            format!(
                "sizes and durations are of {n} files, drawn from one record in {}",
                found.measured_every
            ),
        );
    }
    text += &show::crossing(&found.crossing_groups);
    if found.problem_count == 0 {
        text += "every file is there\n";
    }
    text += &show::misnamed(&found.misnamed);
    text + &show::list(
        &found.problems,
        |p| format!("problem: {}: {}", p.id, p.reason),
        found.problem_count,
        "problems",
    )
}

fn counts(found: &Inspection) -> String {
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("split", Align::Left),
        right("records"),
        right("labels"),
        right("texts"),
        right("images"),
        right("audio"),
        right("videos"),
    ]);
    let mut row = |name: &str, c: &Counts| {
        let counts = [c.records, c.labels, c.text, c.image, c.audio, c.video];
        table.row(std::iter::once(name.to_owned()).chain(counts.map(|n| n.to_string())));
    };
    for (split, counts) in &found.splits {
        row(named(split), counts);
    }
    if found.splits.len() > 1 {
        row("all", &found.total);
    }
    table.render() + "\n"
}

/// Names with their counts, the most frequent first.
fn frequent(counts: &BTreeMap<String, usize>) -> String {
    const SHOWN: usize = 100;
    let mut all: Vec<_> = counts.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut parts: Vec<String> =
        all.iter().take(SHOWN).map(|(name, n)| format!("{} {n}", named(name))).collect();
    if all.len() > SHOWN {
        parts.push(format!("and {} more", all.len() - SHOWN));
    }
    parts.join(", ")
}

fn labels(labels: &Labels) -> String {
    let list = |names: &[(String, usize)]| {
        names
            .iter()
            .map(|(name, n)| format!("{} {n}", style::shorten(name, 40)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let more = if labels.complete { "" } else { " and more" };
    let mut text = format!(
        "{}{more} of {}; most frequent: {}",
        style::count(labels.distinct, "label"),
        style::count(labels.records, "record"),
        list(&labels.most_frequent)
    );
    if !labels.least_frequent.is_empty() {
        text += &format!("; least: {}", list(&labels.least_frequent));
    }
    text
}

fn lengths(of: &Lengths, files: usize, every: usize) -> String {
    let Spread { mean, count, .. } = of.seconds;
    // Of a sample the whole is reckoned.
    let (about, n) = if every > 1 { ("about ", files) } else { ("", count) };
    let all = style::clock(Duration::try_from_secs_f64(mean * n as f64).unwrap_or_default());
    format!("{}; {about}{all} in all", show::spread(&of.seconds, |n| format!("{n:.1} s")))
}
