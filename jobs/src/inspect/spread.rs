//! How numbers are spread: their ends, their middle, and a histogram.

use serde::Serialize;
use std::collections::BTreeMap;

/// Bars of a histogram at most.
const BARS: usize = 24;
/// Where the largest is so many times the smallest, bars are of one ratio instead of one width.
const FAR: f64 = 50.0;

/// How some numbers are spread.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// The middle one: of an even number the lower of two.
    pub median: f64,
    /// 95 % are at most this.
    pub p95: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// A histogram.
    pub bars: Vec<Bar>,
}

/// A bar of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bar {
    /// From here on,
    pub from: f64,
    /// up to here; only of the last bar this is in it, too.
    pub to: f64,
    /// so many.
    pub count: usize,
}

impl Spread {
    /// Of numbers that are not negative, by how often each was met; `whole`: they are counts, so that no bar is narrower than 1.
    pub(super) fn of(numbers: impl IntoIterator<Item = (f64, usize)>, whole: bool) -> Self {
        let mut numbers: Vec<(f64, usize)> =
            numbers.into_iter().filter(|(v, n)| v.is_finite() && *n > 0).collect();
        numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count: usize = numbers.iter().map(|(_, n)| n).sum();
        let (Some((min, _)), Some((max, _))) = (numbers.first().copied(), numbers.last().copied()) else {
            return Self::default();
        };
        let at = |share: f64| {
            let rank = ((count as f64 * share).ceil() as usize).max(1);
            let mut before = 0;
            let reached = numbers.iter().find(|(_, n)| {
                before += n;
                before >= rank
            });
            reached.map_or(max, |(value, _)| *value)
        };
        let mean = numbers.iter().map(|(value, n)| value * *n as f64).sum::<f64>() / count as f64;
        let bars = bars(&numbers, min, max, whole);
        Self { count, min, median: at(0.5), p95: at(0.95), max, mean, bars }
    }

    /// Whether its bars are of one ratio.
    pub fn is_far(&self) -> bool {
        far(self.min, self.max)
    }
}

fn far(min: f64, max: f64) -> bool {
    min > 0.0 && max / min > FAR
}

fn bars(numbers: &[(f64, usize)], min: f64, max: f64, whole: bool) -> Vec<Bar> {
    if min == max {
        let to = if whole { max + 1.0 } else { max };
        return vec![Bar { from: min, to, count: numbers.iter().map(|(_, n)| n).sum() }];
    }
    // Whole numbers fill up to the next one.
    let end = if whole { max + 1.0 } else { max };
    let edges: Vec<f64> = if far(min, max) {
        let ratio = (end / min).powf(1.0 / BARS as f64);
        let edge = |i: usize| min * ratio.powi(i as i32);
        let mut edges: Vec<f64> = (0..BARS).map(|i| if whole { edge(i).round() } else { edge(i) }).collect();
        edges.push(end);
        edges.dedup();
        edges
    } else {
        let width = (end - min) / BARS as f64;
        let width = if whole { width.ceil().max(1.0) } else { width };
        let bars = ((end - min) / width).ceil().max(1.0) as usize;
        (0..=bars).map(|i| min + width * i as f64).collect()
    };
    let mut bars: Vec<Bar> = edges.windows(2).map(|w| Bar { from: w[0], to: w[1], count: 0 }).collect();
    for (value, n) in numbers {
        let place = bars.partition_point(|bar| bar.from <= *value).saturating_sub(1);
        if let Some(bar) = bars.get_mut(place) {
            bar.count += n;
        }
    }
    bars
}

/// Counts of counts: captions of a record, words of a caption.
#[derive(Debug, Default)]
pub(super) struct Tallied(BTreeMap<u32, usize>);

impl Tallied {
    /// Larger ones count as this.
    const LARGEST: usize = 100_000;

    pub(super) fn add(&mut self, value: usize) {
        *self.0.entry(value.min(Self::LARGEST) as u32).or_insert(0) += 1;
    }

    pub(super) fn spread(self) -> Spread {
        Spread::of(self.0.into_iter().map(|(value, n)| (f64::from(value), n)), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hundred_numbers() {
        let spread = Spread::of((1..=100).map(|n| (f64::from(n), 1)), false);
        assert_eq!(
            (spread.count, spread.min, spread.median, spread.p95, spread.max),
            (100, 1.0, 50.0, 95.0, 100.0)
        );
        assert_eq!(spread.mean, 50.5);
        let none = Spread::of([], true);
        assert_eq!((none.count, none.bars.len()), (0, 0));
        let one = Spread::of([(3.0, 7)], true);
        assert_eq!(one.bars, [Bar { from: 3.0, to: 4.0, count: 7 }]);
    }

    proptest! {
        #[test]
        fn bars_hold_everything(numbers in prop::collection::vec((0u32..3000, 1usize..5), 1..60), whole in any::<bool>()) {
            let scale = if whole { 1.0 } else { 0.37 };
            let numbers: Vec<(f64, usize)> = numbers.iter().map(|(v, n)| (f64::from(*v) * scale, *n)).collect();
            let spread = Spread::of(numbers.clone(), whole);
            prop_assert_eq!(spread.bars.iter().map(|b| b.count).sum::<usize>(), spread.count);
            prop_assert!(spread.bars.len() <= BARS + 1);
            let mut naive: Vec<f64> = numbers.iter().flat_map(|(v, n)| vec![*v; *n]).collect();
            naive.sort_by(f64::total_cmp);
            prop_assert_eq!(spread.median, naive[(naive.len() - 1) / 2]);
            for (i, bar) in spread.bars.iter().enumerate() {
                let last = i + 1 == spread.bars.len();
                let held = naive.iter().filter(|v| **v >= bar.from && (**v < bar.to || last)).count();
                prop_assert_eq!(held, bar.count, "{:?}", bar);
            }
        }
    }
}
