//! `unisono data`: sample data sets, looks at any source of records, and data as shards.

mod check;
mod inspect;
mod pack;
mod sample;
mod show;

use crate::error::Error;

/// Fetch sample data, look at a source of records, or pack it as shards
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Sample(sample::Args),
    Inspect(inspect::Args),
    Pack(pack::Args),
    Check(check::Args),
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Sample(args) => sample::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Check(args) => check::run(args),
    }
}
