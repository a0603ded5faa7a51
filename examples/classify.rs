//! Labels that the model was never trained on: `cargo run --release --example classify -- MODEL bus,ship,cat photos`
//!
//! ```text
//! photos/bus.png: bus 97.1 %
//! photos/cat.png: cat 88.4 %
//! ```
use std::error::Error;
use unisono_jobs::classify::{Labels, classify};
use unisono_jobs::{Device, EmbedOptions, Embedder, Flow, Inputs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(labels)) = (args.next(), args.next()) else {
        return Err("usage: classify MODEL LABEL,LABEL,… FILE…".into());
    };

    let embedder = Embedder::load(model, Device::Cpu)?;
    let labels = Labels::new(labels.split(','))?;
    let files = Inputs::files(args).list(&embedder.model().embeds())?;
    let options = EmbedOptions::default();
    let (found, _) = classify(&embedder, files, &labels, 1, &options, &mut |_| Flow::Continue)?;

    for file in &found {
        for guess in &file.guesses {
            println!("{}: {} {:.1} %", file.id, guess.label, 100.0 * guess.probability);
        }
    }
    Ok(())
}
