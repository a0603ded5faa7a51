//! BLEU and CIDEr-D against loops, and what they must not depend on.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use unisono_eval::captions::{Pair, bleu, cider_d, words};

/// Occurrences of `gram` in `text`, by looking at every place.
fn times(gram: &[String], text: &[String]) -> usize {
    (0..text.len()).filter(|&at| text[at..].starts_with(gram)).count()
}

/// BLEU-n of the corpus by its definition: clipped precisions of 1 to n words, their geometric mean, a penalty for what is short.
fn naive_bleu(pairs: &[Pair], n: usize) -> f64 {
    let mut product = 1.0f64;
    for k in 1..=n {
        let (mut right, mut all) = (0, 0);
        for pair in pairs {
            let grams: Vec<&[String]> = pair.candidate.windows(k).collect();
            all += grams.len();
            let mut seen: Vec<&[String]> = Vec::new();
            for gram in grams {
                if !seen.contains(&gram) {
                    seen.push(gram);
                    let most = pair.references.iter().map(|r| times(gram, r)).max().unwrap_or(0);
                    right += times(gram, &pair.candidate).min(most);
                }
            }
        }
        product *= right as f64 / all.max(1) as f64;
    }
    let length: usize = pairs.iter().map(|p| p.candidate.len()).sum();
    let nearest = |p: &Pair| {
        let mut lengths: Vec<usize> = p.references.iter().map(Vec::len).collect();
        lengths.sort_by_key(|l| (l.abs_diff(p.candidate.len()), *l));
        lengths[0]
    };
    let wanted: usize = pairs.iter().map(nearest).sum();
    let brevity = if length < wanted { (1.0 - wanted as f64 / length as f64).exp() } else { 1.0 };
    product.powf(1.0 / n as f64) * brevity
}

/// Captions of three words' alphabet, so that much repeats.
fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    let sentence = || proptest::collection::vec(prop_oneof!["a", "dog", "runs"], 4..9);
    let pair = (sentence(), proptest::collection::vec(sentence(), 1..4));
    proptest::collection::vec(pair.prop_map(|(candidate, references)| Pair { candidate, references }), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bleu_is_that_of_the_definition(pairs in pairs()) {
        let found = bleu(&pairs);
        for n in 1..=4 {
            let expected = naive_bleu(&pairs, n);
            // Where nothing overlaps, the reference's guards leave a speck.
            prop_assert!((found[n - 1] - expected).abs() < 1e-3, "BLEU-{n} {} {expected}", found[n - 1]);
        }
        prop_assert!(found.iter().all(|s| (0.0..=1.0 + 1e-9).contains(s)));
    }

    #[test]
    fn scores_do_not_depend_on_order(pairs in pairs()) {
        let mut turned = pairs.clone();
        turned.reverse();
        turned.iter_mut().for_each(|p| p.references.reverse());
        for (a, b) in bleu(&pairs).into_iter().zip(bleu(&turned)) {
            prop_assert!((a - b).abs() < 1e-12);
        }
        for (a, b) in cider_d(&pairs).into_iter().zip(cider_d(&turned).into_iter().rev()) {
            prop_assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn cider_is_within_its_range_and_most_for_the_reference_itself(pairs in pairs()) {
        let right: Vec<Pair> = pairs.iter().map(|p| Pair { candidate: p.references[0].clone(), references: vec![p.references[0].clone()] }).collect();
        let said: Vec<Pair> = pairs.iter().zip(&right).map(|(p, r)| Pair { candidate: p.candidate.clone(), ..r.clone() }).collect();
        for (best, found) in cider_d(&right).into_iter().zip(cider_d(&said)) {
            prop_assert!((0.0..=10.0 + 1e-9).contains(&best) && found >= -1e-9, "{best} {found}");
            prop_assert!(found <= best + 1e-9, "{found} above {best}");
        }
    }

    #[test]
    fn words_have_neither_case_nor_punctuation(text in "[A-Za-zÄé',.!? -]{0,40}") {
        let cut = words(&text);
        prop_assert!(cut.iter().all(|w| !w.is_empty() && *w == w.to_lowercase() && !w.contains([',', '.', '!', '?', ' '])));
        prop_assert_eq!(words(&text.to_uppercase()), cut.clone());
        // Cutting what is cut changes nothing, but for the ends of contractions, which stand alone then.
        if !text.contains('\'') {
            prop_assert_eq!(words(&cut.join(" ")), cut);
        }
    }
}

#[test]
fn what_is_written_word_for_word_is_perfect() {
    let pair = |text: &str| Pair::new(text, &[text]);
    let all = [pair("a red bus stops at the corner"), pair("two dogs run over green grass")];
    assert!(bleu(&all).iter().all(|s| (s - 1.0).abs() < 1e-6));
    assert!(cider_d(&all).iter().all(|s| (s - 10.0).abs() < 1e-9));
    let nothing = [Pair::new("x y z w", &["a b c d"])];
    assert!(bleu(&nothing).iter().all(|s| *s < 1e-6) && cider_d(&nothing) == [0.0]);
}
