//! A sentence about each file: `cargo run --release --example caption -- MODEL photos clip.mp4`
//!
//! ```text
//! photos/bus.png: red double-decker bus
//! photos/ship.png: a sailing ship on the sea
//! ```
use std::error::Error;
use unisono_jobs::understand::{Caption, Understander, understand};
use unisono_jobs::{Device, EmbedOptions, Flow};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("usage: caption MODEL FILE…")?;

    let model = Understander::load(model, Device::Cpu)?;
    let mut task = Caption::new(model.model());
    task.generation.beams = 3;
    let options = EmbedOptions::default();
    let found = understand(&model, model.list(args)?, &mut task, &options, &mut |_| Flow::Continue)?;

    for row in &found.rows {
        println!("{}: {}", row.id, row.value.caption);
    }
    for skip in &found.skipped {
        eprintln!("{}: {}", skip.id, skip.reason);
    }
    Ok(())
}
