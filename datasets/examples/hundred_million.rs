//! What a hundred million records cost that a source makes up: `cargo run --release -p unisono-datasets --example hundred_million [RECORDS]`.
//!
//! For each order, and for a split of nine tenths of the records, prints how long the sampler takes to be there, how long the first batch of a step that
//! a training is resumed at, of the first batch from a loader that is started there, and the most memory that the process has had until then.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use unisono_datasets::{
    Allowed, Draw, Key, Loader, LoaderOptions, Order, Part, Record, Result, Sampler, Share, Source,
};

/// Records that are nowhere.
#[derive(Debug)]
struct MadeUp(usize);

impl Source for MadeUp {
    fn path(&self) -> &Path {
        Path::new("made up")
    }

    fn len(&self) -> usize {
        self.0
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        Ok(Cow::Owned(Record { id: index.to_string(), ..Record::default() }))
    }

    fn key(&self, index: usize) -> Key<'_> {
        let split = if index.is_multiple_of(10) { "val" } else { "train" };
        Key { split: Some(split), ..Key::default() }
    }

    fn sum(&self) -> Result<String> {
        Ok(String::new())
    }

    fn block(&self) -> usize {
        1000
    }
}

/// The most memory that the process has had, in MB.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
    format!("{:.1} MB", kilobytes / 1e3)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let n = std::env::args().nth(1).map_or(Ok(100_000_000), |n| n.parse::<usize>())?;
    println!("{n} records, batches of 4096; before: {}", peak());
    let orders = [
        ("all, global", Order::Global, false),
        ("all, blocks", Order::Auto, false),
        ("a split, global", Order::Global, true),
    ];
    for (name, order, split) in orders {
        let begun = Instant::now();
        let source = Arc::new(MadeUp(n));
        let records = match split {
            true => Part::of(source, |key| key.split == Some("train"))?,
            false => Part::all(source),
        };
        let sampler = Sampler::new(vec![Share { order, ..Share::new("a", records, 4096) }], 1)?;
        let there = begun.elapsed();
        // A step in the middle of the third epoch.
        let step = (n as u64 * 5 / 2) / 4096;
        let begun = Instant::now();
        let draws = sampler.batch(step);
        let batch = begun.elapsed();
        let begun = Instant::now();
        let options = LoaderOptions {
            workers: 2,
            prefetch: 2,
            start_step: step,
            end_step: u64::MAX,
            max_skip: Allowed { records: 0, fraction: 0.0 },
            rank: (0, 1),
        };
        let prepare = |draw: &Draw, _: &Record| Ok::<_, String>(draw.index);
        let mut loader = Loader::start(Arc::new(sampler), options, prepare)?;
        let first = loader.next().transpose()?.map(|batch| batch.items);
        let same =
            first.as_deref().is_some_and(|items| items.iter().eq(draws.iter().map(|draw| &draw.index)));
        println!(
            "{name}: sampler {there:.3?}, a batch of step {step} {batch:.3?}, resumed there {:.3?}, the same: {same}; {}",
            begun.elapsed(),
            peak()
        );
    }
    Ok(())
}
