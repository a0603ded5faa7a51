//! What is measured, and how.

use crate::inputs::DeviceArg;
use crate::precision::Asked;
use std::path::PathBuf;

/// Compare models on the CPU and on a device, and measure how fast they are there
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model folders
    #[arg(value_name = "DIR", required = true)]
    pub(super) models: Vec<PathBuf>,
    /// Items at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) batch: u16,
    /// Rounds that are timed; 0 times none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) rounds: u16,
    /// Times only: no comparison with the CPU
    #[arg(long)]
    pub(super) no_compare: bool,
    /// Tokens of a text that is written
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..))]
    pub(super) tokens: u16,
    /// Arithmetic on the device: fp32, bf16, int8 or auto
    #[arg(long, value_name = "PRECISION", default_value = "fp32")]
    pub(super) precision: Asked,
    #[command(flatten)]
    pub(super) device: DeviceArg,
}
