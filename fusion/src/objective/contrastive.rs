//! `kind = "contrastive"`: InfoNCE (van den Oord et al. 2018; both directions as CLIP, Radford et al. 2021), with several positives a
//! row (the "outside the logarithm" form of Khosla et al. 2020).

use super::direction::Direction;
use super::items::{Twice, mined, together, twice, working};
use super::pair::one;
use super::positives::Positives;
use super::refuse::refuse;
use super::softmax::Softmax;
use super::{Items, Pair, View, tiled};
use crate::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// The largest factor on cosines, as CLIP clips it: beyond it the loss is dominated by single negatives.
pub(super) const MAX_SCALE: f64 = 100.0;

/// The factor on cosines of two views of one modality, for which no model has a learned one: that of sentence-transformers'
/// `MultipleNegativesRankingLoss`.
const WITHIN_SCALE: f64 = 20.0;

/// Each item finds its own among all of its batch, in both directions, by softmax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrastive {
    /// Pairs of modalities; empty: every pair that the model has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
    /// Factor on each pair's loss; 0 leaves the term out.
    #[serde(default = "one")]
    pub weight: f64,
    /// Items are told from those of their own source only (`[[data]]`), not from the whole batch, as trainers of homogeneous batches have it: telling
    /// drawings from photographs, or one data set's way of writing from another's, teaches little. The loss is the mean over all rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_source: bool,
    /// Share of each target spread evenly over the batch.
    #[serde(default)]
    pub label_smoothing: f64,
    /// How much hard negatives outweigh easy ones: the β of Robinson et al. (2021), in HN-NCE's form (Radenovic et al. 2023). With the logits zᵢⱼ and the m
    /// negatives of row i, Σ exp(zᵢⱼ) over these becomes m · Σ exp((1 + β) zᵢⱼ) / Σ exp(β zᵢⱼ). 0: all count the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hard_negative_beta: f64,
    /// Mined negatives of each record that join the batch's texts, which `unisono data mine` wrote into its `negatives`: every image (sound, video) of the
    /// batch is told from them, too.
    #[serde(default, skip_serializing_if = "is_none")]
    pub negatives: usize,
    /// Matryoshka (Kusupati et al. 2022): the same loss, of the first so many numbers of the vectors, made unit vectors; a loss for each width.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dims: Vec<i64>,
    /// The weights of these losses beside the whole vectors'; empty: 1 each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dim_weights: Vec<f64>,
    /// The factor on cosines of pairs within a modality (`text_text`, `image_image`), of which a model has no learned one; absent: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// The matrix of similarities is made in tiles of this side, never whole; 0: whole. Without the key it is tiled from 2,049 items on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<usize>,
}

