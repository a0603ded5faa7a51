//! Which rows and columns of a matrix of similarities are positives of each other: asked for by parts, for the whole is as large as the matrix.

use super::Items;
use crate::Result;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// What stands for "no text" on either side: never equal to each other, nor to a text's hash.
const NO_TEXT: [i64; 2] = [i64::MIN, i64::MIN + 1];

/// The labels and texts of the items along one side.
#[derive(Debug)]
struct Side {
    /// `[n]` each.
    labels: Tensor,
    texts: Tensor,
    /// The same, here.
    own: Arc<[[i64; 2]]>,
}

impl Clone for Side {
    fn clone(&self) -> Self {
        Self { labels: self.labels.shallow_clone(), texts: self.texts.shallow_clone(), own: self.own.clone() }
    }
}

impl Side {
    fn new(items: &Items, at: &[usize], none: i64, device: Device) -> Result<Self> {
        let bits = |hash: u64| i64::from_ne_bytes(hash.to_ne_bytes());
        // A hash that means "none" becomes its neighbour: one in 2^63.
        let text = |hash: Option<u64>| hash.map_or(none, |hash| bits(hash).max(NO_TEXT[1] + 1));
        let own: Arc<[[i64; 2]]> =
            at.iter().map(|i| [bits(items.labels[*i]), text(items.texts[*i])]).collect();
        let tensor = |k: usize| -> Result<Tensor> {
            let all: Vec<i64> = own.iter().map(|of| of[k]).collect();
            Ok(Tensor::f_from_slice(&all)?.f_to_device(device)?)
        };
        Ok(Self { labels: tensor(0)?, texts: tensor(1)?, own })
    }
}

/// The positives of a matrix whose rows are items, and whose columns are the same items (or their second views) and, behind them, mined negatives.
#[derive(Debug)]
pub(super) struct Positives {
    rows: Side,
    columns: Side,
    /// `[n]`: 1 / the number of a row's positives among the first n columns.
    pub(super) shares: Tensor,
}

impl Clone for Positives {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), columns: self.columns.clone(), shares: self.shares.shallow_clone() }
    }
}

impl Positives {
    /// `partners`: the rows' own columns, in their order. `kind` is that of the shares.
    pub(super) fn new(
        items: &Items,
        (rows, partners): (&[usize], &[usize]),
        mined: &[usize],
        (kind, device): (Kind, Device),
    ) -> Result<Self> {
        let columns: Vec<usize> = partners.iter().chain(mined).copied().collect();
        let rows = Side::new(items, rows, NO_TEXT[0], device)?;
        let columns = Side::new(items, &columns, NO_TEXT[1], device)?;
        // Those of the label, and those of the text, and not twice those of both.
        let (mut labels, mut texts, mut both) = (HashMap::new(), HashMap::new(), HashMap::new());
        for [label, text] in columns.own.iter().take(partners.len()) {
            *labels.entry(*label).or_insert(0u32) += 1;
            *texts.entry(*text).or_insert(0u32) += 1;
            *both.entry([*label, *text]).or_insert(0u32) += 1;
        }
        let share = |of: &[i64; 2]| {
            let label = labels.get(&of[0]).copied().unwrap_or(0);
            let text = texts.get(&of[1]).copied().unwrap_or(0) - both.get(of).copied().unwrap_or(0);
            f64::from((label + text).max(1)).recip()
        };
        let shares: Vec<f64> = rows.own.iter().map(share).collect();
        let shares = Tensor::f_from_slice(&shares)?.f_to_kind(kind)?.f_to_device(device)?;
        Ok(Self { rows, columns, shares })
    }

    /// `[rows, columns]` bool: positives of each other.
    pub(super) fn mask(&self, rows: &Range<i64>, columns: &Range<i64>) -> Result<Tensor> {
        let equal = |a: &Tensor, b: &Tensor| -> Result<Tensor> {
            let a = a.f_narrow(0, rows.start, rows.end - rows.start)?.f_unsqueeze(1)?;
            Ok(a.f_eq_tensor(&b.f_narrow(0, columns.start, columns.end - columns.start)?)?)
        };
        let labels = equal(&self.rows.labels, &self.columns.labels)?;
        Ok(labels.f_logical_or(&equal(&self.rows.texts, &self.columns.texts)?)?)
    }

    /// Whether there are any, by the number of the block of rows and of columns, of blocks of `size`.
    pub(super) fn touched(&self, size: i64) -> HashSet<(i64, i64)> {
        let mut blocks: HashMap<(usize, i64), HashSet<i64>> = HashMap::new();
        for (column, of) in (0..).zip(self.columns.own.iter()) {
            for (k, value) in of.iter().enumerate() {
                blocks.entry((k, *value)).or_default().insert(column / size);
            }
        }
        let mut touched = HashSet::new();
        for (row, of) in (0..).zip(self.rows.own.iter()) {
            for (k, value) in of.iter().enumerate() {
                let of: Option<&HashSet<i64>> = blocks.get(&(k, *value));
                touched.extend(of.into_iter().flatten().map(|column| (row / size, *column)));
            }
        }
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_mask_are_what_items_say() {
        let items = Items {
            labels: vec![7, 1, 2, 7, 4, 9, u64::MAX, 1 << 63],
            texts: vec![Some(1), Some(5), Some(5), None, None, Some(1), Some(1 << 63), None],
            ..Items::default()
        };
        let (rows, mined) = ([0usize, 1, 2, 3, 4, 6, 7], [5usize]);
        let of = Positives::new(&items, (&rows, &rows), &mined, (Kind::Double, Device::Cpu)).unwrap();
        let columns: Vec<usize> = rows.iter().chain(&mined).copied().collect();
        let touched = of.touched(3);
        for (r, c) in (0..3).flat_map(|r| (0..3).map(move |c| (r, c))) {
            let (a, b) = (r * 3..(r * 3 + 3).min(7), c * 3..(c * 3 + 3).min(8));
            let mask = of.mask(&a, &b).unwrap();
            let mut any = false;
            for (i, j) in a.clone().flat_map(|i| b.clone().map(move |j| (i, j))) {
                let want = items.positive(rows[i as usize], columns[j as usize]);
                any |= want;
                assert_eq!(mask.int64_value(&[i - a.start, j - b.start]) == 1, want, "{i} {j}");
            }
            assert_eq!(touched.contains(&(r, c)), any, "{r} {c}");
        }
        let shares = Vec::<f64>::try_from(of.shares).unwrap();
        // Item 5 has the text of item 0, and is none of the first columns.
        assert_eq!(shares, [0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0]);
    }
}
