//! What an objective knows of a batch: vectors by modality, and which items are no negatives of each other.

use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use tch::{Kind, Tensor};
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
    /// The items that are mined negatives of the others, ascending: they have a text, and nothing else.
    pub mined: Vec<usize>,
    /// The source that each item comes from; empty: all from one.
    pub sources: Vec<usize>,
    /// The items that are second views of others, ascending, each with the item that it is a view of: another text of its record, its image changed
    /// otherwise. They have that modality, the label of the other, and nothing else.
    pub again: Vec<(usize, usize)>,
    /// A teacher's vectors of the items, by modality.
    pub teachers: BTreeMap<Modality, Fixed>,
    /// The items whose own losses are made here, ascending, of a contrastive term: each still finds its own among all; the others' are made by other
    /// processes, and all of them add up to the loss. `None`: all items'.
    pub own: Option<Vec<usize>>,
    /// What frozen towers make of the items before the projection, by modality, where that is kept.
    pub features: BTreeMap<Modality, Fixed>,
}

/// Vectors of some items that no gradient goes into.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    /// The item that each row belongs to, ascending.
    pub rows: Vec<usize>,
    /// The width W.
    pub width: usize,
    /// `[n, W]`, row by row.
    pub values: Vec<f32>,
}

impl Fixed {
    /// Adds the vector of an item behind those before it.
    pub fn push(&mut self, row: usize, vector: &[f32]) {
        self.width = vector.len();
        self.rows.push(row);
        self.values.extend_from_slice(vector);
    }

    /// As tensors like those of `like`.
    ///
    /// # Errors
    /// Vectors of several widths, or libtorch's.
    pub(super) fn view(&self, like: &Tensor) -> Result<View> {
        if self.values.len() != self.rows.len() * self.width {
            let (found, rows, width) = (self.values.len(), self.rows.len(), self.width);
            return Err(Error::Shape(format!("{found} numbers for {rows} fixed vectors of width {width}")));
        }
        let flat = Tensor::f_from_slice(&self.values)?;
        let vectors = flat.f_view([self.rows.len() as i64, self.width as i64])?;
        let vectors = vectors.f_to_device(like.device())?.f_to_kind(working(like))?;
        Ok(View { vectors, rows: self.rows.clone() })
    }
}

/// The kind that losses of such vectors are computed in: halves are too short for sums over a batch.
pub(super) fn working(vectors: &Tensor) -> Kind {
    if vectors.kind() == Kind::Double { Kind::Double } else { Kind::Float }
}

impl Items {
    /// The items of `rows` that come from each source, with the number of the source; sources ascend, and the items of one stay in their order.
    pub(super) fn by_source(&self, rows: &[usize]) -> BTreeMap<usize, Vec<usize>> {
        let mut of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for row in rows {
            of.entry(self.sources.get(*row).copied().unwrap_or(0)).or_default().push(*row);
        }
        of
    }

    /// Stretches of `rows` whose losses are made here.
    pub(super) fn own_stretches(&self, rows: &[usize]) -> Vec<Range<i64>> {
        let mut stretches: Vec<Range<i64>> = Vec::new();
        let Some(own) = &self.own else {
            stretches.push(0..rows.len() as i64);
            return stretches;
        };
        for (at, _) in (0i64..).zip(rows).filter(|(_, row)| own.binary_search(row).is_ok()) {
            match stretches.last_mut() {
                Some(last) if last.end == at => last.end = at + 1,
                _ => stretches.push(at..at + 1),
            }
        }
        stretches
    }

    /// Whether items i and j are positives of each other.
    pub fn positive(&self, i: usize, j: usize) -> bool {
        self.labels[i] == self.labels[j] || (self.texts[i].is_some() && self.texts[i] == self.texts[j])
    }

    /// `[n, n]` row-normalised targets over the items `rows`.
    pub(super) fn targets(&self, rows: &[usize], smoothing: f64, kind: Kind) -> Result<Tensor> {
        let n = rows.len();
        let round = |v: f64| if kind == Kind::Double { v } else { f64::from(v as f32) };
        let mut values = vec![0f64; n * n];
        for (a, row) in values.chunks_mut(n).enumerate() {
            let positives: Vec<usize> = (0..n).filter(|b| self.positive(rows[a], rows[*b])).collect();
            row.fill(round(smoothing / n as f64));
            for b in &positives {
                row[*b] = round(row[*b] + round((1.0 - smoothing) / positives.len() as f64));
            }
        }
        Ok(Tensor::f_from_slice(&values)?.f_to_kind(kind)?.f_view([n as i64, n as i64])?)
    }
}

