//! `unisono measure`, hidden: what `benches/gpu/run` asks of the built command. Towers on the CPU and on a device beside each other, and how
//! many items a second the device takes; inputs are made up, so that folders without tokenizers serve, too.

mod towers;
mod writing;

use crate::error::{Error, one_line};
use crate::inputs::DeviceArg;
use crate::out;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use unisono_encoders::Precision;

/// Compare models on the CPU and on a device, and measure how fast they are there
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Model folders
    #[arg(value_name = "DIR", required = true)]
    models: Vec<PathBuf>,
    /// Items at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Rounds that are timed; 0 times none
    #[arg(long, value_name = "N", default_value_t = 0)]
    rounds: u16,
    /// Times only: no comparison with the CPU
    #[arg(long)]
    no_compare: bool,
    /// Tokens of a text that is written
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..))]
    tokens: u16,
    /// Arithmetic on the device
    #[arg(long, value_name = "PRECISION", default_value = "fp32")]
    precision: Precision,
    #[command(flatten)]
    device: DeviceArg,
}

/// One JSON line a model, whatever became of the others.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let device = args.device.get()?;
    let mut faults = 0;
    for dir in &args.models {
        let parts: [(&str, Result<Value, String>); 2] =
            [("towers", towers::measure(args, dir, device)), ("writes", writing::measure(args, dir, device))];
        let mut line = json!({ "model": dir, "device": format!("{device:?}"), "precision": format!("{:?}", args.precision) });
        for (name, made) in parts {
            line[name] = made.unwrap_or_else(|e| {
                faults += 1;
                json!({ "fault": one_line(&e) })
            });
        }
        out::print(&format!("{line}\n"))?;
    }
    match faults {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{n} of the parts failed; their lines say why"))),
    }
}

/// The largest difference of two lists of numbers.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let largest =
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0f32, |m, d| if d.is_nan() { d } else { m.max(d) });
    if a.len() == b.len() { largest } else { f32::NAN }
}

/// The least cosine of rows of `dim` numbers.
fn cosine(a: &[f32], b: &[f32], dim: usize) -> f64 {
    let of = |(a, b): (&[f32], &[f32])| {
        let dot =
            |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-30)
    };
    a.chunks(dim.max(1))
        .zip(b.chunks(dim.max(1)))
        .map(of)
        .fold(1.0, |m, c| if c < m || c.is_nan() { c } else { m })
}

/// What went wrong, as text: the parts have errors of several crates.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn is_fusion(dir: &Path) -> bool {
    unisono_fusion::import::is(dir).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_and_cosines() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
        assert!(difference(&[1.0], &[f32::NAN]).is_nan() && difference(&[1.0], &[]).is_nan());
        assert!((cosine(&[1.0, 0.0, 0.0, 2.0], &[2.0, 0.0, 3.0, 3.0], 2) - 0.5f64.sqrt()).abs() < 1e-12);
    }
}
