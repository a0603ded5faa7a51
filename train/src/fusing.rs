//! The fusion part's losses over a batch: captions, and matching with hard negatives from the batch's own similarities.

use crate::batch::Forwarded;
use crate::data::Sample;
use crate::recipe::ObjectiveConfig;
use crate::{Error, Result};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use unisono_encoders::clips::Tokens;
use unisono_encoders::{Modality, Mode};
use unisono_fusion::objective::{MatchPairs, caption_loss, hard_negatives, match_loss};
use unisono_fusion::{FusionModel, Items, Sequence, View};

/// The losses that the objective asks for, each with its weight: `caption`, `match`. Items of a batch that show different
/// modalities are fused in groups of their own, and in `buckets` parts of texts of like length; a loss is the mean over the tokens, or
/// pairs, of all of them.
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
    buckets: usize,
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
    if groups.is_empty() {
        return Err(Error::setting(
            "data",
            format!("no sample of step {step} has a text and something to fuse it with"),
        ));
    }
    // Sums over tokens or pairs, and how many there were.
    let mut sums: BTreeMap<&'static str, (Tensor, f64)> = BTreeMap::new();
    let mut add = |name, loss: Tensor, count: usize| -> Result<()> {
        let part = loss.f_mul_scalar(count as f64)?;
        let sum = match sums.remove(name) {
            Some((sum, n)) => (sum.f_add(&part)?, n + count as f64),
            None => (part, count as f64),
        };
        sums.insert(name, sum);
        Ok(())
    };
    let writer = model.writer().ok_or_else(|| Error::setting("fusion", "has no stack that writes"))?;
    for (kinds, rows) in &groups {
        let mut sequences = Vec::with_capacity(kinds.len());
        for kind in kinds {
            sequences.extend(forwarded.sequences(*kind, rows)?);
        }
        let (memory, mask) = model.memory(&sequences)?;
        let memory = writer.cross_kv(&memory, mask.as_ref())?;
        let most = usize::try_from(writer.config().context_length).unwrap_or(1);
        let ids: Vec<Vec<i64>> =
            rows.iter().map(|i| fitted(samples[*i].ids.as_deref(), model, most)).collect();
        let ids: Vec<&[i64]> = ids.iter().map(Vec::as_slice).collect();
        if objective.caption > 0.0 {
            for part in alike(&ids, &(0..ids.len()).collect::<Vec<_>>(), buckets) {
                let at: Vec<i64> = part.iter().map(|i| *i as i64).collect();
                let memory = memory.select(&Tensor::f_from_slice(&at)?.f_to_device(writer.device())?)?;
                let ids: Vec<&[i64]> = part.iter().map(|i| ids[*i]).collect();
                let loss = caption_loss(model, &memory, &ids, objective.label_smoothing, Mode::Train)?;
                add("caption", loss, ids.iter().map(|i| i.len()).sum())?;
            }
        }
        if objective.matching > 0.0 && rows.len() > 1 {
            let similarity = similarity(model, forwarded, kinds[0], rows)?;
            let item_of_text = hard_negatives(&similarity, rows, rows, items, seed, 2 * step)?;
            let text_of_item =
                hard_negatives(&similarity.f_transpose(0, 1)?, rows, rows, items, seed, 2 * step + 1)?;
            let pairs = MatchPairs::new(rows.len(), &item_of_text, &text_of_item);
            for part in alike(&ids, &pairs.texts, buckets) {
                let pairs = pairs.select(&part);
                add("match", match_loss(model, &memory, &ids, &pairs, Mode::Train)?, pairs.texts.len())?;
            }
        }
    }
    let weight = |name| if name == "caption" { objective.caption } else { objective.matching };
    let mut made = Vec::with_capacity(sums.len());
    for (name, (sum, count)) in sums {
        made.push((name, weight(name), sum.f_div_scalar(count)?));
    }
    Ok(made)
}

/// Positions of `texts`, which are numbers of id lists, in at most `buckets` parts whose lists are of like length: less padding.
fn alike(ids: &[&[i64]], texts: &[usize], buckets: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|i| (ids[texts[*i]].len(), *i));
    let size = order.len().div_ceil(buckets.max(1)).max(1);
    order.chunks(size).map(<[usize]>::to_vec).collect()
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
        let text = pick(forwarded, Modality::Text, rows)?;
        let other = pick(forwarded, kind, rows)?;
        let scale = match model.towers().logit_scale(Modality::Text, kind) {
            Some(scale) => scale.f_exp()?.f_clamp_max(100.0)?,
            None => Tensor::f_full([0i64; 0].as_slice(), 14.0, (Kind::Float, text.device()))?,
        };
        Ok(text.f_matmul(&other.f_transpose(0, 1)?)?.f_mul(&scale)?)
    })
}

/// The vectors of some items; where pictures are asked for and an item is a video, the video's.
fn pick(forwarded: &Forwarded, kind: Modality, rows: &[usize]) -> Result<Tensor> {
    let kinds: &[Modality] = if kind == Modality::Image { &[kind, Modality::Video] } else { &[kind] };
    let views: Vec<&View> = kinds.iter().filter_map(|k| forwarded.views.get(k)).collect();
    if views.is_empty() {
        return Err(Error::setting("objective.match", "needs towers for the text and for what is matched"));
    }
    let all = match views.as_slice() {
        [one] => one.vectors.shallow_clone(),
        several => Tensor::f_cat(&several.iter().map(|v| &v.vectors).collect::<Vec<_>>(), 0)?,
    };
    let place = |row: &usize| {
        let mut before = 0;
        views.iter().find_map(|view| {
            let found = view.rows.binary_search(row).ok().map(|i| (before + i) as i64);
            before += view.rows.len();
            found
        })
    };
    let at: Vec<i64> = rows.iter().filter_map(place).collect();
    let at = Tensor::f_from_slice(&at)?.f_to_device(all.device())?;
    Ok(all.f_index_select(0, &at)?)
}

impl Forwarded {
    /// The tokens of some samples, which all have this modality: one sequence, of videos one for each frame.
    fn sequences(&self, modality: Modality, rows: &[usize]) -> Result<Vec<Sequence>> {
        let all = self
            .tokens
            .get(&modality)
            .ok_or_else(|| Error::setting("fusion.memory", "a tower is missing"))?;
        let at: Vec<i64> =
            rows.iter().filter_map(|r| all.rows.binary_search(r).ok()).map(|i| i as i64).collect();
        let one = |(frame, (tokens, mask)): (usize, &Tokens)| {
            let at = Tensor::f_from_slice(&at)?.f_to_device(tokens.device())?;
            Ok(Sequence {
                modality,
                tokens: tokens.f_index_select(0, &at)?,
                mask: mask.as_ref().map(|m| m.f_index_select(0, &at)).transpose()?,
                frame: frame as i64,
            })
        };
        all.frames.iter().enumerate().map(one).collect()
    }
}
