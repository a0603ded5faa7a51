//! `kind = "distill"`: what a teacher says of the items of a batch, by its vectors, which `unisono data teach` made.
//!
//! Of a pair of modalities the student's similarities follow the teacher's, row by row and in both directions: the cross-entropy −Σ p log q of the
//! softmax of both, each at its own scale (`DistillClipLoss` of open_clip; Wu et al. 2023). A teacher may be of any width there. Of a single modality the
//! student's vectors follow the teacher's themselves; where these are of another width, a linear layer leads to them.

use super::items::{all_together, working};
use super::pair::one;
use super::refuse::refuse;
use super::{Fixed, Items, Pair, View, tiled};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::Tensor;
use unisono_encoders::Modality;

/// A teacher is followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distill {
    /// Pairs of modalities; empty: every pair that the model has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
    /// Factor on all of the term; 0 leaves it out.
    #[serde(default = "one")]
    pub weight: f64,
    /// Factor on the losses of similarities, one for each pair.
    #[serde(default = "one")]
    pub similarity: f64,
    /// Factor on the losses of vectors, one for each modality of the pairs; a teacher's of another width are led to by a linear layer, which is learned.
    #[serde(default)]
    pub features: f64,
    /// How far vectors are apart: `cosine` (1 − cos, the mean over items) or `mse` (of unit vectors, the mean over items and numbers).
    #[serde(default)]
    pub distance: Distance,
    /// The factor on the teacher's cosines: exp of its own logit scale, 100 for CLIP and most of its kin.
    #[serde(default = "hundred")]
    pub teacher_scale: f64,
    /// The matrices of similarities are made in blocks of so many rows, never whole; 0: whole. Without the key they are from 2,049 items on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<usize>,
}

fn hundred() -> f64 {
    100.0
}

/// How far vectors are apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// 1 − cos.
    #[default]
    Cosine,
    /// The mean of squared differences.
    Mse,
}

impl Distill {
    /// Refuses factors that are none.
    pub(super) fn validate(&self, at: &dyn Fn(&str) -> String) -> Result<()> {
        for (key, value) in [("similarity", self.similarity), ("features", self.features)] {
            if !(value.is_finite() && value >= 0.0) {
                return refuse(&at(key), &format!("expected 0 or more, found {value}"));
            }
        }
        if self.similarity + self.features == 0.0 {
            return refuse(&at("similarity"), "similarity and features are both 0: nothing is distilled");
        }
        if !(self.teacher_scale.is_finite() && self.teacher_scale > 0.0) {
            let found = self.teacher_scale;
            return refuse(&at("teacher_scale"), &format!("expected more than 0, found {found}"));
        }
        Ok(())
    }

    /// The loss of a pair's similarities, the mean over rows and both directions, a scalar in nats; `None` where fewer than two items have both, and
    /// the teacher's of both. `scale`: the logarithm of the student's factor on cosines.
    ///
    /// # Errors
    /// libtorch's.
    pub fn loss(
        &self,
        (a, b): ((Modality, &View), (Modality, &View)),
        items: &Items,
        scale: &Tensor,
    ) -> Result<Option<Tensor>> {
        let teacher = |(modality, view): (Modality, &View)| match items.teachers.get(&modality) {
            Some(fixed) => fixed.view(&view.vectors).and_then(|view| unit(&view)).map(Some),
            None => Ok(None),
        };
        let (Some(teacher_a), Some(teacher_b)) = (teacher(a)?, teacher(b)?) else { return Ok(None) };
        let Some((all, rows)) = all_together(&[a.1, b.1, &teacher_a, &teacher_b])? else { return Ok(None) };
        let [x, y, tx, ty] = all.as_slice() else { return super::refuse::arguments() };
        if tx.size2()?.1 != ty.size2()?.1 {
            let (of_a, of_b, a, b) = (tx.size2()?.1, ty.size2()?.1, a.0, b.0);
            let message = format!(
                "a teacher's vectors of {a} are {of_a} wide, of {b} {of_b}: they are not of one space; teach both with one model"
            );
            return refuse("objective: distill", &message);
        }
        let kind = working(x);
        let (x, y) = (x.f_to_kind(kind)?, y.f_to_kind(kind)?);
        let factor = scale.f_exp()?.f_clamp_max(super::contrastive::MAX_SCALE)?.f_to_kind(kind)?;
        let tx = tx.f_mul_scalar(self.teacher_scale)?;
        let ty_scaled = ty.f_mul_scalar(self.teacher_scale)?;
        let forth = self.followed([&x, &tx, &y, ty, &factor])?;
        let back = self.followed([&y, &ty_scaled, &x, &tx.f_div_scalar(self.teacher_scale)?, &factor])?;
        Ok(Some(forth.f_add(&back)?.f_mul_scalar(0.5 / rows.len() as f64)?))
    }

