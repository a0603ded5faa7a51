//! The fusion part's losses over a batch: captions, and matching with hard negatives from the batch's own similarities.

use crate::data::{Forwarded, Sample};
use crate::recipe::ObjectiveConfig;
use crate::{Error, Result};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use unisono_encoders::{Modality, Mode};
use unisono_fusion::objective::{MatchPairs, caption_loss, hard_negatives, match_loss};
use unisono_fusion::{FusionModel, Items, Sequence, View};

/// The losses that the objective asks for, each with its weight: `caption`, `match`. Items of a batch that show different
/// modalities are fused in groups of their own; a loss is the mean over all of them.
///
/// # Errors
/// No item with a text and something to look at or hear, or libtorch's.
pub fn losses(
    model: &FusionModel,
    objective: &ObjectiveConfig,
    forwarded: &Forwarded,
    samples: &[Sample],
    items: &Items,
    (seed, step): (u64, u64),
) -> Result<Vec<(&'static str, f64, Tensor)>> {
    let mut groups: BTreeMap<Vec<Modality>, Vec<usize>> = BTreeMap::new();
    for (i, sample) in samples.iter().enumerate().filter(|(_, s)| s.ids.is_some()) {
        let seen = forwarded.tokens.iter().filter(|(_, t)| t.rows.binary_search(&i).is_ok());
        let kinds: Vec<Modality> = seen.map(|(m, _)| *m).collect();
        debug_assert!(sample.ids.is_some());
        if !kinds.is_empty() {
            groups.entry(kinds).or_default().push(i);
        }
    }
    let total: usize = groups.values().map(Vec::len).sum();
    if total == 0 {
        return Err(Error::setting(
            "data",
            format!("no sample of step {step} has a text and something to fuse it with"),
        ));
    }
    let mut sums: BTreeMap<&'static str, Tensor> = BTreeMap::new();
    let mut add = |name, loss: Tensor, share: f64| -> Result<()> {
        let part = loss.f_mul_scalar(share)?;
        let sum = match sums.remove(name) {
            Some(sum) => sum.f_add(&part)?,
            None => part,
        };
        sums.insert(name, sum);
        Ok(())
    };
    let writer = model.writer().ok_or_else(|| Error::setting("fusion", "has no stack that writes"))?;
    for (kinds, rows) in &groups {
        let mut sequences = Vec::with_capacity(kinds.len());
        for kind in kinds {
            sequences.push(forwarded.sequence(*kind, rows)?);
        }
        let (memory, mask) = model.memory(&sequences)?;
        let memory = writer.remember(&memory, mask.as_ref())?;
        let share = rows.len() as f64 / total as f64;
        let most = usize::try_from(writer.config().context_length).unwrap_or(1);
        let ids: Vec<Vec<i64>> =
            rows.iter().map(|i| fitted(samples[*i].ids.as_deref(), model, most)).collect();
        let ids: Vec<&[i64]> = ids.iter().map(Vec::as_slice).collect();
        if objective.caption > 0.0 {
            let loss = caption_loss(model, &memory, &ids, objective.label_smoothing, Mode::Train)?;
            add("caption", loss, share)?;
        }
        if objective.matching > 0.0 && rows.len() > 1 {
            let similarity = similarity(model, forwarded, kinds[0], rows)?;
            let item_of_text = hard_negatives(&similarity, rows, rows, items, seed, 2 * step)?;
            let text_of_item =
                hard_negatives(&similarity.f_transpose(0, 1)?, rows, rows, items, seed, 2 * step + 1)?;
            let pairs = MatchPairs::new(rows.len(), &item_of_text, &text_of_item);
            add("match", match_loss(model, &memory, &ids, &pairs, Mode::Train)?, share)?;
        }
    }
    let weight = |name| if name == "caption" { objective.caption } else { objective.matching };
    Ok(sums.into_iter().map(|(name, loss)| (name, weight(name), loss)).collect())
}

/// A text's ids without what begins every text, cut to the writer's positions with its end kept.
fn fitted(ids: Option<&[i64]>, model: &FusionModel, most: usize) -> Vec<i64> {
    let ids = ids.unwrap_or_default();
    let skip = usize::from(ids.len() > 1 && ids.first() == model.config().tokens.first.as_ref());
    let mut ids = ids[skip..].to_vec();
    if ids.len() > most {
        let end = ids[ids.len() - 1];
        ids.truncate(most);
        ids[most - 1] = end;
    }
    ids
}

/// Scaled cosines `[n, n]` of the texts and the media of some items, without a graph.
fn similarity(model: &FusionModel, forwarded: &Forwarded, kind: Modality, rows: &[usize]) -> Result<Tensor> {
    tch::no_grad(|| {
        let text = pick(forwarded.views.get(&Modality::Text), rows)?;
        let other = pick(forwarded.views.get(&kind), rows)?;
        let scale = match model.towers().logit_scale(Modality::Text, kind) {
            Some(scale) => scale.f_exp()?.f_clamp_max(100.0)?,
            None => Tensor::f_full([0i64; 0].as_slice(), 14.0, (Kind::Float, text.device()))?,
        };
        Ok(text.f_matmul(&other.f_transpose(0, 1)?)?.f_mul(&scale)?)
    })
}

fn pick(view: Option<&View>, rows: &[usize]) -> Result<Tensor> {
    let view = view.ok_or_else(|| {
        Error::setting("objective.match", "needs towers for the text and for what is matched")
    })?;
    let at: Vec<i64> =
        rows.iter().filter_map(|r| view.rows.binary_search(r).ok()).map(|i| i as i64).collect();
    let at = Tensor::f_from_slice(&at)?.f_to_device(view.vectors.device())?;
    Ok(view.vectors.f_index_select(0, &at)?)
}

impl Forwarded {
    /// The tokens of some samples, which all have this modality.
    fn sequence(&self, modality: Modality, rows: &[usize]) -> Result<Sequence> {
        let all = self
            .tokens
            .get(&modality)
            .ok_or_else(|| Error::setting("fusion.memory", "a tower is missing"))?;
        let at: Vec<i64> =
            rows.iter().filter_map(|r| all.rows.binary_search(r).ok()).map(|i| i as i64).collect();
        let at = Tensor::f_from_slice(&at)?.f_to_device(all.tokens.device())?;
        Ok(Sequence {
            modality,
            tokens: all.tokens.f_index_select(0, &at)?,
            mask: all.mask.as_ref().map(|m| m.f_index_select(0, &at)).transpose()?,
            frame: 0,
        })
    }
}
