//! `unisono data inspect`: what a manifest holds, and what is wrong with it.

use crate::error::Error;
use crate::inputs::show_progress;
use crate::limits::LimitArgs;
use crate::progress::Meter;
use crate::{interrupt, out, style};
use std::path::PathBuf;
use unisono_datasets::Manifest;
use unisono_eval::table::{Align, Table};
use unisono_jobs::inspect::{Counts, Inspection, Opening, inspect};

/// Count a manifest's records and look for its files
///
/// Exit code 1 when a file is missing or broken.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The manifest (JSON Lines), or MSR-VTT's own JSON or CSV file
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// Decode every image and audio, and of every video the beginning and the parts that records name
    #[arg(long)]
    check_files: bool,
    /// With --check-files: the ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE", requires = "check_files")]
    ffmpeg: Option<PathBuf>,
    /// Print the counts and every problem as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Problems printed in full.
const SHOWN: usize = 20;

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    let opening = Opening { limits: args.limits.get(), ffmpeg: args.ffmpeg.clone() };
    if !args.check_files {
        args.limits.none("--check-files, which opens files")?;
    }
    let manifest = Manifest::load(&args.manifest)?;
    if args.ffmpeg.is_some() && manifest.records.iter().all(|r| r.video.is_none() && r.audio.is_empty()) {
        return Err(Error::Usage(
            "--ffmpeg: it decodes videos and audio files, and the manifest names none".into(),
        ));
    }
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut meter = Meter::new();
    let opening = args.check_files.then_some(&opening);
    let found = inspect(&manifest, opening, workers, &mut show_progress(&mut meter))?;
    meter.finish();
    if args.json {
        out::json(&found)?;
    } else {
        out::print(&report(&found))?;
    }
    match found.problems.len() {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{}: {}", args.manifest.display(), style::count(n, "problem")))),
    }
}

fn report(found: &Inspection) -> String {
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
    let mut text = table.render();
    let mut languages: Vec<_> = found.languages.iter().collect();
    languages.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let list: Vec<String> = languages.iter().map(|(lang, n)| format!("{} {n}", named(lang))).collect();
    text += &format!("\nlanguages ({}): {}\n", list.len(), list.join(", "));
    if let Some((group, a, b)) = found.crossing_groups.first() {
        let n = found.crossing_groups.len();
        text += &format!(
            "note: {} in more than one split, such as {group:?} in {a} and {b}\n",
            style::count(n, "group")
        );
    }
    if found.problems.is_empty() {
        text += if found.files_opened { "every file opens\n" } else { "every file is there\n" };
    }
    for file in found.misnamed.iter().take(SHOWN) {
        text += &format!("note: {}: is {}, not what its ending says\n", file.path, file.content);
    }
    if found.misnamed.len() > SHOWN {
        text += &format!("and {} more such files (--json lists them all)\n", found.misnamed.len() - SHOWN);
    }
    for problem in found.problems.iter().take(SHOWN) {
        text += &format!("problem: {}: {}\n", problem.id, problem.reason);
    }
    if found.problems.len() > SHOWN {
        text += &format!("and {} more (--json lists them all)\n", found.problems.len() - SHOWN);
    }
    text
}

fn named(name: &str) -> &str {
    if name.is_empty() { "(none)" } else { name }
}
