//! A recipe, followed: `cargo run --release --example train -- recipes/quickstart.toml runs/mine`
//!
//! ```text
//! step 10 of 560: loss 5.412, 402 samples/s
//! …
//! 560 steps in 256 s
//! ```
use std::error::Error;
use std::path::Path;
use unisono_train::{Event, Options, Recipe, train};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, run] = args.as_slice() else {
        return Err("usage: train RECIPE RUN".into());
    };

    let recipe = Recipe::load(Path::new(recipe), &[], &[])?;
    let summary =
        train(&recipe, Path::new(run), Options { resume: true, ..Options::default() }, &mut |event| {
            match event {
                Event::Step(s) if s.step % 10 == 0 => {
                    println!(
                        "step {} of {}: loss {:.3}, {:.0} samples/s",
                        s.step, s.steps, s.loss, s.samples_per_second
                    );
                }
                Event::Note(note) => println!("{note}"),
                _ => {}
            }
        })?;
    println!("{} steps in {:.0} s", summary.step, summary.seconds);
    Ok(())
}
