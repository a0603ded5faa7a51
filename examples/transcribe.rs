//! What is said, with its times: `cargo run --release --example transcribe -- MODEL talks`
//!
//! ```text
//! talks/jfk.flac (en)
//!   0.0 to 7.6: And so my fellow Americans ask not what your country can do for you
//!   7.6 to 10.6: ask what you can do for your country.
//! ```
use std::error::Error;
use unisono_jobs::understand::{Transcribe, Understander, understand};
use unisono_jobs::{Device, EmbedOptions, Flow};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("usage: transcribe MODEL FILE…")?;

    let model = Understander::load(model, Device::Cpu)?;
    let mut task = Transcribe::new(model.model());
    let options = EmbedOptions::default();
    let found = understand(&model, model.list(args)?, &mut task, &options, &mut |_| Flow::Continue)?;

    for row in &found.rows {
        println!("{} ({})", row.id, row.value.language.as_deref().unwrap_or("?"));
        for segment in &row.value.segments {
            println!("  {:.1} to {:.1}: {}", segment.start, segment.end, segment.text.trim());
        }
    }
    Ok(())
}
