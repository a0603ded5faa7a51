//! Images a second through an image tower, decoded images to vectors: `tower_speed DIR PRECISION BATCH ROUNDS`.
//! Prints the median and the best round, and the same for the image processor on 640x480 pixels.

use image::{Rgb, RgbImage};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Mode, Model, Precision};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, precision, batch, rounds] = args.as_slice() else {
        return Err("usage: tower_speed DIR fp32|bf16|int8 BATCH ROUNDS".into());
    };
    let (batch, rounds): (i64, usize) = (batch.parse()?, rounds.parse()?);
    let mut model = Model::load(Path::new(dir), Device::Cpu)?;
    model.prepare(precision.parse::<Precision>()?)?;
    let [h, w] = model.config().image.as_ref().ok_or("no image tower")?.size().sides;
    let pixels = Tensor::f_randn([batch, 3, h, w], (Kind::Float, Device::Cpu))?.f_contiguous()?;
    let run = || tch::no_grad(|| model.forward_image(&pixels, Mode::Eval));
    let _ = run()?;
    let mut seconds = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let _ = run()?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let rate = |s: f64| batch as f64 / s;
    let processor = model.image_processor()?;
    let photo = RgbImage::from_fn(640, 480, |x, y| Rgb([(x * y) as u8, x as u8, (y * 3) as u8]));
    let begun = Instant::now();
    for _ in 0..50 {
        let _ = unisono_encoders::batch::images(processor, &[processor.prepare(&photo)], Device::Cpu)?;
    }
    let process = 50.0 / begun.elapsed().as_secs_f64();
    println!("{:.2} {:.2} {process:.1}", rate(seconds[rounds / 2]), rate(seconds[0]));
    Ok(())
}
