//! Images a second from a source of records to normalised tensors of 224, as a training loads them: `loader_speed PATH WORKERS [BATCH]`.
//! Prints JSON: images/s over one epoch after the first batch, seconds to open and to the first batch, the shares of the workers' time,
//! and the most memory that the process had. Its counterpart: `benches/loader.py`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tch::Device;
use unisono_datasets::{
    Allowed, Loader, LoaderOptions, Part, Sampler, Share, SourceConfig, Stage, Tail, open, timed,
};
use unisono_media::{Limits, decode};
use unisono_processors::{ImageProcessor, Json, Size, prepare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, workers, rest @ ..] = args.as_slice() else {
        return Err("usage: loader_speed PATH WORKERS [BATCH]".into());
    };
    let (workers, batch): (usize, usize) = (workers.parse()?, rest.first().map_or(Ok(64), |b| b.parse())?);
    tch::set_num_threads(1);
    unisono_torch_ext::library::keep_freed_memory();
    let defaults = Json::new(Path::new("defaults"), &serde_json::Value::Null);
    let processor = ImageProcessor::from_open_clip(defaults, Size::from(224))?;
    let image_options = prepare::image_options(&processor, Limits::default());
    let begun = Instant::now();
    let source = open(&SourceConfig::new(path.as_str()))?;
    let opened = begun.elapsed().as_secs_f64();
    let steps = source.len().div_ceil(batch) as u64;
    let share = Share { tail: Tail::Pad, ..Share::new("data", Part::all(source), batch) };
    let sampler = Arc::new(Sampler::new(vec![share], 1)?);
    let options = LoaderOptions {
        workers,
        prefetch: 4,
        start_step: 0,
        end_step: steps,
        max_skip: Allowed { records: 0, fraction: 0.0 },
        rank: (0, 1),
    };
    let seen = processor.clone();
    let mut loader = Loader::start(sampler, options, move |_, record| {
        let blob = record.image.as_ref().ok_or_else(|| format!("{}: no image", record.id))?;
        let image =
            timed(Stage::Decode, || decode::image(blob, &image_options)).map_err(|e| e.to_string())?;
        Ok::<_, String>(timed(Stage::Augment, || seen.prepare(&image)))
    })?;
    let (mut images, mut first) = (0, None);
    while let Some(batch) = loader.next() {
        let batch = batch?.real();
        let tensor = unisono_encoders::batch::images(&processor, &batch, Device::Cpu)?;
        match first {
            None => first = Some(begun.elapsed().as_secs_f64()),
            Some(_) => images += tensor.size()[0],
        }
    }
    let first = first.unwrap_or(0.0);
    let stats = loader.stats();
    let shares: serde_json::Map<String, serde_json::Value> =
        stats.shares().into_iter().map(|(stage, share)| (stage.to_owned(), share.into())).collect();
    let result = serde_json::json!({
        "images_per_second": images as f64 / (begun.elapsed().as_secs_f64() - first),
        "open_seconds": opened,
        "first_batch_seconds": first,
        "peak_mib": peak_mib(),
        "queue_depth": stats.depth(),
        "shares": shares,
    });
    println!("{result}");
    Ok(())
}

/// The most memory that this process had, MiB; 0 where the system does not say.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}