impl Default for Contrastive {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            weight: one(),
            by_source: false,
            label_smoothing: 0.0,
            hard_negative_beta: 0.0,
            negatives: 0,
            dims: Vec::new(),
            dim_weights: Vec::new(),
            scale: None,
            tile: None,
        }
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Contrastive {
    /// Refuses a factor that is none, or that nothing is multiplied by.
    pub(super) fn check_scale(&self, at: &dyn Fn(&str) -> String) -> Result<()> {
        let Some(scale) = self.scale else { return Ok(()) };
        if !(scale.is_finite() && scale > 0.0) {
            return refuse(&at("scale"), &format!("expected more than 0, found {scale}"));
        }
        if self.pairs.iter().all(|pair| pair.within().is_none()) {
            let message = "is of pairs within a modality (text_text, image_image), and none is named in pairs: other pairs learn theirs, leave it out";
            return refuse(&at("scale"), message);
        }
        Ok(())
    }

    /// The loss of a pair of modalities, the mean over rows and both directions, a scalar in nats; `None` where fewer than two items
    /// have both. `scale`: the logarithm of the factor on cosines.
    ///
    /// # Errors
    /// libtorch's.
    pub fn loss(&self, a: &View, b: &View, items: &Items, scale: &Tensor) -> Result<Option<Tensor>> {
        let Some((x, y, rows)) = together(a, b)? else { return Ok(None) };
        let factor = scale.f_exp()?.f_clamp_max(MAX_SCALE)?;
        let (kind, device) = (working(&x), x.device());
        let negatives = |view| if self.negatives > 0 { mined(view, items) } else { Ok(None) };
        let more = [negatives(a)?, negatives(b)?];
        if self.hard_negative_beta > 0.0 || items.own.is_some() || more.iter().any(Option::is_some) {
            let [x, y, factor] = [&x, &y, &factor].map(|t| t.f_to_kind(kind));
            let (x, y, factor) = (x?, y?, factor?);
            let [more_x, more_y] = more;
            let mut sum = self.directed((&x, &y), more_y, ((&rows, &rows), items), &factor)?;
            sum = sum.f_add(&self.directed((&y, &x), more_x, ((&rows, &rows), items), &factor)?)?;
            return Ok(Some(sum.f_mul_scalar(0.5 / rows.len() as f64)?));
        }
        if let Some(tile) = tiled::side(rows.len(), self.tile, (kind, device)) {
            let [x, y, factor] = [&x, &y, &factor].map(|t| t.f_to_kind(kind));
            let positives = Positives::new(items, (&rows, &rows), &[], (kind, device))?;
            let softmax = Softmax::new(positives, self.label_smoothing, tile);
            return tiled::loss(&[&x?, &y?, &factor?], softmax).map(Some);
        }
        let logits = x.f_matmul(&y.f_transpose(0, 1)?)?.f_mul(&factor)?;
        let targets = items.targets(&rows, self.label_smoothing, kind)?.f_to_device(device)?;
        let forth = cross_entropy(&logits, &targets)?;
        let back = cross_entropy(&logits.f_transpose(0, 1)?, &targets)?;
        Ok(Some(forth.f_add(&back)?.f_mul_scalar(0.5)?))
    }

    /// The loss of two views of one modality: the first find the second among those of the batch and mined negatives, and the other way round without these
    /// (`MultipleNegativesRankingLoss` of sentence-transformers, symmetric). The mean over rows and both directions, a scalar in nats; `None` where fewer
    /// than two items have two views.
    ///
    /// # Errors
    /// libtorch's.
    pub fn within(&self, view: &View, items: &Items) -> Result<Option<Tensor>> {
        let Some(Twice { vectors: [x, y], rows: [firsts, seconds] }) = twice(view, items)? else {
            return Ok(None);
        };
        let kind = working(&x);
        let (x, y) = (x.f_to_kind(kind)?, y.f_to_kind(kind)?);
        let factor = Tensor::from(self.scale.unwrap_or(WITHIN_SCALE));
        let factor = factor.f_to_kind(kind)?.f_to_device(x.device())?;
        let more = if self.negatives > 0 { mined(view, items)? } else { None };
        let forth = self.directed((&x, &y), more, ((&firsts, &seconds), items), &factor)?;
        let back = self.directed((&y, &x), None, ((&seconds, &firsts), items), &factor)?;
        Ok(Some(forth.f_add(&back)?.f_mul_scalar(0.5 / firsts.len() as f64)?))
    }

    /// The sum over the rows of `x`, each of which finds its own among `y` and `more`, the mined negatives behind them.
    fn directed(
        &self,
        (x, y): (&Tensor, &Tensor),
        more: Option<(Tensor, Vec<usize>)>,
        ((rows, partners), items): ((&[usize], &[usize]), &Items),
        factor: &Tensor,
    ) -> Result<Tensor> {
        let (y, mined) = match more {
            Some((more, mined)) => (Tensor::f_cat(&[y, &more.f_to_kind(y.kind())?], 0)?, mined),
            None => (y.shallow_clone(), Vec::new()),
        };
        let positives = Positives::new(items, (rows, partners), &mined, (x.kind(), x.device()))?;
        let (smoothing, beta) = (self.label_smoothing, self.hard_negative_beta);
        let direction = Direction { positives, smoothing, beta };
        let (n, m) = (rows.len(), (rows.len() + mined.len()) as i64);
        let tile =
            tiled::side(n, self.tile, (x.kind(), x.device())).map(|_| tiled::rows(m, self.tile, x.kind()));
        let stretches = items.own_stretches(rows);
        let mut parts = stretches.iter().flat_map(|of| {
            let size = tile.unwrap_or(of.end - of.start);
            tiled::parts(of.end - of.start, size).map(|part| of.start + part.start..of.start + part.end)
        });
        let first = parts.next();
        let mut sum = match &first {
            // No item of this process has a partner.
            None => x.f_mul_scalar(0.0)?.f_sum(x.kind())?.f_mul(factor)?,
            Some(range) => direction.block((x, &y, factor), range, tile.is_some())?,
        };
        for range in parts {
            sum = sum.f_add(&direction.block((x, &y, factor), &range, tile.is_some())?)?;
        }
        Ok(sum)
    }
}

