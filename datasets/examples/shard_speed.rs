//! How fast tar shards are indexed, opened and read: `cargo run --release -p unisono-datasets --example shard_speed [SHARDS [RECORDS [BYTES]]]`.
//!
//! Makes up shards in a folder for the time, each record an "image" of so many bytes, a caption and JSON.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;
use unisono_datasets::{SourceConfig, open};

type Failed = Box<dyn std::error::Error>;

fn shard(path: &Path, records: usize, image: &[u8]) -> Result<(), Failed> {
    let mut tar = tar::Builder::new(std::io::BufWriter::new(std::fs::File::create(path)?));
    for i in 0..records {
        let mut member = |ending: &str, data: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("{i:09}.{ending}"), data)
        };
        member("jpg", image)?;
        member("txt", format!("the caption of number {i}").as_bytes())?;
        member("json", format!("{{\"split\": \"train\", \"width\": 640, \"key\": \"{i:09}\"}}").as_bytes())?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// The most memory that the process has had, in MB.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
    format!("{:.1} MB", kilobytes / 1e3)
}

fn main() -> Result<(), Failed> {
    let mut numbers = std::env::args().skip(1).map(|n| n.parse::<usize>());
    let mut next = |usual| numbers.next().unwrap_or(Ok(usual));
    let (shards, records, bytes) = (next(1000)?, next(100)?, next(2000)?);
    let dir = tempfile::tempdir()?;
    let image: Vec<u8> = (0..bytes).map(|i| (i * 31) as u8).collect();
    for i in 0..shards {
        shard(&dir.path().join(format!("{i:05}.tar")), records, &image)?;
    }
    let size: u64 =
        std::fs::read_dir(dir.path())?.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum();
    println!("{shards} shards of {records} records, {:.0} MB; before: {}", size as f64 / 1e6, peak());
    for what in ["indexed and opened", "opened with indices"] {
        let begun = Instant::now();
        let source = open(&SourceConfig::new(dir.path()))?;
        let first = source.record(0)?.id.clone();
        let time = begun.elapsed().as_secs_f64();
        println!(
            "{what}, first record {first}: {time:.3} s ({:.0} MB/s, {:.0} records/s); {}",
            size as f64 / 1e6 / time,
            source.len() as f64 / time,
            peak()
        );
        let begun = Instant::now();
        let trained = (0..source.len()).filter(|i| source.key(*i).split == Some("train")).count();
        println!("  keys: {:.0}/s", trained as f64 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let (mut buffer, count) = (Vec::new(), source.len().min(20_000));
        for i in 0..count {
            // From all over.
            let record = source.record((i * 7919) % source.len())?;
            buffer.clear();
            if let Some(image) = &record.image {
                image.open()?.read_to_end(&mut buffer)?;
            }
        }
        println!(
            "  records with their images, at random: {:.0}/s; {}",
            count as f64 / begun.elapsed().as_secs_f64(),
            peak()
        );
    }
    Ok(())
}