/// Refuses views that do not fit the batch.
pub(super) fn check(views: &BTreeMap<Modality, View>, items: &Items) -> Result<()> {
    if items.labels.len() != items.texts.len() {
        return Err(Error::Shape(format!("{} labels but {} texts", items.labels.len(), items.texts.len())));
    }
    if !items.sources.is_empty() && items.sources.len() != items.labels.len() {
        let (labels, sources) = (items.labels.len(), items.sources.len());
        return Err(Error::Shape(format!("{labels} labels but {sources} sources")));
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

/// The rows of a view that belong to some items, ascending.
pub(super) fn narrowed(view: &View, items: &[usize]) -> Result<View> {
    let (rows, at, _) = common(&view.rows, items);
    Ok(View { vectors: select(&view.vectors, &at)?, rows })
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

/// The rows of several views that belong to the same items, and these items; `None` where there are fewer than two.
pub(super) fn all_together(views: &[&View]) -> Result<Option<(Vec<Tensor>, Vec<usize>)>> {
    let Some((first, others)) = views.split_first() else { return Ok(None) };
    let in_all = |row: &&usize| others.iter().all(|view| view.rows.binary_search(row).is_ok());
    let rows: Vec<usize> = first.rows.iter().filter(in_all).copied().collect();
    if rows.len() < 2 {
        return Ok(None);
    }
    let of = |view: &&View| select(&view.vectors, &common(&view.rows, &rows).1);
    Ok(Some((views.iter().map(of).collect::<Result<_>>()?, rows)))
}

/// Mined negatives of a view: their vectors `[e, D]` and the items that they are; `None` of none.
pub(super) fn mined(view: &View, items: &Items) -> Result<Option<(Tensor, Vec<usize>)>> {
    let (rows, at, _) = common(&view.rows, &items.mined);
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some((select(&view.vectors, &at)?, rows)))
}

/// The items of one modality of which there are two views: the vectors of both, `[n, D]`, and the items that the views are.
pub(super) struct Twice {
    pub(super) vectors: [Tensor; 2],
    pub(super) rows: [Vec<usize>; 2],
}

/// Both views of the items that have two; `None` where there are fewer than two such items.
pub(super) fn twice(view: &View, items: &Items) -> Result<Option<Twice>> {
    let at = |row: &usize| view.rows.binary_search(row).ok();
    let both =
        items.again.iter().filter_map(|(second, first)| Some([(*first, at(first)?), (*second, at(second)?)]));
    let both: Vec<[(usize, usize); 2]> = both.collect();
    if both.len() < 2 {
        return Ok(None);
    }
    let rows = [0, 1].map(|k| both.iter().map(|of| of[k].0).collect());
    let vectors = |k: usize| select(&view.vectors, &both.iter().map(|of| of[k].1 as i64).collect::<Vec<_>>());
    Ok(Some(Twice { vectors: [vectors(0)?, vectors(1)?], rows }))
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
        let items = Items { labels: vec![1, 2], texts: vec![None, None], ..Items::default() };
        let view = |n, rows: Vec<usize>| View { vectors: unit(n, 2, 1), rows };
        let said = |view| check(&BTreeMap::from([(Text, view)]), &items).unwrap_err().to_string();
        assert_eq!(said(view(2, vec![0, 2])), "text: rows must ascend and lie below 2");
        assert_eq!(said(view(2, vec![1, 0])), "text: rows must ascend and lie below 2");
        assert_eq!(said(view(1, vec![0, 1])), "text: 1 vectors for 2 rows");
        check(&BTreeMap::from([(Image, view(2, vec![0, 1]))]), &items).unwrap();
        let items = Items { labels: vec![1], ..Items::default() };
        assert!(check(&BTreeMap::new(), &items).is_err());
    }

    #[test]
    fn targets_are_shared_by_positives_and_add_up_to_one() {
        let items =
            Items { labels: vec![4, 5, 4, 6], texts: vec![None, Some(1), None, Some(1)], ..Items::default() };
        let t = items.targets(&[0, 1, 2], 0.3, Kind::Float).unwrap();
        let row = |i| Vec::<f32>::try_from(t.select(0, i)).unwrap();
        for (found, want) in row(0).iter().zip([0.45, 0.1, 0.45]) {
            assert!((found - want).abs() < 1e-6, "{:?}", row(0));
        }
        assert!((row(1)[1] - 0.8).abs() < 1e-6);
        assert!(items.positive(1, 3) && !items.positive(0, 1));
    }
}
