//! `unisono data check`: what of a source is broken, and what is there twice.

use super::show::{self, SHOWN};
use crate::error::Error;
use crate::inputs::{DeviceArg, show_progress};
use crate::limits::LimitArgs;
use crate::progress::Meter;
use crate::source::PathArgs;
use crate::{interrupt, out, place, style};
use std::path::PathBuf;
use unisono_datasets::Source;
use unisono_eval::table::{Align, Table};
use unisono_jobs::Embedder;
use unisono_jobs::check::{CheckOptions, Checked, Duplicates, Group, Opening, check};

/// Decode everything in a source of records; find broken records, duplicates, and leaks between splits
///
/// Each file is decoded once: images and audio files whole, of videos the beginning and the parts that records name. Duplicates have equal bytes, or look alike
/// (mirrored, too), or with --model have nearly equal vectors; a leak is one with members in several splits. Exit code 1 when a record is broken; with --strict
/// also when there are duplicates or leaks.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PathArgs,
    /// A model directory, a training run's, or a hub id: files whose vectors are nearly equal are duplicates, too
    #[arg(long, value_name = "DIR_OR_ID")]
    model: Option<PathBuf>,
    /// With --model: least cosine of vectors of duplicates [default: 0.97]
    #[arg(long, value_name = "COSINE", requires = "model", value_parser = cosine, allow_negative_numbers = true)]
    cosine: Option<f32>,
    /// Images are alike whose thumbnails differ by less (root mean square, 0 to 255) [default: 8]
    #[arg(long, value_name = "N", value_parser = difference)]
    difference: Option<f32>,
    /// Most images that are compared by their looks, and files by their vectors; each costs one to two kilobytes of memory, or what a vector does [default: 500000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_compared: Option<u32>,
    /// Exit code 1 where there are duplicates or leaks
    #[arg(long)]
    strict: bool,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    limits: LimitArgs,
}

fn cosine(text: &str) -> Result<f32, String> {
    let found = text.parse().ok().filter(|n| (-1.0..=1.0).contains(n));
    found.ok_or_else(|| "expected a number from -1 to 1, as 0.97".into())
}

fn difference(text: &str) -> Result<f32, String> {
    let found = text.parse().ok().filter(|n| (0.0..=255.0).contains(n));
    found.ok_or_else(|| "expected a number from 0 to 255, as 8".into())
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    let usual = CheckOptions::default();
    let options = CheckOptions {
        opening: Opening { limits: args.limits.get(), ffmpeg: args.ffmpeg.clone() },
        difference: args.difference.unwrap_or(usual.difference),
        cosine: args.cosine.unwrap_or(usual.cosine),
        most: args.max_compared.map_or(usual.most, |n| n as usize),
        ..usual
    };
    if args.device.named() && args.model.is_none() {
        return Err(Error::Usage("--device goes with --model".into()));
    }
    let config = args.source.get()?;
    let source = crate::source::open(&config)?;
    if args.ffmpeg.is_some() && !any_heard_or_moving(&*source) {
        let message = "--ffmpeg: it decodes videos and audio files, and the source names none";
        return Err(Error::Usage(message.into()));
    }
    let embedder = match &args.model {
        None => None,
        Some(named) => {
            let mut embedder = Embedder::load(place::model(named)?, args.device.get()?)?;
            embedder.set_limits(options.opening.limits);
            embedder.set_ffmpeg(args.ffmpeg.clone());
            Some(embedder)
        }
    };
    let mut meter = Meter::new();
    let found = check(&*source, embedder.as_ref(), &options, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        out::json(&found)?;
    } else {
        out::print(&report(&found))?;
    }
    let mut wrong = Vec::new();
    if found.problem_count > 0 {
        wrong.push(style::count(found.problem_count, "problem"));
    }
    if args.strict && found.duplicates() > 0 {
        wrong.push(style::count(found.duplicates(), "group") + " of duplicates");
    }
    if args.strict && found.leaks() > 0 {
        wrong.push(style::count(found.leaks(), "leak") + " between splits");
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::Failed(format!("{}: {}", config.name(), wrong.join(", ")))),
    }
}

