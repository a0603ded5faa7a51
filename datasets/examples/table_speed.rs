//! How fast rows of tables are read: `cargo run --release --example table_speed -- PATH [ROWS]`, a Parquet file, a folder of them or one that
//! `save_to_disk` wrote. Reads rows with their images at random, then as blocks in a random order, on one thread and on two.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use unisono_datasets::{Source, SourceConfig, open};

/// The next number of a fixed row of them (SplitMix64).
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("VmHWM: unknown").replace('\t', " ")
}

fn read(source: &dyn Source, name: &str, rows: &[usize], threads: usize) {
    let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut held = Vec::new();
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Ok(record) = source.record(*row) else { continue };
                    for blob in record.image.iter().chain(&record.audio).chain(&record.video) {
                        held.clear();
                        blob.open().unwrap().read_to_end(&mut held).unwrap();
                        bytes.fetch_add(held.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let (rate, mb) = (rows.len() as f64 / seconds, bytes.into_inner() as f64 / 1e6);
    println!("{name}, {threads} threads: {rate:.0} rows/s, {:.0} MB/s; {}", mb / seconds, peak());
}

fn main() {
    let path = PathBuf::from(std::env::args().nth(1).expect("PATH"));
    let most = std::env::args().nth(2).map_or(20_000, |n| n.parse().unwrap());
    let start = Instant::now();
    let source = open(&SourceConfig::new(path)).unwrap();
    let opened = start.elapsed().as_secs_f64() * 1e3;
    let (len, block) = (source.len(), source.block());
    println!("{len} rows, blocks of {block}, opened in {opened:.1} ms; {}", peak());
    let count = len.min(most);
    let random: Vec<usize> = (0..count as u64).map(|i| (mix(i) % len as u64) as usize).collect();
    let blocks = len.div_ceil(block) as u64;
    let first = |i: u64| (mix(i) % blocks) as usize * block;
    let by_block: Vec<usize> =
        (0..).flat_map(|i| first(i)..(first(i) + block).min(len)).take(count).collect();
    for threads in [1, 2] {
        read(&*source, "at random", &random, threads);
        read(&*source, "by blocks", &by_block, threads);
    }
}
