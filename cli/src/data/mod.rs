//! `unisono data`: sample data sets, and a look at a manifest.

mod inspect;
mod sample;

use crate::error::Error;

/// Fetch sample data, or look at a manifest
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Sample(sample::Args),
    Inspect(inspect::Args),
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Sample(args) => sample::run(args),
        Command::Inspect(args) => inspect::run(args),
    }
}
