//! `unisono data`: sample data sets, looks at any source of records, data as shards, and what is known beside them.

mod caption;
mod check;
mod feedback;
mod filter;
mod inspect;
mod lang;
mod mine;
mod pack;
mod run;
mod sample;
mod show;
mod split;
mod teach;

use crate::error::Error;

/// Fetch sample data, look at a source of records, pack it as shards, or make what stands beside it
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Sample(sample::Args),
    Inspect(inspect::Args),
    Pack(pack::Args),
    Check(check::Args),
    Split(split::Args),
    Filter(filter::Args),
    Caption(caption::Args),
    Teach(teach::Args),
    Mine(mine::Args),
    FromFeedback(feedback::Args),
}

pub(crate) fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Sample(args) => sample::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Check(args) => check::run(args),
        Command::Split(args) => split::run(args),
        Command::Filter(args) => filter::run(args),
        Command::Caption(args) => caption::run(args),
        Command::Teach(args) => teach::run(args),
        Command::Mine(args) => mine::run(args),
        Command::FromFeedback(args) => feedback::run(args),
    }
}
