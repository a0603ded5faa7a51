//! `unisono report`.

use crate::{error::Error, out};
use std::path::PathBuf;
use unisono_eval::metrics::RetrievalMetrics;
use unisono_eval::table::{self, Align, Table};
use unisono_media::limits::{self, Spelling};
use unisono_train::report::{Context, gather_report};

/// Write a run's report: one self-contained HTML page with curves, recalls, searches, mistakes and times.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Directory of the run.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// The page; by default report.html in the run's directory.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The command that made the run, to be shown.
    #[arg(long, value_name = "TEXT")]
    command: Option<String>,
    /// The day, to be shown.
    #[arg(long, value_name = "TEXT")]
    date: Option<String>,
    /// A file of stages and their seconds, to be shown; by default stages.json in the run's directory.
    #[arg(long, value_name = "FILE")]
    stages: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    limits::spell(Spelling::Recipe);
    let stages = match &args.stages {
        Some(path) => read_stages(path)?,
        None => read_stages(&args.run.join("stages.json")).unwrap_or_default(),
    };
    let context = Context { stages, date: args.date.clone(), command: args.command.clone() };
    let path = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    // A run that is not there is named for what it lacks, and nothing is made for it.
    let there = args.out.is_some() || args.run.is_dir();
    let _held =
        there.then(|| unisono_files::Lock::make(&path)).transpose().map_err(unisono_jobs::Error::from)?;
    let data = gather_report(&args.run, &context, &mut |line| out::note(&format!("  {line}")))?;
    unisono_eval::report::write(&path, &data)?;
    let mut lines: Vec<(&str, &RetrievalMetrics)> = Vec::new();
    for row in &data.recall {
        lines.push((&row.protocol, &row.metrics));
        lines.extend(row.control.as_ref().map(|c| ("  duration alone", c)));
    }
    let mut text = table::recalls(&lines).trim_end().to_owned() + "\n";
    if !data.captions.is_empty() {
        let mut table = Table::new(&[
            ("captions", Align::Left),
            ("by", Align::Left),
            ("items", Align::Right),
            ("BLEU-4 %", Align::Right),
            ("CIDEr-D", Align::Right),
            ("word for word %", Align::Right),
        ]);
        for row in &data.captions {
            let by = [
                ("this model", row.model),
                ("the nearest", row.nearest),
                ("the most frequent", row.frequent),
            ];
            for (i, (who, s)) in by.into_iter().enumerate() {
                let name = if i == 0 { row.protocol.clone() } else { String::new() };
                let (bleu, exact) = (format!("{:.1}", 100.0 * s.bleu4), format!("{:.1}", 100.0 * s.exact));
                table.row([name, who.into(), s.items.to_string(), bleu, format!("{:.2}", s.cider_d), exact]);
            }
        }
        text += &format!("\n{}\n", table.render().trim_end());
    }
    out::print(&format!("{text}{}\n", path.display()))
}

/// `{"stages": {"build": 61.5, …}}`, as `cargo xtask quickstart` writes it.
fn read_stages(path: &std::path::Path) -> Result<Vec<(String, f64)>, Error> {
    let refuse = |e: &dyn std::fmt::Display| Error::Failed(format!("{}: {e}", path.display()));
    let read = unisono_files::read_json::<serde_json::Value>(path, &unisono_files::Budget::CONFIG);
    let json = read.map_err(|e| Error::Failed(e.to_string()))?;
    let Some(stages) = json.get("stages").and_then(serde_json::Value::as_object) else {
        return Err(refuse(&"expected an object `stages` of names and seconds"));
    };
    Ok(stages.iter().filter_map(|(name, seconds)| Some((name.clone(), seconds.as_f64()?))).collect())
}
