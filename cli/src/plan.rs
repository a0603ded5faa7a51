//! `unisono plan`.

use crate::{error::Error, out, train};
use std::path::PathBuf;
use unisono_media::limits::{self, Spelling};

/// Say what a training would cost, before it: parameters, memory, steps, arithmetic, time and energy.
///
/// Builds the recipe's model and takes a few steps over made-up inputs of its shapes. No medium is opened; of the data only manifests and tables in
/// small single files are read, for their counts.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The recipe.
    recipe: PathBuf,
    /// Change a value of the recipe: KEY=VALUE, as in steps=100 or batch.micro=64. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Leave out the sources and protocols of this name (or NAME-…). May be repeated.
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// Steps that are timed, after one that is not.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    probe: u16,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    limits::spell(Spelling::Recipe);
    let recipe = train::located(train::recipe(&args.recipe, &args.set, &args.without)?)?;
    let plan = unisono_train::plan::plan(&recipe, usize::from(args.probe))?;
    if args.json { out::json(&plan) } else { out::print(&plan.to_string()) }
}
