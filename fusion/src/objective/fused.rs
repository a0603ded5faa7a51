//! The terms of a fusion part over a batch: each group of items that show the same modalities is remembered once, and every term of it
//! reads that memory.

use super::contrastive::MAX_SCALE;
use super::refuse::refuse;
use super::{Batch, MatchPairs, Part, Term, View, caption_loss, hard_negatives, match_loss};
use crate::{CrossKv, Error, FusionModel, Result, Sequence};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use unisono_encoders::Modality;
use unisono_encoders::clips::Tokens;

/// Items that show the same modalities, remembered.
struct Group<'a> {
    model: &'a FusionModel,
    memory: CrossKv,
    /// Their numbers in the batch.
    rows: &'a [usize],
    /// Their texts, as they are written.
    ids: &'a [&'a [i64]],
    /// The modality whose similarities choose the hard negatives.
    kind: Modality,
    /// Tokens of an item's memory.
    length: i64,
}

/// The losses of fused `terms`. Items of a batch that show different modalities are fused in groups of their own, and in
/// parts of texts of like length; a loss is the mean over the tokens, or pairs, of all of them. The operations that it took are
/// counted as the stacks' configurations count them.
pub(super) fn losses(terms: &[&Term], model: &FusionModel, batch: &Batch) -> Result<(Vec<Part>, f64)> {
    let mut groups: BTreeMap<Vec<Modality>, Vec<usize>> = BTreeMap::new();
    for (i, _) in batch.texts.iter().enumerate().filter(|(_, ids)| ids.is_some()) {
        let seen = batch.tokens.iter().filter(|(_, t)| t.rows.binary_search(&i).is_ok());
        let kinds: Vec<Modality> = seen.map(|(m, _)| *m).collect();
        if !kinds.is_empty() {
            groups.entry(kinds).or_default().push(i);
        }
    }
    if groups.is_empty() {
        let step = batch.step;
        return refuse("data", &format!("no sample of step {step} has a text and something to fuse it with"));
    }
    let writer = model.writer().ok_or_else(|| Error::Config("fusion: has no stack that writes".into()))?;
    let most = usize::try_from(writer.config().context_length).unwrap_or(1);
    let mut sums: Vec<Mean> = terms.iter().map(|_| Mean::default()).collect();
    let mut flops = 0.0;
    for (kinds, rows) in &groups {
        let mut sequences = Vec::with_capacity(kinds.len());
        for kind in kinds {
            sequences.extend(batch.sequences(*kind, rows)?);
        }
        let (memory, mask) = model.memory(&sequences)?;
        let length = memory.size3()?.1;
        flops += model.memory_flops(&sequences)? + rows.len() as f64 * writer.config().memory_flops(length);
        let memory = writer.cross_kv(&memory, mask.as_ref(), batch.pass)?;
        let ids: Vec<Vec<i64>> = rows.iter().map(|i| fitted(batch.texts[*i], model, most)).collect();
        let ids: Vec<&[i64]> = ids.iter().map(Vec::as_slice).collect();
        let group = Group { model, memory, rows, ids: &ids, kind: kinds[0], length };
        for (term, sum) in terms.iter().zip(&mut sums) {
            flops += match term {
                Term::Caption(t) => group.captions(t.label_smoothing, batch, sum)?,
                Term::Match(_) => group.matches(batch, sum)?,
                Term::Contrastive(_) | Term::Sigmoid(_) | Term::Distill(_) | Term::Structure(_) => 0.0,
            };
        }
    }
    let mut parts = Vec::with_capacity(terms.len());
    for (term, sum) in terms.iter().zip(sums) {
        let part = |loss| Part { name: term.name(None), loss, weight: term.weight() };
        parts.extend(sum.mean()?.map(part));
    }
    Ok((parts, flops))
}

/// A mean over tokens or pairs that come in parts.
#[derive(Debug, Default)]
struct Mean {
    sum: Option<Tensor>,
    count: f64,
}

impl Mean {
    /// Adds a part's mean over `count` of them.
    fn add(&mut self, loss: &Tensor, count: usize) -> Result<()> {
        let part = loss.f_mul_scalar(count as f64)?;
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum.f_add(&part)?,
            None => part,
        });
        self.count += count as f64;
        Ok(())
    }

    /// `None` of nothing.
    fn mean(self) -> Result<Option<Tensor>> {
        let count = self.count;
        Ok(self.sum.map(|sum| sum.f_div_scalar(count)).transpose()?)
    }
}

