//! `unisono data`: sample data sets, a look at a manifest, and data as shards.

mod inspect;
mod pack;
mod sample;

use crate::error::Error;

/// Fetch sample data, look at a manifest, or pack data as shards
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Sample(sample::Args),
    Inspect(inspect::Args),
    Pack(pack::Args),
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Sample(args) => sample::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Pack(args) => pack::run(args),
    }
}
