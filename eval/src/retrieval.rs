//! Ranks: for each query, where its first relevant gallery item stands.

mod engine;
pub(crate) mod protocol;
mod rank;
mod right;

pub use engine::{Ranks, Within};
pub use protocol::{DurationControls, Retrieval, RetrievalTask, Retrieved};
pub use rank::QueryRank;
pub use right::{Right, words_mark};

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, linalg::general_mat_mul};

use crate::{Error, Result};
pub(crate) use engine::{Pool, rank_all};

/// Unit vectors in the shared space, `[N, D]` row-major. Their dot products are cosine similarities.
#[derive(Debug, Clone, Copy)]
pub struct Embeddings<'a> {
    /// Width D.
    pub dim: usize,
    /// N · D values.
    pub data: &'a [f32],
}

impl<'a> Embeddings<'a> {
    /// Embeddings of width `dim`.
    ///
    /// # Errors
    /// The data is no whole number of rows.
    pub fn new(dim: usize, data: &'a [f32]) -> Result<Self> {
        let embeddings = Self { dim, data };
        embeddings.check("given")?;
        Ok(embeddings)
    }

    /// Number of rows N.
    pub fn len(&self) -> usize {
        self.data.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `index`, if there is one.
    pub fn row(&self, index: usize) -> Option<&'a [f32]> {
        self.data.get(index.checked_mul(self.dim)?..index.checked_add(1)?.checked_mul(self.dim)?)
    }

    fn check(&self, side: &'static str) -> Result<()> {
        if self.dim == 0 || !self.data.len().is_multiple_of(self.dim) {
            return Err(Error::Shape { side, len: self.data.len(), dim: self.dim });
        }
        Ok(())
    }

    fn check_finite(&self, what: &'static str) -> Result<()> {
        match self.data.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(Error::NotFinite { what, index: at / self.dim }),
            None => Ok(()),
        }
    }

    /// Cosine similarities of some rows with every row of `gallery`, `[rows, gallery]`.
    fn scores_into(&self, rows: Range<usize>, gallery: &Embeddings, out: &mut [f32]) {
        let block = &self.data[rows.start * self.dim..rows.end * self.dim];
        let left = ArrayView2::from_shape((rows.len(), self.dim), block);
        let right = ArrayView2::from_shape((gallery.len(), gallery.dim), gallery.data);
        let product = ArrayViewMut2::from_shape((rows.len(), gallery.len()), out);
        // The shapes were checked before: all three are Ok.
        if let (Ok(left), Ok(right), Ok(mut product)) = (left, right, product) {
            general_mat_mul(1.0, &left, &right.t(), 0.0, &mut product);
        }
    }
}

/// Ranks the gallery for every query by cosine similarity and reports where the first relevant item stands.
///
/// An item is relevant when its key equals the query's key. `within` holds one value for every query and one for every
/// gallery item, for instance languages: a query then meets only gallery items of its own value.
/// Ties are broken at random in expectation, see [`QueryRank`]. Queries without a relevant item in their gallery are
/// left out and listed in [`Ranks::left_out`].
///
/// # Errors
/// Widths or list lengths that do not fit, values that are not finite, or no query with a relevant item.
pub fn ranks(
    queries: &Embeddings,
    query_keys: &[&str],
    gallery: &Embeddings,
    gallery_keys: &[&str],
    within: Within,
) -> Result<Ranks> {
    ranks_of(queries, gallery, &Right::by_key(query_keys, gallery_keys), within)
}

/// [`ranks`] where `right` says what is relevant: a query may have right answers for several reasons.
///
/// # Errors
/// As [`ranks`].
pub fn ranks_of(queries: &Embeddings, gallery: &Embeddings, right: &Right, within: Within) -> Result<Ranks> {
    check_pair(queries, gallery)?;
    let pool = Pool::new(queries.len(), gallery.len(), right, within, false)?;
    rank_all(&pool, |rows, out| queries.scores_into(rows, gallery, out))
}

/// [`ranks`] within one set: every item queries all the others, never itself.
///
/// # Errors
/// As [`ranks`].
pub fn ranks_among(items: &Embeddings, keys: &[&str], within: Option<&[&str]>) -> Result<Ranks> {
    check_pair(items, items)?;
    let within = within.map(|values| (values, values));
    let right = Right::by_key(keys, keys);
    let pool = Pool::new(items.len(), items.len(), &right, within, true)?;
    rank_all(&pool, |rows, out| items.scores_into(rows, items, out))
}

fn check_pair(queries: &Embeddings, gallery: &Embeddings) -> Result<()> {
    queries.check("query")?;
    gallery.check("gallery")?;
    if queries.dim != gallery.dim {
        return Err(Error::Width { queries: queries.dim, gallery: gallery.dim });
    }
    queries.check_finite("query embedding")?;
    gallery.check_finite("gallery embedding")
}

/// The `k` gallery rows nearest to one query: `(index, similarity)`, best first, ties by index.
///
/// # Errors
/// The query's width is not the gallery's, or a similarity is not finite.
pub fn top(query: &[f32], gallery: &Embeddings, k: usize) -> Result<Vec<(usize, f32)>> {
    let queries = Embeddings { dim: query.len(), data: query };
    check_pair(&queries, gallery)?;
    let mut scores = vec![0.0; gallery.len()];
    queries.scores_into(0..1, gallery, &mut scores);
    let mut order: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
    let best_first = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < order.len() {
        order.select_nth_unstable_by(k, best_first);
        order.truncate(k);
    }
    order.sort_by(best_first);
    Ok(order)
}
