//! Hard negatives for matching, drawn from the contrastive similarities (Li et al. 2021).

use super::Items;
use crate::Result;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

/// For each row of `similarity` `[n, m]` a column that is no positive of it, drawn in proportion to exp(similarity); `None` where every
/// column is one. `rows[i]` and `columns[j]` are the items of a batch that row and column belong to: an item is its own positive,
/// and so are items with the same label or text, duplicates of a caption among them.
///
/// # Errors
/// libtorch's.
pub fn hard_negatives(
    similarity: &Tensor,
    rows: &[usize],
    columns: &[usize],
    items: &Items,
    seed: u64,
    step: u64,
) -> Result<Vec<Option<usize>>> {
    let values: Vec<Vec<f64>> = Vec::try_from(
        &similarity.f_detach()?.f_to_kind(Kind::Double)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?,
    )?;
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&step.to_le_bytes());
    key[16..].copy_from_slice(b"hard negatives..");
    let mut rng = ChaCha8Rng::from_seed(key);
    let draw = |(values, row): (&Vec<f64>, &usize)| {
        let allowed: Vec<usize> = (0..columns.len()).filter(|j| !items.positive(*row, columns[*j])).collect();
        let most = allowed.iter().map(|j| values[*j]).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = allowed.iter().map(|j| (values[*j] - most).exp()).collect();
        // A draw for every row, whether it is needed or not: the next row's does not depend on it.
        let mut rest = rng.random::<f64>() * weights.iter().sum::<f64>();
        for (j, w) in allowed.iter().zip(&weights) {
            rest -= w;
            if rest < 0.0 {
                return Some(*j);
            }
        }
        allowed.last().copied()
    };
    Ok(values.iter().zip(rows).map(draw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negatives_are_never_positives_and_follow_the_similarities() {
        // Items 0 and 3 have one label, 1 and 2 one caption.
        let items = Items {
            labels: vec![7, 1, 2, 7, 4],
            texts: vec![Some(1), Some(5), Some(5), None, Some(9)],
            ..Items::default()
        };
        let n = 5;
        let all: Vec<usize> = (0..n).collect();
        let similarity = Tensor::from_slice(&[
            0.0f32, 2.0, 0.0, 9.0, 0.0, 1.0, 9.0, 9.0, 0.0, 0.0, 1.0, 9.0, 9.0, 0.0, 0.0, 9.0, 0.0, 0.0, 9.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 9.0,
        ])
        .view([5, 5]);
        let mut counts = vec![[0usize; 5]; n];
        for step in 0..3000 {
            let found = hard_negatives(&similarity, &all, &all, &items, 1, step).unwrap();
            for (i, j) in found.into_iter().enumerate() {
                counts[i][j.unwrap()] += 1;
            }
        }
        for (i, row) in counts.iter().enumerate() {
            for (j, count) in row.iter().enumerate() {
                assert!(*count == 0 || !items.positive(i, j), "{i} {j}");
            }
        }
        // Row 0 may draw 1, 2 and 4, at e² : 1 : 1.
        let share = counts[0][1] as f64 / 3000.0;
        assert!((share - 2f64.exp() / (2f64.exp() + 2.0)).abs() < 0.03, "{share}");
        let again = hard_negatives(&similarity, &all, &all, &items, 1, 5).unwrap();
        assert_eq!(again, hard_negatives(&similarity, &all, &all, &items, 1, 5).unwrap());
        let same = Items { labels: vec![1; 3], texts: vec![None; 3], ..Items::default() };
        let none = hard_negatives(
            &Tensor::zeros([3, 3], (Kind::Float, tch::Device::Cpu)),
            &[0, 1, 2],
            &[0, 1, 2],
            &same,
            1,
            1,
        );
        assert_eq!(none.unwrap(), [None; 3]);
    }
}
