//! `unisono model average`: one model of several checkpoints.

use crate::error::Error;
use crate::{out, place, style};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Average the weights of checkpoints of one configuration: of several runs, or of one run's last steps
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Runs (their best checkpoint), RUN/last, RUN/step-000500, model directories
    #[arg(value_name = "DIR", required = true, num_args = 2..)]
    models: Vec<PathBuf>,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The part of each, as in 2,1,1 [default: equal parts]
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    weights: Option<Vec<f64>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let folders = args.models.iter().map(|model| place::model(model)).collect::<Result<Vec<_>, _>>()?;
    if let Some(weights) = &args.weights
        && weights.len() != folders.len()
    {
        let (found, expected) = (weights.len(), folders.len());
        return Err(Error::Usage(format!("--weights: expected {expected} numbers, found {found}")));
    }
    let target = unisono_files::real_folder(&args.out);
    let failed = |e: unisono_files::Error| Error::Jobs(e.into());
    let _held = unisono_files::Lock::make(&target).map_err(failed)?;
    let free = |at: &Path| std::fs::symlink_metadata(at).is_err() || unisono_files::is_empty_folder(at);
    if !free(&target) {
        let at = args.out.display();
        return Err(Error::Failed(format!("{at}: expected a new or empty folder, found something there")));
    }
    let averaged = unisono_train::average::average(&folders, args.weights.as_deref())?;
    // Written beside and put there whole.
    let made = unisono_files::folder_beside(&target).map_err(failed)?;
    averaged.model.save(made.path())?;
    unisono_files::replace_folder(made, &target, free).map_err(failed)?;
    averaged.notes.iter().for_each(|note| out::note(&format!("note: {note}")));
    let parameters = averaged.model.params().count();
    if args.json {
        let weights = &averaged.weights;
        return out::json(
            &json!({"out": args.out, "models": args.models, "weights": weights, "parameters": parameters}),
        );
    }
    let parts: Vec<String> = averaged.weights.iter().map(|weight| format!("{weight:.3}")).collect();
    let (at, count, parts) = (args.out.display(), style::thousands(parameters), parts.join(" + "));
    out::print(&format!("{at}: the average {parts} of {} models, {count} parameters\n", folders.len()))
}
