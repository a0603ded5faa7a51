//! Intervals, quantiles and chance against naive implementations and closed forms.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use unisono_eval::chance::{first_position, recall_at};
use unisono_eval::stats::{Bootstrap, Clusters, Estimate, percentile};

/// The quantile by its definition: the value at place `p (n - 1)` of the sorted sample, on the straight line between its neighbours.
fn naive_quantile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = p * (sorted.len() - 1) as f64;
    (0..sorted.len()).map(|i| sorted[i] * (1.0 - (place - i as f64).abs()).max(0.0)).sum()
}

/// Draws clusters, lists every item of them, takes the mean of the list.
fn naive_bootstrap(values: &[f64], keys: &[usize], b: &Bootstrap) -> Estimate {
    let mut names = Vec::new();
    for key in keys {
        if !names.contains(key) {
            names.push(*key);
        }
    }
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
    let means: Vec<f64> = (0..b.resamples as u64)
        .map(|resample| {
            let mut rng = ChaCha8Rng::seed_from_u64(b.seed);
            rng.set_stream(resample);
            let mut list = Vec::new();
            for _ in 0..names.len() {
                let drawn = names[rng.random_range(0..names.len())];
                list.extend(values.iter().zip(keys).filter(|(_, key)| **key == drawn).map(|(v, _)| *v));
            }
            mean(&list)
        })
        .collect();
    let tail = (1.0 - b.level) / 2.0;
    let [low, high] = [tail, 1.0 - tail].map(|p| naive_quantile(&means, p));
    Estimate { value: mean(values), low, high }
}

