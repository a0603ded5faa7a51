//! `unisono model merge` and `unisono model interpolate`: what a fine-tuning left as a model without adapters, or halfway to what it began from.

use crate::error::Error;
use crate::{out, place};
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::{Model, families};

/// Write a model with its adapter (LoRA, DoRA) in its weights: as fast as without one, and convertible as any other
#[derive(clap::Args, Debug)]
pub(crate) struct MergeArgs {
    /// Model directory, a training run's (its best checkpoint), or a hub id
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The folder of the adapter, in peft's files [default: the one that the model has, or that names it as its base]
    #[arg(value_name = "ADAPTER")]
    adapter: Option<PathBuf>,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Write the weighted mean of two models, one of which was trained from the other (WiSE-FT): it keeps more of what the first could
#[derive(clap::Args, Debug)]
pub(crate) struct InterpolateArgs {
    /// What the training began from: a model directory, a run, or a hub id
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// What it came to: a run or a model directory
    #[arg(value_name = "TUNED")]
    tuned: PathBuf,
    /// The second one's weight, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    alpha: f64,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn merge(args: &MergeArgs) -> Result<(), Error> {
    let dir = place::model(&args.model)?;
    let model = match &args.adapter {
        Some(adapter) => {
            let adapter = unisono_encoders::model_dir(adapter);
            families::load_with(&dir, &adapter, None, Device::Cpu).map_err(unisono_jobs::Error::from)?.model
        }
        None => {
            let adapts =
                unisono_encoders::adapters::named_base(&dir).map_err(unisono_jobs::Error::from)?.is_some();
            let model = towers(&dir)?;
            if !adapts && model.config().adapter.is_none() {
                let at = dir.display();
                return Err(Error::Failed(format!(
                    "{at}: has no adapter; give the folder of one behind the model"
                )));
            }
            model.merged().map_err(unisono_jobs::Error::from)?
        }
    };
    save(&model, &args.out)?;
    out::print(&format!("{}: {} with the adapter in its weights\n", args.out.display(), args.model.display()))
}

pub(super) fn interpolate(args: &InterpolateArgs) -> Result<(), Error> {
    if !(0.0..=1.0).contains(&args.alpha) {
        return Err(Error::Usage(format!("--alpha: expected 0 to 1, found {}", args.alpha)));
    }
    let (base, tuned) = (towers(&place::model(&args.base)?)?, towers(&place::model(&args.tuned)?)?);
    let weights = [1.0 - args.alpha, args.alpha];
    let model = Model::blend(vec![base, tuned], &weights).map_err(unisono_jobs::Error::from)?;
    save(&model, &args.out)?;
    let (at, base, tuned) = (args.out.display(), args.base.display(), args.tuned.display());
    out::print(&format!("{at}: {} of {base}, {} of {tuned}\n", weights[0], weights[1]))
}

/// A model of towers alone.
fn towers(dir: &Path) -> Result<Model, Error> {
    if unisono_fusion::import::is(dir).map_err(unisono_jobs::Error::from)? {
        out::note(
            "note: the fusion part (captions, matches, answers, speech) stays behind: the towers alone are written",
        );
    }
    // No training here has a classifier: it would stay behind its tower.
    Ok(families::load(dir, Device::Cpu).map_err(unisono_jobs::Error::from)?.model.without_classifier())
}

/// Writes a model into a new folder, whole or not at all.
fn save(model: &Model, target: &Path) -> Result<(), Error> {
    let folder = unisono_files::real_folder(target);
    let failed = |e: unisono_files::Error| Error::Jobs(e.into());
    let _held = unisono_files::Lock::make(&folder).map_err(failed)?;
    let free = |at: &Path| std::fs::symlink_metadata(at).is_err() || unisono_files::is_empty_folder(at);
    if !free(&folder) {
        let at = target.display();
        return Err(Error::Failed(format!("{at}: expected a new or empty folder, found something there")));
    }
    let made = unisono_files::folder_beside(&folder).map_err(failed)?;
    model.save(made.path()).map_err(unisono_jobs::Error::from)?;
    unisono_files::replace_folder(made, &folder, free).map_err(failed)?;
    Ok(())
}
