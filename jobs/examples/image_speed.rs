//! Images a second on one thread, file to normalised tensor: `image_speed MODEL FILE...`. Prints the whole, then decoding alone.

use std::path::Path;
use std::time::Instant;
use tch::Device;
use unisono_encoders::{Model, Precision};
use unisono_media::{Limits, decode};
use unisono_processors::prepare;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (dir, files) = args.split_first().ok_or("usage: image_speed MODEL FILE...")?;
    let mut model = Model::load(Path::new(dir), Device::Cpu)?;
    // As `unisono embed` does: it also keeps freed memory.
    model.prepare(Precision::Fp32)?;
    let processor = model.image_processor()?;
    let begun = Instant::now();
    for file in files {
        let image = prepare::image(&Path::new(file).into(), processor, Limits::default(), None)?;
        let _ = unisono_encoders::batch::images(processor, &[image], Device::Cpu)?;
    }
    let whole = files.len() as f64 / begun.elapsed().as_secs_f64();
    let options = prepare::image_options(processor, Limits::default());
    let begun = Instant::now();
    for file in files {
        let _ = decode::image(Path::new(file), &options)?;
    }
    println!("{whole:.1} {:.1}", files.len() as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}