    /// The sum over rows of −Σ p log q: `[x, teacher's x scaled, y, teacher's y, factor]`.
    fn followed(&self, of: [&Tensor; 5]) -> Result<Tensor> {
        let part = |given: &[Tensor], _: &std::ops::Range<i64>| {
            let [x, tx, y, ty, factor] = given else { return super::refuse::arguments() };
            let kind = x.kind();
            let right = tx.f_matmul(&ty.f_transpose(0, 1)?)?.f_softmax(1, kind)?;
            let said = x.f_matmul(&y.f_transpose(0, 1)?)?.f_mul(factor)?.f_log_softmax(1, kind)?;
            Ok(right.f_mul(&said)?.f_sum(kind)?.f_neg()?)
        };
        let [x, tx, y, ty, factor] = of;
        let n = x.size2()?.0;
        match tiled::side(usize::try_from(n).unwrap_or(0), self.tile, (x.kind(), x.device())) {
            Some(_) => {
                let size = tiled::rows(n, self.tile, x.kind());
                tiled::over_rows(&[x, tx], &[y, ty, factor], size, part)
            }
            None => part(&of.map(Tensor::shallow_clone), &(0..n)),
        }
    }

    /// How far the vectors of a modality are from the teacher's, a scalar; `None` where no item has both. `bridge`: `[T, D]`, what the student's vectors go
    /// through before they are made unit vectors of the teacher's width T.
    ///
    /// # Errors
    /// A teacher of another width, or libtorch's.
    pub fn distance(
        &self,
        (modality, view): (Modality, &View),
        items: &Items,
        bridge: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        let Some(fixed) = items.teachers.get(&modality) else { return Ok(None) };
        let bridged = match bridge {
            Some(bridge) => {
                let vectors = view.vectors.f_to_kind(working(&view.vectors))?;
                let vectors = vectors.f_matmul(&bridge.f_transpose(0, 1)?.f_to_kind(vectors.kind())?)?;
                Some(unit(&View { vectors, rows: view.rows.clone() })?)
            }
            None => None,
        };
        let view = bridged.as_ref().unwrap_or(view);
        let width = view.vectors.size2()?.1;
        if fixed.width as i64 != width {
            let message = format!(
                "the teacher's vectors of {modality} are {} wide, the student's {width}: and nothing leads from one to the other",
                fixed.width
            );
            return refuse("objective: distill: features", &message);
        }
        let teacher = unit(&fixed.view(&view.vectors)?)?;
        let Some((all, _)) = all_together(&[view, &teacher])? else { return Ok(None) };
        let [x, right] = all.as_slice() else { return super::refuse::arguments() };
        let kind = right.kind();
        let x = x.f_to_kind(kind)?;
        Ok(Some(match self.distance {
            Distance::Cosine => {
                let cosines = x.f_mul(right)?.f_sum_dim_intlist([1i64].as_slice(), false, kind)?;
                cosines.f_mean(kind)?.f_neg()?.f_add_scalar(1.0)?
            }
            Distance::Mse => x.f_mse_loss(right, tch::Reduction::Mean)?,
        }))
    }

    /// Whether a modality is of its pairs.
    pub(super) fn names(&self, m: Modality) -> bool {
        self.pairs.is_empty() || self.pairs.iter().any(|p| p.modalities().0 == m || p.modalities().1 == m)
    }

    /// The modalities whose vectors follow the teacher's.
    pub(super) fn modalities<'a>(
        &self,
        views: &'a BTreeMap<Modality, View>,
        teachers: &BTreeMap<Modality, Fixed>,
    ) -> Vec<(Modality, &'a View)> {
        let all = views.iter().filter(|(m, _)| self.features > 0.0 && teachers.contains_key(m));
        all.filter(|(m, _)| self.names(**m)).map(|(m, view)| (*m, view)).collect()
    }
}

/// The same, as unit vectors.
fn unit(view: &View) -> Result<View> {
    let norm = view.vectors.f_norm_scalaropt_dim(2, [-1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
    Ok(View { vectors: view.vectors.f_div(&norm)?, rows: view.rows.clone() })
}
