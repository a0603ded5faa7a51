use super::*;
use crate::rng::{Purpose, rng};
use crate::{Manifest, Part, Record, Share};
use rand::RngCore;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

fn sampler(records: usize, per_batch: usize) -> Arc<Sampler> {
    let records = (0..records).map(|i| Record { id: format!("r{i}"), ..Record::default() }).collect();
    let manifest = Manifest { path: "m.jsonl".into(), records };
    let records = Part::of(Arc::new(manifest), |_| true).unwrap();
    Arc::new(Sampler::new(vec![Share::new("s", records, per_batch)], 3).unwrap())
}

fn options(workers: usize, steps: u64) -> LoaderOptions {
    let max_skip = Allowed { records: 1000, fraction: 0.0 };
    LoaderOptions { workers, prefetch: 3, start_step: 0, end_step: steps, max_skip, rank: (0, 1) }
}

fn prepare(draw: &Draw, record: &Record) -> std::result::Result<(String, u64), String> {
    let value = rng(3, draw.epoch, draw.draw, Purpose::Augment).next_u64();
    // Uneven work: without reassembly, later samples would overtake.
    (0..value % 20_000).for_each(|i| {
        std::hint::black_box(i);
    });
    if draw.index % 11 == 5 { Err("broken".into()) } else { Ok((record.id.clone(), value)) }
}

fn all(mut loader: Loader<(String, u64)>) -> Vec<Batch<(String, u64)>> {
    std::iter::from_fn(|| loader.next()).map(Result::unwrap).collect()
}

