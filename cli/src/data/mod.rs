//! `unisono data`: sample data sets, and looks at any source of records.

mod check;
mod inspect;
mod sample;
mod show;

use crate::error::Error;

/// Fetch sample data, or look at a source of records
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Sample(sample::Args),
    Inspect(inspect::Args),
    Check(check::Args),
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Sample(args) => sample::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Check(args) => check::run(args),
    }
}