impl Group<'_> {
    /// The operations that it took.
    fn captions(&self, label_smoothing: f64, batch: &Batch, sum: &mut Mean) -> Result<f64> {
        let mut flops = 0.0;
        let all: Vec<usize> = (0..self.ids.len()).collect();
        for part in alike(self.ids, &all, batch.pass.parts) {
            let at: Vec<i64> = part.iter().map(|i| *i as i64).collect();
            let device = self.model.towers().device();
            let memory = self.memory.select(&Tensor::f_from_slice(&at)?.f_to_device(device)?)?;
            let ids: Vec<&[i64]> = part.iter().map(|i| self.ids[*i]).collect();
            let loss = caption_loss(self.model, &memory, &ids, label_smoothing, batch.pass)?;
            let tokens = ids.iter().map(|i| i.len()).sum();
            sum.add(&loss, tokens)?;
            if let Some(writer) = self.model.writer() {
                let longest = ids.iter().map(|i| i.len()).max().unwrap_or(0) as i64;
                // Scores are made of real tokens only.
                flops += ids.len() as f64 * writer.config().flops(longest, self.length)
                    + self.model.scored() * writer.config().score_flops(tokens as i64);
            }
        }
        Ok(flops)
    }

    /// The operations that it took. One item has no other to be told from.
    fn matches(&self, batch: &Batch, sum: &mut Mean) -> Result<f64> {
        let (rows, mut flops) = (self.rows, 0.0);
        if rows.len() < 2 {
            return Ok(flops);
        }
        let similarity = similarity(self.model, batch, self.kind, rows)?;
        let draw = |similarity: &Tensor, stream| {
            hard_negatives(similarity, rows, rows, batch.items, batch.seed, 2 * batch.step + stream)
        };
        let item_of_text = draw(&similarity, 0)?;
        let text_of_item = draw(&similarity.f_transpose(0, 1)?, 1)?;
        let pairs = MatchPairs::new(rows.len(), &item_of_text, &text_of_item);
        for part in alike(self.ids, &pairs.texts, batch.pass.parts) {
            let pairs = pairs.select(&part);
            let loss = match_loss(self.model, &self.memory, self.ids, &pairs, batch.pass)?;
            sum.add(&loss, pairs.texts.len())?;
            if let Some(reader) = self.model.reader() {
                let c = reader.config();
                let longest = pairs.texts.iter().map(|i| self.ids[*i].len()).max().unwrap_or(0) as i64;
                let each = c.flops(longest, self.length) + 2.0 * (c.transformer.width * 2) as f64;
                flops += pairs.texts.len() as f64 * each;
            }
        }
        Ok(flops)
    }
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
fn similarity(model: &FusionModel, batch: &Batch, kind: Modality, rows: &[usize]) -> Result<Tensor> {
    tch::no_grad(|| {
        let text = vectors(batch, Modality::Text, rows)?;
        let other = vectors(batch, kind, rows)?;
        let scale = match model.towers().logit_scale(Modality::Text, kind) {
            Some(scale) => scale.f_exp()?.f_clamp_max(MAX_SCALE)?,
            None => Tensor::f_full([0i64; 0].as_slice(), 14.0, (Kind::Float, text.device()))?,
        };
        Ok(text.f_matmul(&other.f_transpose(0, 1)?)?.f_mul(&scale)?)
    })
}

/// The vectors of some items; where images are asked for and an item is a video, the video's.
fn vectors(batch: &Batch, kind: Modality, rows: &[usize]) -> Result<Tensor> {
    let kinds: &[Modality] = if kind == Modality::Image { &[kind, Modality::Video] } else { &[kind] };
    let views: Vec<&View> = kinds.iter().filter_map(|k| batch.views.get(k)).collect();
    let all = match views.as_slice() {
        [] => return refuse("objective: match", "needs towers for the text and for what is matched"),
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

impl Batch<'_> {
    /// The tokens of some items, which all have this modality: one sequence, of videos one for each frame.
    fn sequences(&self, modality: Modality, rows: &[usize]) -> Result<Vec<Sequence>> {
        let Some(all) = self.tokens.get(&modality) else {
            return refuse("fusion.memory", "a tower is missing");
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use unisono_encoders::Pass;

    #[test]
    fn texts_of_like_length_go_together() {
        let ids: [&[i64]; 5] = [&[1; 7], &[1; 2], &[1; 9], &[1; 2], &[1; 3]];
        assert_eq!(alike(&ids, &[0, 1, 2, 3, 4], 2), [vec![1, 3, 4], vec![0, 2]]);
        // Numbers of lists, one of them twice.
        assert_eq!(alike(&ids, &[2, 2, 1], 3), [[2], [0], [1]]);
        assert_eq!(alike(&ids, &[4, 0], 0), [[0, 1]]);
        assert!(alike(&ids, &[], 3).is_empty());
    }

    #[test]
    fn a_mean_over_parts_is_that_of_all() {
        let mut mean = Mean::default();
        mean.add(&Tensor::from(2.0f64), 3).unwrap();
        mean.add(&Tensor::from(6.0f64), 1).unwrap();
        assert_eq!(mean.mean().unwrap().unwrap().double_value(&[]), 3.0);
        assert!(Mean::default().mean().unwrap().is_none());
    }

    #[test]
    fn a_video_stands_for_an_image_where_one_is_asked_for() {
        let view = |values: &[f32], rows: Vec<usize>| View {
            vectors: Tensor::from_slice(values).view([rows.len() as i64, 1]),
            rows,
        };
        let views = BTreeMap::from([
            (Modality::Image, view(&[1.0, 3.0], vec![0, 3])),
            (Modality::Video, view(&[2.0], vec![1])),
        ]);
        let (items, tokens) = (crate::objective::Items::default(), BTreeMap::new());
        let batch = Batch {
            bridges: None,
            items: &items,
            views: &views,
            tokens: &tokens,
            texts: Vec::new(),
            pass: Pass::TRAIN,
            seed: 0,
            step: 0,
        };
        let found = vectors(&batch, Modality::Image, &[3, 0, 1]).unwrap();
        assert_eq!(Vec::<f32>::try_from(found.view([-1])).unwrap(), [3.0, 1.0, 2.0]);
        assert!(vectors(&batch, Modality::Audio, &[0]).is_err());
        assert!(batch.sequences(Modality::Image, &[0]).is_err());
    }
}