fn any_heard_or_moving(source: &dyn Source) -> bool {
    (0..source.len()).map(|index| source.key(index)).any(|key| key.audio || key.video)
}

fn report(found: &Checked) -> String {
    let (records, files) = (style::count(found.records, "record"), style::count(found.files, "file"));
    let mut text = format!("{records}, {files} decoded\n");
    if found.problem_count == 0 {
        text += "every file opens\n";
    } else {
        text += &format!("broken: {}\n", style::count(found.broken_records, "record"));
        let mut table =
            Table::new(&[("stage", Align::Left), ("cause", Align::Left), ("files", Align::Right)]);
        for cause in found.causes.iter().take(SHOWN) {
            table.row([cause.stage, &cause.cause, &cause.count.to_string()]);
        }
        text += &format!("\n{}\n", table.render());
        text += &show::list(
            &found.problems,
            |p| format!("problem: {}: {}", p.id, p.reason),
            found.problem_count,
            "problems",
        );
    }
    text += &show::misnamed(&found.misnamed);
    text += &duplicates("equal bytes", &found.exact, |_| String::new());
    text += &duplicates("equal looks", &found.alike, |d| format!(" (difference {d:.1})"));
    if let Some(vectors) = &found.vectors {
        text += &duplicates("nearly equal vectors", vectors, |c| format!(" (cosine {c:.3})"));
    }
    if found.shared.groups > 0 {
        text += &format!("one file in several splits: {}\n", style::count(found.shared.groups, "file"));
        text += &show::list(&found.shared.listed, |g| line(g, ""), found.shared.groups, "such files");
    }
    text += &show::crossing(&found.crossing_groups);
    if let Some(most) = found.compared {
        text += &format!("note: of more than {most} the first were compared (--max-compared)\n");
    }
    text + &match found.leaks() {
        0 => "no leak between splits was found\n".to_owned(),
        n => format!("leaks between splits: {n}\n"),
    }
}

/// What there is of one kind, the first groups of it in full.
fn duplicates(name: &str, found: &Duplicates, near: impl Fn(f32) -> String) -> String {
    if found.groups == 0 {
        return format!("{name}: none\n");
    }
    let (groups, members) = (style::count(found.groups, "group"), found.members);
    let mut text = format!("{name}: {groups} of {members}, {} across splits", found.leaks);
    if found.unknown < found.groups {
        text += &format!(", {} of one group already", found.groups - found.unknown);
    }
    text.push('\n');
    let line = |group: &Group| line(group, &group.closest.map(&near).unwrap_or_default());
    text + &show::list(&found.listed, line, found.groups, "groups")
}

/// `  leak: a.png (train) = b.png (test) (difference 2.1)`
fn line(group: &Group, near: &str) -> String {
    const SHOWN: usize = 6;
    let member = |m: &unisono_jobs::check::Member| {
        let name = m.file.as_deref().map_or_else(|| m.record.clone(), |file| last(file).to_owned());
        match &m.split {
            Some(split) => format!("{name} [{split}]"),
            None => name,
        }
    };
    let mut members: Vec<String> = group.members.iter().take(SHOWN).map(member).collect();
    if group.count > members.len() && group.members.len() > SHOWN {
        members.push(format!("{} more", group.count - SHOWN));
    }
    let kind = if group.leak { "leak: " } else { "" };
    format!("  {kind}{}{near}", members.join(" = "))
}

/// The end of a path that tells it from others.
fn last(path: &str) -> &str {
    let mut parts = path.rmatch_indices('/');
    match parts.nth(1) {
        Some((at, _)) => &path[at + 1..],
        None => path,
    }
}
