use super::*;
use crate::rng::{Purpose, rng};

const END: i64 = 1;
const MASK: i64 = 2;

fn apply(augment: &TextAugment, ids: &[i64], n: u64) -> Vec<i64> {
    // A prompt of one token, and an end.
    augment.apply(ids, |i, id| i == 0 || id == END, Some(MASK), &mut rng(1, 0, n, Purpose::Text))
}

#[test]
fn the_default_changes_nothing() {
    for ids in [&[][..], &[END], &[7, 8, 9, END]] {
        assert_eq!(apply(&TextAugment::default(), ids, 0), ids);
    }
    TextAugment::default().validate().unwrap();
}

#[test]
fn tokens_are_dropped_and_masked_with_their_probabilities() {
    let ids: Vec<i64> = (10..110).chain([END]).collect();
    let augment = TextAugment { drop: 0.2, mask: 0.5 };
    let (mut dropped, mut masked) = (0, 0);
    for n in 0..200 {
        let out = apply(&augment, &ids, n);
        assert_eq!((out[0], *out.last().unwrap()), (10, END));
        let words: Vec<i64> = out.iter().copied().filter(|id| *id != MASK).collect();
        assert!(words.is_sorted_by_key(|id| if *id == END { i64::MAX } else { *id }), "the order stays");
        dropped += ids.len() - out.len();
        masked += out.len() - words.len();
        assert_eq!(out, apply(&augment, &ids, n));
    }
    // Of 19,800 tokens a fifth, and half of the others: five standard deviations.
    assert!((3678..=4242).contains(&dropped) && (7575..=8265).contains(&masked), "{dropped} {masked}");
}

#[test]
fn what_is_fixed_stays_and_of_the_rest_one() {
    let all = TextAugment { drop: 1.0, mask: 0.0 };
    let ids = [5, 6, 7, 8, END];
    let left: std::collections::BTreeSet<Vec<i64>> = (0..100).map(|n| apply(&all, &ids, n)).collect();
    assert_eq!(left, [vec![5, 6, END], vec![5, 7, END], vec![5, 8, END]].into());
    assert_eq!(apply(&all, &[5, END], 0), [5, END]);
    let hidden = TextAugment { drop: 0.0, mask: 1.0 };
    let out = apply(&hidden, &ids, 0);
    assert_eq!(out.iter().filter(|id| **id == MASK).count(), 2);
    // A tokenizer without a mask token.
    let plain = hidden.apply(&ids, |_, _| false, None, &mut rng(1, 0, 0, Purpose::Text));
    assert_eq!(plain, ids);
    assert_eq!(
        TextAugment { drop: 1.5, mask: 0.0 }.validate().unwrap_err().to_string(),
        "drop must be within [0, 1], found 1.5"
    );
}