fn clusters(keys: &[usize]) -> Clusters {
    let names: Vec<String> = keys.iter().map(usize::to_string).collect();
    Clusters::by_key(names.iter().map(String::as_str))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

fn same(a: Estimate, b: Estimate) -> bool {
    near(a.value, b.value) && near(a.low, b.low) && near(a.high, b.high)
}

/// Values, each with the cluster that it belongs to.
fn sample() -> impl Strategy<Value = Vec<(f64, usize)>> {
    proptest::collection::vec((-100.0..100.0f64, 0..6usize), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn intervals_are_those_of_whole_lists(sample in sample(), seed in 0..99u64, level in 0.5..0.99f64) {
        let (values, keys): (Vec<f64>, Vec<usize>) = sample.into_iter().unzip();
        let bootstrap = Bootstrap { resamples: 60, seed, level };
        let found = bootstrap.mean(&values, &clusters(&keys)).unwrap();
        prop_assert!(same(found, naive_bootstrap(&values, &keys, &bootstrap)), "{found}");
    }

    #[test]
    fn intervals_move_and_stretch_with_their_values(sample in sample(), by in -50.0..50.0f64, times in 0.1..9.0f64) {
        let (values, keys): (Vec<f64>, Vec<usize>) = sample.into_iter().unzip();
        let bootstrap = Bootstrap { resamples: 100, ..Bootstrap::default() };
        let of = |f: &dyn Fn(f64) -> f64| {
            let moved: Vec<f64> = values.iter().map(|&v| f(v)).collect();
            bootstrap.mean(&moved, &clusters(&keys)).unwrap()
        };
        let plain = of(&|v| v);
        let scaled = |v: f64| times * v + by;
        let expected = Estimate { value: scaled(plain.value), low: scaled(plain.low), high: scaled(plain.high) };
        prop_assert!(same(of(&scaled), expected));
        // Mirrored, the ends change places.
        let expected = Estimate { value: -plain.value, low: -plain.high, high: -plain.low };
        prop_assert!(same(of(&|v| -v), expected));
    }

    #[test]
    fn a_surer_interval_holds_a_less_sure_one(sample in sample()) {
        let (values, keys): (Vec<f64>, Vec<usize>) = sample.into_iter().unzip();
        let at = |level| Bootstrap { resamples: 100, level, ..Bootstrap::default() }.mean(&values, &clusters(&keys)).unwrap();
        let (wide, narrow) = (at(0.95), at(0.5));
        prop_assert!(wide.low <= narrow.low && narrow.low <= narrow.high && narrow.high <= wide.high);
        let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(l, m), &v| (l.min(v), m.max(v)));
        prop_assert!(least - 1e-9 <= wide.low && wide.high <= most + 1e-9);
    }

    #[test]
    fn quantiles_are_those_of_the_definition(mut values in proptest::collection::vec(-1e3..1e3f64, 1..40), p in 0.0..=1.0f64) {
        let naive = naive_quantile(&values, p);
        values.sort_by(f64::total_cmp);
        let found = percentile(&values, p).unwrap();
        prop_assert!(near(found, naive), "{found} {naive}");
        prop_assert!(percentile(&values, (p + 0.1).min(1.0)).unwrap() >= found - 1e-9);
        prop_assert_eq!(percentile(&values, 0.0), values.first().copied());
        prop_assert_eq!(percentile(&values, 1.0), values.last().copied());
    }

    #[test]
    fn chance_is_one_minus_a_ratio_of_binomials(gallery in 1..60usize, relevant in 1..60usize, k in 0..70usize) {
        let relevant = relevant.min(gallery);
        let choose = |n: usize, k: usize| (0..k).fold(1u128, |c, i| c * (n - i) as u128 / (i + 1) as u128);
        let miss = match k.min(gallery) {
            k if k > gallery - relevant => 0.0,
            k => choose(gallery - relevant, k) as f64 / choose(gallery, k) as f64,
        };
        prop_assert!(near(recall_at(k, gallery, relevant), 1.0 - miss));
        prop_assert!(recall_at(k + 1, gallery, relevant) >= recall_at(k, gallery, relevant) - 1e-12);
        prop_assert!(recall_at(k, gallery, relevant) >= recall_at(k, gallery, relevant - 1) - 1e-12);
    }

    /// The mean of a whole number is the sum of the chances that it is larger than 0, 1, 2…
    #[test]
    fn the_expected_place_is_the_sum_of_misses(gallery in 1..400usize, relevant in 1..20usize) {
        let relevant = relevant.min(gallery);
        let sum: f64 = (0..gallery).map(|k| 1.0 - recall_at(k, gallery, relevant)).sum();
        prop_assert!(near(first_position(gallery, relevant), sum));
    }
}

#[test]
fn a_share_has_the_interval_of_the_binomial() {
    let (n, share) = (2000, 0.3);
    let values: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 10 < 3))).collect();
    let keys: Vec<usize> = (0..n).collect();
    let found = Bootstrap::default().mean(&values, &clusters(&keys)).unwrap();
    let half = 1.96 * (share * (1.0 - share) / n as f64).sqrt();
    assert!(near(found.value, share));
    for end in [found.high - share, share - found.low] {
        assert!((end / half - 1.0).abs() < 0.1, "{end} {half}");
    }
}

#[test]
fn one_cluster_or_one_value_has_no_spread() {
    let alone = Bootstrap::default().mean(&[1.0, 5.0, 3.0], &clusters(&[7, 7, 7])).unwrap();
    assert_eq!((alone.value, alone.low, alone.high), (3.0, 3.0, 3.0));
    let equal = Bootstrap::default().mean(&[0.25; 8], &clusters(&[0, 1, 2, 3, 4, 5, 6, 7])).unwrap();
    assert_eq!((equal.value, equal.low, equal.high), (0.25, 0.25, 0.25));
}

#[test]
fn estimates_read_as_they_are() {
    let found = Estimate { value: 0.2714, low: 0.2449, high: 0.2981 };
    assert_eq!((found.percent(), found.to_string()), ("27.1 [24.5, 29.8]".into(), "0.3 [0.2, 0.3]".into()));
    assert_eq!(Estimate::exact(4.0), Estimate { value: 4.0, low: 4.0, high: 4.0 });
}