#[test]
fn batches_do_not_depend_on_the_number_of_workers() {
    let run = |workers| all(Loader::start(sampler(50, 8), options(workers, 20), prepare).unwrap());
    let one = run(1);
    assert_eq!(one.iter().map(|b| b.step).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
    // Items are in draw order.
    for batch in &one {
        let sampler = sampler(50, 8);
        let expected: Vec<String> = sampler
            .batch(batch.step)
            .iter()
            .filter(|d| d.index % 11 != 5)
            .map(|d| sampler.record(d).unwrap().id.clone())
            .collect();
        assert_eq!(batch.items.iter().map(|i| i.0.clone()).collect::<Vec<_>>(), expected);
    }
}

/// Cut at every batch of two epochs.
#[test]
fn a_resumed_run_goes_on_where_it_stopped() {
    let whole = all(Loader::start(sampler(50, 8), options(2, 13), prepare).unwrap());
    let items =
        |batches: &[Batch<_>]| batches.iter().map(|b| b.items.clone()).collect::<Vec<Vec<(String, u64)>>>();
    for cut in 0..=13 {
        let rest = LoaderOptions { start_step: cut, ..options(2, 13) };
        let resumed = all(Loader::start(sampler(50, 8), rest, prepare).unwrap());
        assert_eq!(items(&whole[cut as usize..]), items(&resumed));
    }
}

#[test]
fn ranks_load_what_one_would() {
    let whole = all(Loader::start(sampler(50, 8), options(2, 9), prepare).unwrap());
    let of = |rank| {
        let options = LoaderOptions { rank: (rank, 3), ..options(2, 9) };
        all(Loader::start(sampler(50, 8), options, prepare).unwrap())
    };
    let parts: Vec<_> = (0..3).map(of).collect();
    for (step, batch) in whole.iter().enumerate() {
        let joined: Vec<_> = parts.iter().flat_map(|p| p[step].items.clone()).collect();
        assert_eq!(joined, batch.items);
    }
    // Batches of two for three ranks: one of them has no place in any.
    let of = |rank| {
        let options = LoaderOptions { rank: (rank, 3), ..options(2, 9) };
        all(Loader::start(sampler(50, 2), options, prepare).unwrap())
    };
    let parts: Vec<_> = (0..3).map(of).collect();
    for (step, batch) in
        all(Loader::start(sampler(50, 2), options(2, 9), prepare).unwrap()).iter().enumerate()
    {
        let joined: Vec<_> = parts.iter().flat_map(|p| p[step].items.clone()).collect();
        assert_eq!(joined, batch.items);
    }
    let wrong = LoaderOptions { rank: (3, 3), ..options(1, 1) };
    assert!(Loader::start(sampler(50, 8), wrong, prepare).is_err());
}

#[test]
fn it_is_told_where_the_time_goes() {
    let spin = |n: u64| {
        (0..n).for_each(|i| {
            std::hint::black_box(i);
        })
    };
    let prepare = move |_: &Draw, _: &Record| {
        timed(Stage::Decode, || {
            spin(400_000);
            timed(Stage::Augment, || spin(40_000));
        });
        Ok::<_, String>(())
    };
    let mut loader = Loader::start(sampler(20, 4), options(1, 10), prepare).unwrap();
    while loader.next().is_some() {}
    let stats = loader.stats();
    let [(_, read), (_, decode), (_, augment), (_, rest)] = stats.shares();
    assert!(decode > augment && augment > 0.0 && (read + decode + augment + rest - 1.0).abs() < 1e-6);
    assert!(stats.depth() <= 3.0);
    // Half of the time was waited; then none of it.
    let waited = LoaderStats { wait: Duration::from_secs(5), ..stats };
    let verdict = waited.verdict(10.0, 1).unwrap();
    assert!(verdict.starts_with("50 % of the time") && verdict.contains("is decode"), "{verdict}");
    assert_eq!(LoaderStats { wait: Duration::ZERO, ..stats }.verdict(10.0, 1), None);
}

#[test]
fn skipped_records_are_named_once_and_counted() {
    let mut loader = Loader::start(sampler(22, 11), options(2, 6), prepare).unwrap();
    let (mut samples, mut skips, mut again) = (0, Vec::new(), 0);
    while let Some(batch) = loader.next() {
        let batch = batch.unwrap();
        samples += batch.items.len() as u64;
        skips.extend(batch.skipped);
        again += batch.again;
    }
    // Three epochs of 22 records, of which r5 and r16 are broken.
    assert_eq!((skips.len(), again), (2, 4));
    assert!(skips.iter().all(|s| s.reason == "broken"));
    assert_eq!(loader.skipped().keys().collect::<Vec<_>>(), ["r16", "r5"]);
    let stats = loader.stats();
    assert_eq!((stats.batches, stats.samples, stats.skipped), (6, samples, 6));
    assert!(stats.work > Duration::ZERO);
    let faults = loader.faults();
    assert_eq!((faults.len(), faults[0].count, faults[0].cause.as_str()), (1, 2, "broken"));
    assert_eq!((faults[0].source.as_str(), &*faults[0].stage), ("s", "decode"));
}

#[test]
fn too_many_skips_end_the_run() {
    let limited = LoaderOptions { max_skip: Allowed { records: 1, fraction: 0.0 }, ..options(2, 100) };
    let mut loader = Loader::start(sampler(22, 11), limited, prepare).unwrap();
    let failure = std::iter::from_fn(|| loader.next()).find_map(|batch| batch.err()).unwrap();
    assert!(matches!(&failure, Error::TooManySkipped { count: 2, max: 1, .. }), "{failure}");
    assert!(failure.to_string().ends_with(": broken"), "{failure}");
    while loader.next().is_some() {}
}

#[test]
fn a_panic_is_an_error_not_a_hang() {
    let prepare = |draw: &Draw, _: &Record| -> std::result::Result<(), String> {
        assert!(draw.draw != 17, "no luck");
        Ok(())
    };
    for workers in [1, 3] {
        let mut loader = Loader::start(sampler(50, 8), options(workers, 100), prepare).unwrap();
        let failure = std::iter::from_fn(|| loader.next()).find_map(|batch| batch.err()).unwrap();
        assert!(matches!(&failure, Error::WorkerPanic { message, .. } if message == "no luck"), "{failure}");
        while loader.next().is_some() {}
    }
}

#[test]
fn dropping_in_the_middle_stops_the_workers() {
    let alive = Arc::new(());
    let held = alive.clone();
    let (sender, receiver) = mpsc::channel();
    let prepare = move |_: &Draw, _: &Record| {
        let _ = &held;
        sender.send(()).map_err(|e| e.to_string())
    };
    let mut loader = Loader::start(sampler(1000, 64), options(4, u64::MAX), prepare).unwrap();
    loader.next().unwrap().unwrap();
    drop(loader);
    // Joined: no worker holds `prepare`, nor what it captured, any more.
    assert_eq!(Arc::strong_count(&alive), 1);
    assert!(receiver.try_iter().count() >= 64);
}

#[test]
fn no_more_is_prepared_ahead_than_asked_for() {
    let prepared = Arc::new(AtomicUsize::new(0));
    let counter = prepared.clone();
    let prepare = move |_: &Draw, _: &Record| Ok::<_, String>(counter.fetch_add(1, Ordering::SeqCst));
    let mut loader =
        Loader::start(sampler(100, 4), LoaderOptions { prefetch: 2, ..options(3, 50) }, prepare).unwrap();
    for taken in 1..=50 {
        loader.next().unwrap().unwrap();
        assert!(prepared.load(Ordering::SeqCst) <= (taken + 2) * 4);
    }
    assert!(loader.next().is_none());
    assert_eq!(prepared.load(Ordering::SeqCst), 200);
}

#[test]
fn impossible_options_are_refused() {
    let start = |options| Loader::start(sampler(5, 2), options, prepare).map(|_| ()).unwrap_err().to_string();
    assert!(start(options(0, 5)).contains("at least 1 worker"));
    assert!(start(LoaderOptions { prefetch: 0, ..options(1, 5) }).contains("1 batch of prefetch"));
    assert!(
        start(LoaderOptions { start_step: 9, ..options(1, 5) }).contains("from step 9 to an earlier one, 5")
    );
    let mut empty = Loader::start(sampler(5, 2), options(2, 0), prepare).unwrap();
    assert!(empty.next().is_none());
}
