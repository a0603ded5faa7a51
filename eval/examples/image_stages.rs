//! Images a second on one thread, stage by stage, for OpenCLIP's processor at 224: `image_stages FILE...`. Prints the best of five
//! rounds: decoding, resizing with the crop, normalising, and the whole from file to tensor. Its counterpart: `benches/image_pipeline.py`.

use std::path::Path;
use std::time::Instant;
use tch::Device;
use unisono_media::{Limits, decode};
use unisono_processors::ImageProcessor;
use unisono_processors::Json;
use unisono_processors::Size;
use unisono_processors::prepare;

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        return Err("usage: image_stages FILE...".into());
    }
    tch::set_num_threads(1);
    // Without it every batch's memory goes back to the system and is faulted in again.
    unisono_torch_ext::library::keep_freed_memory();
    let defaults = Json::new(Path::new("defaults"), &serde_json::Value::Null);
    let processor = ImageProcessor::from_open_clip(defaults, Size::from(224))?;
    let options = prepare::image_options(&processor, Limits::default());
    let mut best = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let mut spent = [0.0; 4];
        for file in &files {
            let begun = Instant::now();
            let image = decode::image(Path::new(file), &options)?;
            let decoded = begun.elapsed().as_secs_f64();
            let prepared = processor.prepare(&image);
            let resized = begun.elapsed().as_secs_f64();
            let _ = unisono_encoders::batch::images(&processor, &[prepared], Device::Cpu)?;
            let whole = begun.elapsed().as_secs_f64();
            for (sum, s) in spent.iter_mut().zip([decoded, resized - decoded, whole - resized, whole]) {
                *sum += s;
            }
        }
        for (best, s) in best.iter_mut().zip(spent) {
            *best = s.min(*best);
        }
    }
    let [decode, resize, normalise, whole] = best.map(|s| files.len() as f64 / s);
    println!("decode {decode:.0} resize {resize:.0} normalise {normalise:.0} whole {whole:.0}");
    Ok(())
}