/// `logits`, `targets` `[n, n]` → mean over rows of −Σ target · log softmax.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let kind = working(logits);
    let log_p = logits.f_log_softmax(1, kind)?;
    Ok(log_p.f_mul(targets)?.f_sum(kind)?.f_mul_scalar(-1.0 / logits.size()[0] as f64)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::items::tests::unit;
    use tch::Kind;

    fn naive(x: &Tensor, y: &Tensor, rows: &[usize], items: &Items, scale: f64, smoothing: f64) -> f64 {
        let n = rows.len();
        let dot = |i: usize, j: usize| {
            (0..x.size()[1])
                .map(|k| x.double_value(&[i as i64, k]) * y.double_value(&[j as i64, k]))
                .sum::<f64>()
                * scale
        };
        let mut sum = 0.0;
        for i in 0..n {
            let z: f64 = (0..n).map(|j| dot(i, j).exp()).sum::<f64>().ln();
            let zt: f64 = (0..n).map(|j| dot(j, i).exp()).sum::<f64>().ln();
            let p: Vec<bool> = (0..n).map(|j| items.positive(rows[i], rows[j])).collect();
            let count = p.iter().filter(|x| **x).count() as f64;
            for (j, positive) in p.iter().enumerate() {
                let t = smoothing / n as f64 + if *positive { (1.0 - smoothing) / count } else { 0.0 };
                sum -= t * ((dot(i, j) - z) + (dot(j, i) - zt));
            }
        }
        sum / (2.0 * n as f64)
    }

    fn smoothed(label_smoothing: f64) -> Contrastive {
        Contrastive { label_smoothing, ..Contrastive::default() }
    }

    #[test]
    fn equals_a_naive_loss_with_missing_modalities_and_several_positives() {
        let items = Items {
            labels: vec![1, 2, 1, 3, 4, 5],
            texts: vec![Some(9), None, None, Some(8), Some(8), Some(7)],
            ..Items::default()
        };
        let view = |n, seed, rows: Vec<usize>| View { vectors: unit(n, 5, seed), rows };
        let text = view(4, 1, vec![0, 3, 4, 5]);
        let image = view(5, 2, vec![0, 1, 2, 3, 4]);
        let audio = view(3, 3, vec![0, 2, 5]);
        let pick = |x: &View, at: &[i64]| x.vectors.index_select(0, &Tensor::from_slice(at));
        let log = 1.5f64;
        for (a, b, at_a, at_b, rows) in [
            (&text, &image, &[0i64, 1, 2][..], &[0i64, 3, 4][..], &[0, 3, 4][..]),
            (&text, &audio, &[0, 3], &[0, 2], &[0, 5]),
            (&image, &audio, &[0, 2], &[0, 1], &[0, 2]),
        ] {
            let loss = smoothed(0.1).loss(a, b, &items, &Tensor::from(log)).unwrap().unwrap();
            let want = naive(&pick(a, at_a), &pick(b, at_b), rows, &items, log.exp(), 0.1);
            assert!((loss.double_value(&[]) - want).abs() < 1e-5, "{loss:?} {want}");
        }
    }

    // from sentence_transformers.losses import MultipleNegativesRankingLoss
    // def unit(n, d, seed): x = (torch.arange(n * d, dtype=torch.float64).view(n, d) * 1.7 + seed * 0.61).sin(); return x / x.norm(dim=-1, keepdim=True)
    // v = unit(9, 5, 3); a, p, n = v[[0, 2, 4]], v[[1, 3, 5]], v[6:9]
    // loss = MultipleNegativesRankingLoss(Identity(), scale=scale, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction")
    // loss.compute_loss_from_embeddings([a, p], None), loss.compute_loss_from_embeddings([a, p, n], None)
    #[test]
    fn two_views_equal_sentence_transformers() {
        let items = Items {
            labels: vec![1, 1, 2, 2, 3, 3, 4, 5, 6],
            texts: (0..9).map(Some).collect(),
            again: vec![(1, 0), (3, 2), (5, 4)],
            mined: vec![6, 7, 8],
            ..Items::default()
        };
        let view = View { vectors: unit(9, 5, 3), rows: (0..9).collect() };
        for (scale, negatives, want) in [
            (Some(3.0), 0, 4.716044621727541),
            (Some(3.0), 1, 5.006194395802679),
            (None, 0, 31.078520771782276),
            (None, 1, 31.201170324426744),
        ] {
            for tile in [None, Some(2)] {
                let term = Contrastive { scale, negatives, tile, ..Contrastive::default() };
                let found = term.within(&view, &items).unwrap().unwrap().double_value(&[]);
                assert!((found / want - 1.0).abs() < 1e-12, "{scale:?} {negatives} {tile:?}: {found} {want}");
            }
        }
        // A second view that says what another's first does is no wrong answer for it; one item alone has none to be told from.
        let same =
            Items { texts: vec![Some(0), Some(2), Some(2), Some(3), Some(4), Some(5)], ..items.clone() };
        let same = Items { labels: same.labels[..6].to_vec(), mined: Vec::new(), ..same };
        let six = View { vectors: unit(6, 5, 3), rows: (0..6).collect() };
        let term = smoothed(0.0);
        let (x, y) = ([0i64, 2, 4], [1i64, 3, 5]);
        let dot = |a: i64, b: i64| {
            20.0 * (six.vectors.get(a) * six.vectors.get(b)).sum(Kind::Double).double_value(&[])
        };
        let mut sum = 0.0;
        for (of, partners) in [(x, y), (y, x)] {
            for (k, a) in of.iter().enumerate() {
                let z = partners.iter().map(|b| dot(*a, *b).exp()).sum::<f64>().ln();
                let twice = [*a, partners[k]].contains(&0) && of == y || *a == 2 && of == x;
                let right: Vec<i64> = match (twice, of == x) {
                    (true, true) => vec![1, 3],
                    (true, false) => vec![0, 2],
                    _ => vec![partners[k]],
                };
                sum += z - right.iter().map(|b| dot(*a, *b)).sum::<f64>() / right.len() as f64;
            }
        }
        let found = term.within(&six, &same).unwrap().unwrap().double_value(&[]);
        assert!((found - sum / 6.0).abs() < 1e-10, "{found} {}", sum / 6.0);
        let one = Items { again: vec![(1, 0)], ..same };
        assert!(term.within(&six, &one).unwrap().is_none());
    }

    #[test]
    fn the_scale_is_bounded() {
        let items = Items { labels: vec![1, 2], texts: vec![None; 2], ..Items::default() };
        let view = |seed| View { vectors: unit(2, 3, seed), rows: vec![0, 1] };
        let at = |log: f64| {
            let loss = smoothed(0.0).loss(&view(1), &view(2), &items, &Tensor::from(log)).unwrap();
            loss.unwrap().double_value(&[])
        };
        assert_eq!(at(MAX_SCALE.ln() + 3.0), at(MAX_SCALE.ln()));
        assert!(at(MAX_SCALE.ln()) != at(1.0));
    }

    #[test]
    fn gradient_equals_finite_differences() {
        let items = Items { labels: vec![1, 2, 1], texts: vec![None; 3], ..Items::default() };
        let y = unit(3, 2, 5);
        let f = |x: &Tensor| {
            let view = |vectors: &Tensor| View { vectors: vectors.shallow_clone(), rows: vec![0, 1, 2] };
            smoothed(0.0).loss(&view(x), &view(&y), &items, &Tensor::from(0.7f64)).unwrap().unwrap()
        };
        let x = unit(3, 2, 4).set_requires_grad(true);
        f(&x).backward();
        let g = x.grad();
        for k in 0..6 {
            let step =
                Tensor::from_slice(&(0..6).map(|i| if i == k { 1e-2 } else { 0.0 }).collect::<Vec<f64>>())
                    .view([3, 2]);
            let d = (f(&(x.detach() + &step)) - f(&(x.detach() - &step))).double_value(&[]) / 2e-2;
            assert!((d - g.double_value(&[k / 2, k % 2])).abs() < 1e-3, "{k}: {d}");
        }
    }
}
