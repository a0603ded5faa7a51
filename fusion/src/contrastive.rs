//! InfoNCE (van den Oord et al. 2018; both directions as CLIP, Radford et al. 2021) over any pairs of modalities, with
//! missing ones masked and several positives a row (the "outside the logarithm" form of Khosla et al. 2020).

use crate::{Error, Result};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use unisono_encoders::{Modality, Model};

/// The largest factor on cosines, as CLIP clips it: beyond it the loss is dominated by single negatives.
const MAX_SCALE: f64 = 100.0;

/// One modality of a batch: the vectors of the items that have it.
#[derive(Debug)]
pub struct View {
    /// `[n, D]` unit vectors.
    pub vectors: Tensor,
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
    fn targets(&self, rows: &[usize], smoothing: f64) -> Result<Tensor> {
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

/// The objective's settings.
#[derive(Debug, Clone)]
pub struct Contrastive {
    /// Share of each target spread evenly over the batch.
    pub label_smoothing: f64,
    /// Weight of each pair's loss; a pair that is not named is left out.
    pub weights: BTreeMap<(Modality, Modality), f64>,
}

/// One pair's part of the loss.
#[derive(Debug)]
pub struct PairLoss {
    /// The two modalities, in [`Modality::PAIRS`]' order.
    pub pair: (Modality, Modality),
    /// Mean over rows and both directions, a scalar in nats.
    pub loss: Tensor,
    /// Items that have both modalities.
    pub rows: usize,
}

/// The whole loss.
#[derive(Debug)]
pub struct ContrastiveLoss {
    /// The weighted sum over pairs, a scalar; `None` when no pair has two items.
    pub total: Option<Tensor>,
    /// Its parts.
    pub pairs: Vec<PairLoss>,
}

impl Contrastive {
    /// The loss of a batch whose modalities are `views`, with `model`'s logit scales.
    ///
    /// # Errors
    /// Rows beyond the batch, vectors of another count than rows, or libtorch's.
    pub fn loss(
        &self,
        model: &Model,
        views: &BTreeMap<Modality, View>,
        items: &Items,
    ) -> Result<ContrastiveLoss> {
        self.loss_with(views, items, |a, b| model.logit_scale(a, b).map(Tensor::shallow_clone))
    }

    /// [`loss`](Self::loss) with the logarithm of each pair's scale from `scale`.
    ///
    /// # Errors
    /// As [`loss`](Self::loss).
    pub fn loss_with(
        &self,
        views: &BTreeMap<Modality, View>,
        items: &Items,
        scale: impl Fn(Modality, Modality) -> Option<Tensor>,
    ) -> Result<ContrastiveLoss> {
        check(views, items)?;
        let mut pairs = Vec::new();
        let mut total: Option<Tensor> = None;
        for (&(a, b), &weight) in &self.weights {
            let (Some(va), Some(vb), Some(scale)) = (views.get(&a), views.get(&b), scale(a, b)) else {
                continue;
            };
            let (rows, at_a, at_b) = common(&va.rows, &vb.rows);
            if rows.len() < 2 || weight == 0.0 {
                continue;
            }
            let (x, y) = (select(&va.vectors, &at_a)?, select(&vb.vectors, &at_b)?);
            let factor = scale.f_exp()?.f_clamp_max(MAX_SCALE)?;
            let logits = x.f_matmul(&y.f_transpose(0, 1)?)?.f_mul(&factor)?;
            let targets = items.targets(&rows, self.label_smoothing)?.f_to_device(logits.device())?;
            let forth = cross_entropy(&logits, &targets)?;
            let back = cross_entropy(&logits.f_transpose(0, 1)?, &targets)?;
            let loss = forth.f_add(&back)?.f_mul_scalar(0.5)?;
            let weighted = loss.f_mul_scalar(weight)?;
            total = Some(match total {
                Some(sum) => sum.f_add(&weighted)?,
                None => weighted,
            });
            pairs.push(PairLoss { pair: (a, b), loss: loss.f_detach()?, rows: rows.len() });
        }
        Ok(ContrastiveLoss { total, pairs })
    }
}

fn check(views: &BTreeMap<Modality, View>, items: &Items) -> Result<()> {
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

/// `logits`, `targets` `[n, n]` → mean over rows of −Σ target · log softmax.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let log_p = logits.f_log_softmax(1, Kind::Float)?;
    Ok(log_p.f_mul(targets)?.f_sum(Kind::Float)?.f_mul_scalar(-1.0 / logits.size()[0] as f64)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Modality::{Audio, Image, Text};

    fn unit(n: i64, d: i64, seed: i64) -> Tensor {
        // A fixed pattern instead of libtorch's random state, which tests share.
        let x = Tensor::arange(n * d, (Kind::Double, tch::Device::Cpu)).view([n, d]);
        let x = (x * 1.7 + seed as f64 * 0.61).sin();
        &x / x.norm_scalaropt_dim(2, [-1i64].as_slice(), true)
    }

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

    fn weights(w: &[((Modality, Modality), f64)]) -> BTreeMap<(Modality, Modality), f64> {
        w.iter().copied().collect()
    }

    #[test]
    fn equals_a_naive_loss_with_missing_modalities_and_several_positives() {
        let items = Items {
            labels: vec![1, 2, 1, 3, 4, 5],
            texts: vec![Some(9), None, None, Some(8), Some(8), Some(7)],
        };
        let (t, i, a) = (unit(4, 5, 1), unit(5, 5, 2), unit(3, 5, 3));
        let views = BTreeMap::from([
            (Text, View { vectors: t.shallow_clone(), rows: vec![0, 3, 4, 5] }),
            (Image, View { vectors: i.shallow_clone(), rows: vec![0, 1, 2, 3, 4] }),
            (Audio, View { vectors: a.shallow_clone(), rows: vec![0, 2, 5] }),
        ]);
        let objective = Contrastive {
            label_smoothing: 0.1,
            weights: weights(&[((Text, Image), 1.0), ((Text, Audio), 0.5), ((Image, Audio), 2.0)]),
        };
        let out = objective.loss_with(&views, &items, |_, _| Some(Tensor::from(1.5f64))).unwrap();
        let pick = |x: &Tensor, at: &[i64]| x.index_select(0, &Tensor::from_slice(at));
        let s = 1.5f64.exp();
        let want = [
            naive(&pick(&t, &[0, 1, 2]), &pick(&i, &[0, 3, 4]), &[0, 3, 4], &items, s, 0.1),
            naive(&pick(&t, &[0, 3]), &pick(&a, &[0, 2]), &[0, 5], &items, s, 0.1),
            naive(&pick(&i, &[0, 2]), &pick(&a, &[0, 1]), &[0, 2], &items, s, 0.1),
        ];
        assert_eq!(out.pairs.iter().map(|p| p.rows).collect::<Vec<_>>(), [3, 2, 2]);
        for (p, w) in out.pairs.iter().zip(want) {
            assert!((p.loss.double_value(&[]) - w).abs() < 1e-5, "{:?}: {:?} {w}", p.pair, p.loss);
        }
        let total = out.total.unwrap().double_value(&[]);
        assert!((total - (want[0] + 0.5 * want[1] + 2.0 * want[2])).abs() < 1e-5);
    }

    #[test]
    fn gradient_equals_finite_differences() {
        let items = Items { labels: vec![1, 2, 1], texts: vec![None; 3] };
        let objective = Contrastive { label_smoothing: 0.0, weights: weights(&[((Text, Image), 1.0)]) };
        let y = unit(3, 2, 5);
        let f = |x: &Tensor| {
            let views = BTreeMap::from([
                (Text, View { vectors: x.shallow_clone(), rows: vec![0, 1, 2] }),
                (Image, View { vectors: y.shallow_clone(), rows: vec![0, 1, 2] }),
            ]);
            objective.loss_with(&views, &items, |_, _| Some(Tensor::from(0.7f64))).unwrap().total.unwrap()
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

    #[test]
    fn nothing_in_common_is_no_loss_and_wrong_rows_are_errors() {
        let items = Items { labels: vec![1, 2], texts: vec![None, None] };
        let objective = Contrastive { label_smoothing: 0.0, weights: weights(&[((Text, Image), 1.0)]) };
        let view = |rows: Vec<usize>| View { vectors: unit(rows.len() as i64, 2, 1), rows };
        let apart = BTreeMap::from([(Text, view(vec![0])), (Image, view(vec![1]))]);
        assert!(
            objective.loss_with(&apart, &items, |_, _| Some(Tensor::from(0f64))).unwrap().total.is_none()
        );
        let beyond = BTreeMap::from([(Text, view(vec![0, 2]))]);
        assert!(objective.loss_with(&beyond, &items, |_, _| None).is_err());
    }
}
