use super::*;
use crate::Manifest;

#[test]
fn groups_share_batches_and_every_record_comes_once_an_epoch() {
    let groups: Vec<u32> = (0..50).map(|i| if i < 23 { 0 } else { 1 + i % 3 }).collect();
    let share = Share { groups: groups.clone(), ..share("s", 50, 4) };
    let sampler = Sampler::new(vec![share], 7).unwrap();
    for epoch in 0..3u64 {
        let batches: Vec<Vec<Draw>> = (epoch * 13..(epoch + 1) * 13).map(|s| sampler.batch(s)).collect();
        let mut seen: Vec<usize> = batches.iter().flatten().map(|d| d.index).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        assert!(batches.iter().flatten().all(|d| d.epoch == epoch));
        // 23 = 5 batches and 3 left, 9 = 2 batches and 1 left of each other group: 11 pure batches.
        let pure = batches.iter().filter(|b| b.iter().all(|d| groups[d.index] == groups[b[0].index])).count();
        assert!(pure >= 11, "{pure}");
    }
    assert_ne!(
        sampler.batch(0).iter().map(|d| d.index).collect::<Vec<_>>(),
        sampler.batch(13).iter().map(|d| d.index).collect::<Vec<_>>()
    );
}

fn share(name: &str, n: usize, per_batch: usize) -> Share {
    let record = |i| Record { id: format!("{name}{i}"), ..Record::default() };
    let manifest = Manifest { path: name.into(), records: (0..n).map(record).collect() };
    let records = Part::of(Arc::new(manifest), |_| true).unwrap();
    Share { name: name.into(), records, per_batch, groups: Vec::new() }
}

fn ids(sampler: &Sampler, step: u64) -> Vec<String> {
    sampler.batch(step).iter().map(|d| sampler.record(d).unwrap().id.clone()).collect()
}

#[test]
fn every_record_comes_once_an_epoch_of_its_source() {
    // Sizes that do not divide: epochs end in the middle of batches, and one source is smaller than its share.
    let sampler = Sampler::new(vec![share("a", 23, 5), share("b", 3, 7)], 9).unwrap();
    assert_eq!(sampler.batch_size(), 12);
    for (number, (n, per_batch)) in [(23, 5), (3, 7)].into_iter().enumerate() {
        let draws: Vec<Draw> =
            (0..69).flat_map(|step| sampler.batch(step)).filter(|d| d.share == number).collect();
        assert_eq!(draws.len(), 69 * per_batch);
        let mut orders = std::collections::HashSet::new();
        for (epoch, chunk) in draws.chunks_exact(n).enumerate() {
            let mut seen: Vec<usize> = chunk.iter().map(|d| d.index).collect();
            assert!(chunk.iter().all(|d| d.epoch == epoch as u64));
            orders.insert(seen.clone());
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
        assert!(orders.len() > 1, "every epoch has the same order");
        assert!(draws.iter().enumerate().all(|(k, d)| d.draw == k as u64));
    }
    assert_eq!((sampler.epoch(0, 23), sampler.epoch(1, 3), sampler.epoch(7, 3)), (5.0, 7.0, 0.0));
}

#[test]
fn a_batch_depends_on_seed_and_step_only() {
    let make = |seed| Sampler::new(vec![share("a", 23, 5), share("b", 8, 3)], seed).unwrap();
    let forward = make(1);
    let expected: Vec<_> = (0..40).map(|step| ids(&forward, step)).collect();
    let backward = make(1);
    for step in (0..40).rev() {
        assert_eq!(ids(&backward, step), expected[step as usize]);
    }
    assert_eq!(ids(&make(1), 1_000_000), ids(&forward, 1_000_000));
    assert_ne!(ids(&make(2), 0), expected[0]);
}

/// Fisher-Yates makes every order of four records equally often: 24,000 epochs give each of the 24 about 1,000 times, and
/// the chi-squared statistic of 23 degrees of freedom stays below its 99.9 % point.
#[test]
fn every_order_is_equally_likely() {
    let mut counts = std::collections::HashMap::new();
    for epoch in 0..24_000 {
        *counts.entry(permutation(5, 0, epoch, 4)).or_insert(0u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    let chi: f64 = counts.values().map(|&c| (f64::from(c) - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi < 49.7, "{chi}");
}

/// Recorded once: a change of the stream would silently change every training.
#[test]
fn the_order_is_pinned() {
    assert_eq!(permutation(0, 0, 0, 8), [3, 2, 6, 7, 1, 0, 5, 4]);
}

#[test]
fn impossible_sources_are_refused() {
    let error = |sources| Sampler::new(sources, 0).unwrap_err().to_string();
    assert_eq!(error(vec![]), "a sampler needs at least one source of records");
    assert_eq!(error(vec![share("a", 0, 2)]), "source \"a\" has no records: is its split name right?");
    assert_eq!(error(vec![share("a", 2, 0)]), "source \"a\" has per_batch = 0: leave it out or raise it");
    let grouped = Share { groups: vec![1], ..share("a", 2, 1) };
    let other = Draw { share: 1, index: 0, epoch: 0, draw: 0 };
    let sampler = Sampler::new(vec![share("a", 2, 1)], 0).unwrap();
    assert_eq!(sampler.record(&other).unwrap_err().to_string(), "there is no share of number 1");
    let beyond = Draw { share: 0, index: 2, ..other };
    assert_eq!(sampler.record(&beyond).unwrap_err().to_string(), "a: there is no record of number 2");
    assert_eq!(error(vec![grouped]), "source \"a\" has 1 groups for 2 records");
}
