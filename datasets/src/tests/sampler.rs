use super::*;
use crate::{Manifest, Source};
use proptest::prelude::*;

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
    Share::new(name, records, per_batch)
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

proptest! {
    /// Whatever the sizes: each record once an epoch, and the ranks' parts are the batch.
    #[test]
    fn ranks_share_what_one_would_see(
        n in 1usize..90,
        per_batch in 1usize..20,
        ranks in 1usize..9,
        seed: u64,
        blocks: Option<(u64, u64)>,
    ) {
        let order = blocks.map_or(Order::Global, |(block, buffer)| Order::Blocks { block: block % 9 + 1, buffer: buffer % 4 + 1 });
        let sampler = Sampler::new(vec![Share { order, ..share("a", n, per_batch) }], seed).unwrap();
        let mut seen = vec![0; n];
        // So many batches end where an epoch ends.
        for step in 0..n as u64 {
            let parts: Vec<Draw> = (0..ranks).flat_map(|rank| sampler.part(step, rank, ranks)).collect();
            prop_assert_eq!(&parts, &sampler.batch(step));
            parts.iter().for_each(|d| seen[d.index] += 1);
            let sizes: Vec<usize> = (0..ranks).map(|rank| sampler.part(step, rank, ranks).len()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
        prop_assert!(seen.iter().all(|count| *count == per_batch));
    }

    #[test]
    fn the_tail_is_dropped_or_padded(n in 1usize..60, per_batch in 1usize..20, epoch in 0u64..3) {
        let padded = Sampler::new(vec![Share { tail: Tail::Pad, ..share("a", n, per_batch) }], 1).unwrap();
        let batches = n.div_ceil(per_batch) as u64;
        let draws: Vec<Draw> = (epoch * batches..(epoch + 1) * batches).flat_map(|s| padded.batch(s)).collect();
        prop_assert_eq!(draws.len() as u64, batches * per_batch as u64);
        prop_assert!(draws.iter().all(|d| d.epoch == epoch));
        let mut real: Vec<usize> = draws.iter().filter(|d| !d.padding).map(|d| d.index).collect();
        real.sort_unstable();
        prop_assert_eq!(real, (0..n).collect::<Vec<_>>());

        let dropped = Sampler::new(vec![Share { tail: Tail::Drop, ..share("a", n, per_batch) }], 1);
        prop_assert_eq!(dropped.is_err(), per_batch > n);
        if let Ok(sampler) = dropped {
            let batches = (n / per_batch) as u64;
            let draws: Vec<Draw> = (epoch * batches..(epoch + 1) * batches).flat_map(|s| sampler.batch(s)).collect();
            let distinct: std::collections::BTreeSet<usize> = draws.iter().map(|d| d.index).collect();
            prop_assert_eq!(distinct.len(), n / per_batch * per_batch);
            prop_assert!(draws.iter().all(|d| d.epoch == epoch && !d.padding));
        }
    }
}

#[test]
fn weights_divide_every_batch() {
    let weighted = |name: &str, n, weight| Share { rate: Rate::Weight(weight), ..share(name, n, 1) };
    let sampler = Sampler::mixed(vec![weighted("a", 23, 3.0), weighted("b", 7, 1.0)], 5, 6).unwrap();
    let mut drawn = [Vec::new(), Vec::new()];
    for step in 0..400 {
        let batch = sampler.batch(step);
        assert_eq!(batch.len(), 6);
        batch.into_iter().for_each(|d| drawn[d.share].push(d));
    }
    assert_eq!(drawn.each_ref().map(Vec::len), [1800, 600]);
    for (draws, n) in drawn.iter().zip([23, 7]) {
        assert!(draws.iter().enumerate().all(|(k, d)| d.draw == k as u64));
        for epoch in draws.chunks_exact(n) {
            let distinct: std::collections::BTreeSet<usize> = epoch.iter().map(|d| d.index).collect();
            assert_eq!(distinct.len(), n);
        }
    }
    assert!((sampler.epoch(0, 400) - 1800.0 / 23.0).abs() < 1e-9);
    let refused = |shares| Sampler::mixed(shares, 5, 6).unwrap_err().to_string();
    assert!(refused(vec![weighted("a", 3, 1.0), share("b", 3, 1)]).contains("give every source a weight"));
    assert!(refused(vec![Share { tail: Tail::Pad, ..weighted("a", 3, 1.0) }]).contains("groups or a tail"));
    assert!(refused(vec![weighted("a", 3, -1.0)]).contains("positive number"));
    let said = Sampler::new(vec![weighted("a", 3, 1.0)], 0).unwrap_err().to_string();
    assert!(said.contains("say how many places"), "{said}");
}

/// Records that nobody holds: as many as one likes.
#[derive(Debug)]
struct MadeUp(usize);

impl Source for MadeUp {
    fn path(&self) -> &std::path::Path {
        std::path::Path::new("made-up")
    }
    fn len(&self) -> usize {
        self.0
    }
    fn record(&self, index: usize) -> Result<std::borrow::Cow<'_, Record>> {
        Ok(std::borrow::Cow::Owned(Record { id: index.to_string(), ..Record::default() }))
    }
    fn key(&self, _: usize) -> crate::Key<'_> {
        crate::Key { text: true, ..crate::Key::default() }
    }
    fn sum(&self) -> Result<String> {
        Ok(String::new())
    }
    fn block(&self) -> usize {
        1000
    }
}

/// A hundred million records: nothing is written down of them, and any step of the thousandth epoch is there at once.
#[test]
fn a_hundred_million_records_cost_nothing() {
    let n = 100_000_000;
    for order in [Order::Auto, Order::Global] {
        let records = Part::all(Arc::new(MadeUp(n)));
        let sampler = Sampler::new(vec![Share { order, ..Share::new("a", records, 4096) }], 1).unwrap();
        let step = 1000 * (n as u64) / 4096 + 17;
        let draws = sampler.batch(step);
        assert_eq!(draws, sampler.batch(step));
        let distinct: std::collections::BTreeSet<usize> = draws.iter().map(|d| d.index).collect();
        assert!(draws.len() == 4096 && distinct.len() == 4096 && distinct.iter().all(|i| *i < n));
        assert_eq!(sampler.record(&draws[0]).unwrap().id, draws[0].index.to_string());
    }
}

#[test]
fn impossible_sources_are_refused() {
    let error = |sources| Sampler::new(sources, 0).unwrap_err().to_string();
    assert_eq!(error(vec![]), "a sampler needs at least one source of records");
    assert_eq!(error(vec![share("a", 0, 2)]), "source \"a\" has no records: is its split name right?");
    assert_eq!(error(vec![share("a", 2, 0)]), "source \"a\" has per_batch = 0: leave it out or raise it");
    let grouped = Share { groups: vec![1], ..share("a", 2, 1) };
    let tail = Share { groups: vec![1, 2], tail: Tail::Drop, ..share("a", 2, 1) };
    assert!(error(vec![tail]).contains("leave the tail out"));
    let other = Draw { share: 1, index: 0, epoch: 0, draw: 0, padding: false };
    let sampler = Sampler::new(vec![share("a", 2, 1)], 0).unwrap();
    assert_eq!(sampler.record(&other).unwrap_err().to_string(), "there is no share of number 1");
    let beyond = Draw { share: 0, index: 2, ..other };
    assert_eq!(sampler.record(&beyond).unwrap_err().to_string(), "a: there is no record of number 2");
    assert_eq!(error(vec![grouped]), "source \"a\" has 1 groups for 2 records");
}
