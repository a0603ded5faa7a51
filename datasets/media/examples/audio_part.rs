//! What a part of an audio file costs: all of it, and ten seconds from its middle.
//!
//! ```text
//! cargo run --release -p unisono-media --example audio_part -- FILE...
//! ```

use std::path::PathBuf;
use std::time::Instant;
use unisono_media::Limits;
use unisono_media::decode::{Wanted, audio, excerpt};

/// Times of a file; the best counts.
const TIMES: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::default();
    for file in std::env::args().skip(1).map(PathBuf::from) {
        let whole = best(|| audio(&file, &limits).map(drop))?;
        let middle = best(|| {
            let ten = |extent: unisono_media::decode::Extent| {
                let half = extent.samples / 2;
                half..half + 10 * u64::from(extent.sample_rate)
            };
            excerpt(&file, &limits, None, Wanted::Range(&ten)).map(drop)
        })?;
        let first =
            best(|| excerpt(&file, &limits, None, Wanted::First(&|rate| 10 * u64::from(rate))).map(drop))?;
        println!("{}: whole {whole:.4} s, middle {middle:.4} s, beginning {first:.4} s", file.display());
    }
    Ok(())
}

fn best(run: impl Fn() -> unisono_media::Result<()>) -> unisono_media::Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..TIMES {
        let begun = Instant::now();
        run()?;
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}
