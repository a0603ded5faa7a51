//! What commands share that run a model over all of a source.

use crate::inputs::WorkArgs;
use std::path::PathBuf;

/// A model at work for a source, which may be stopped and taken up again.
#[derive(clap::Args, Debug)]
pub(super) struct RunArgs {
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    pub(super) ffmpeg: Option<PathBuf>,
    /// Begin anew, though an earlier run left work or results at OUT
    #[arg(long)]
    pub(super) fresh: bool,
    /// Print a JSON summary
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) how: WorkArgs,
}
