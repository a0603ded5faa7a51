//! What it costs to open a large manifest or table by position: `lines_speed FILE`, once without its index (delete `.FILE.index`) and once with it.

use std::error::Error;
use std::time::Instant;
use unisono_datasets::{Part, SourceConfig, open};

/// Records read all over the file.
const READ: usize = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("expected the path of a manifest or a table")?;
    let start = Instant::now();
    let source = open(&SourceConfig::new(path))?;
    println!("open: {:.2} s, {} records", start.elapsed().as_secs_f64(), source.len());
    let start = Instant::now();
    let splits = source.splits();
    println!("splits: {:.6} s, {splits:?}", start.elapsed().as_secs_f64());
    let (n, start) = (source.len(), Instant::now());
    let mut bytes = 0;
    for i in 0..READ {
        // A step without a common divisor with most lengths: neighbours are not read together.
        bytes += source.record(i.wrapping_mul(2_654_435_761) % n)?.id.len();
    }
    println!("records at random: {:.0}/s ({bytes})", READ as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let part = Part::of(source.clone(), |key| key.split == Some("train"))?;
    println!("keys: {:.2} s for {n}, {} of train", start.elapsed().as_secs_f64(), part.len());
    #[cfg(target_os = "linux")]
    for line in std::fs::read_to_string("/proc/self/status")?.lines().filter(|l| l.starts_with("VmHWM")) {
        println!("{line}");
    }
    Ok(())
}
