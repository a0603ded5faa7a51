//! What an objective knows of a batch: vectors by modality, and which items are no negatives of each other.

use crate::{Error, Result};
use std::collections::BTreeMap;
use tch::Tensor;
use unisono_encoders::Modality;
use unisono_encoders::clips::Tokens;

/// One modality of a batch: the vectors of the items that have it.
#[derive(Debug)]
pub struct View {
    /// `[n, D]` unit vectors.
    pub vectors: Tensor,
    /// The item that each row belongs to, ascending.
    pub rows: Vec<usize>,
}

/// The tokens of a tower over the items of a batch that have its modality.
#[derive(Debug)]
pub struct TowerTokens {
    /// `[n, T, W]`, padded to the longest, and `[n, T]` bool, true = real (`None`: all); of frames of videos, for each frame.
    pub frames: Vec<Tokens>,
    /// The item that each row belongs to, ascending.
    pub rows: Vec<usize>,
}

/// What is known of a batch's items: two items are positives of each other when they share the label or the text.
#[derive(Debug, Clone, Default)]
pub struct Items {
    /// A hash of the identity of the thing shown or said.
    pub labels: Vec<u64>,
    /// A hash of the caption, if the item has one.
    pub texts: Vec<Option<u64>>,
}

impl Items {
    /// Whether items i and j are positives of each other.
    pub fn positive(&self, i: usize, j: usize) -> bool {
        self.labels[i] == self.labels[j] || (self.texts[i].is_some() && self.texts[i] == self.texts[j])
    }

    /// `[n, n]` row-normalised targets over the items `rows`.
    pub(super) fn targets(&self, rows: &[usize], smoothing: f64) -> Result<Tensor> {
        let n = rows.len();
        let mut values = vec![0f32; n * n];
        for (a, row) in values.chunks_mut(n).enumerate() {
            let positives: Vec<usize> = (0..n).filter(|b| self.positive(rows[a], rows[*b])).collect();
            row.fill((smoothing / n as f64) as f32);
            for b in &positives {
                row[*b] += ((1.0 - smoothing) / positives.len() as f64) as f32;
            }
        }
        Ok(Tensor::f_from_slice(&values)?.f_view([n as i64, n as i64])?)
    }
}

/// Refuses views that do not fit the batch.
pub(super) fn check(views: &BTreeMap<Modality, View>, items: &Items) -> Result<()> {
    if items.labels.len() != items.texts.len() {
        return Err(Error::Shape(format!("{} labels but {} texts", items.labels.len(), items.texts.len())));
    }
    for (modality, view) in views {
        let n = view.vectors.size().first().copied().unwrap_or(0);
        if n != view.rows.len() as i64 {
            return Err(Error::Shape(format!("{modality}: {n} vectors for {} rows", view.rows.len())));
        }
        let sorted = view.rows.windows(2).all(|w| w[0] < w[1]);
        if !sorted || view.rows.last().is_some_and(|r| *r >= items.labels.len()) {
            return Err(Error::Shape(format!(
                "{modality}: rows must ascend and lie below {}",
                items.labels.len()
            )));
        }
    }
    Ok(())
}

/// The rows `[n, D]` of two views that belong to the same items, and these items; `None` where there are fewer than two, which tell
/// nothing from nothing.
pub(super) fn together(a: &View, b: &View) -> Result<Option<(Tensor, Tensor, Vec<usize>)>> {
    let (rows, at_a, at_b) = common(&a.rows, &b.rows);
    if rows.len() < 2 {
        return Ok(None);
    }
    Ok(Some((select(&a.vectors, &at_a)?, select(&b.vectors, &at_b)?, rows)))
}

/// Items in both ascending lists, and where they stand in each.
fn common(a: &[usize], b: &[usize]) -> (Vec<usize>, Vec<i64>, Vec<i64>) {
    let (mut rows, mut at_a, mut at_b) = (Vec::new(), Vec::new(), Vec::new());
    for (i, row) in a.iter().enumerate() {
        if let Ok(j) = b.binary_search(row) {
            rows.push(*row);
            at_a.push(i as i64);
            at_b.push(j as i64);
        }
    }
    (rows, at_a, at_b)
}

fn select(vectors: &Tensor, at: &[i64]) -> Result<Tensor> {
    if at.len() as i64 == vectors.size()[0] {
        return Ok(vectors.shallow_clone());
    }
    Ok(vectors.f_index_select(0, &Tensor::f_from_slice(at)?.f_to_device(vectors.device())?)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use Modality::{Image, Text};

    /// Unit vectors `[n, d]` of a fixed pattern, instead of libtorch's random state, which tests share.
    pub(in crate::objective) fn unit(n: i64, d: i64, seed: i64) -> Tensor {
        let x = Tensor::arange(n * d, (tch::Kind::Double, tch::Device::Cpu)).view([n, d]);
        let x = (x * 1.7 + seed as f64 * 0.61).sin();
        &x / x.norm_scalaropt_dim(2, [-1i64].as_slice(), true)
    }

    #[test]
    fn what_two_views_have_in_common_is_paired() {
        let view = |rows: Vec<usize>, seed| View { vectors: unit(rows.len() as i64, 3, seed), rows };
        let (a, b) = (view(vec![0, 2, 3, 7], 1), view(vec![2, 3, 5], 2));
        let (x, y, rows) = together(&a, &b).unwrap().unwrap();
        assert_eq!(rows, [2, 3]);
        assert_eq!((x, y), (a.vectors.narrow(0, 1, 2), b.vectors.narrow(0, 0, 2)));
        assert!(together(&a, &view(vec![1, 7], 2)).unwrap().is_none());
    }

    #[test]
    fn wrong_rows_are_errors() {
        let items = Items { labels: vec![1, 2], texts: vec![None, None] };
        let view = |n, rows: Vec<usize>| View { vectors: unit(n, 2, 1), rows };
        let said = |view| check(&BTreeMap::from([(Text, view)]), &items).unwrap_err().to_string();
        assert_eq!(said(view(2, vec![0, 2])), "text: rows must ascend and lie below 2");
        assert_eq!(said(view(2, vec![1, 0])), "text: rows must ascend and lie below 2");
        assert_eq!(said(view(1, vec![0, 1])), "text: 1 vectors for 2 rows");
        check(&BTreeMap::from([(Image, view(2, vec![0, 1]))]), &items).unwrap();
        let items = Items { labels: vec![1], texts: Vec::new() };
        assert!(check(&BTreeMap::new(), &items).is_err());
    }

    #[test]
    fn targets_are_shared_by_positives_and_add_up_to_one() {
        let items = Items { labels: vec![4, 5, 4, 6], texts: vec![None, Some(1), None, Some(1)] };
        let t = items.targets(&[0, 1, 2], 0.3).unwrap();
        let row = |i| Vec::<f32>::try_from(t.select(0, i)).unwrap();
        for (found, want) in row(0).iter().zip([0.45, 0.1, 0.45]) {
            assert!((found - want).abs() < 1e-6, "{:?}", row(0));
        }
        assert!((row(1)[1] - 0.8).abs() < 1e-6);
        assert!(items.positive(1, 3) && !items.positive(0, 1));
    }
}
