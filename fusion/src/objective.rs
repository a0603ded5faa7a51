//! What a fusion Transformer learns by: captions, token by token (Yu et al. 2022; Li et al. 2022), and matching against hard negatives,
//! which are drawn from the contrastive similarities (Li et al. 2021).

use crate::contrastive::Items;
use crate::model::FusionModel;
use crate::{Error, Mask, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};
use unisono_encoders::Mode;
use unisono_nn::CrossKv;

/// Targets that count for nothing.
const NONE: i64 = -100;

/// Id lists that end with their end token, as input of a writer and its targets: `[B, T]` each, the input begins with `start`.
fn shifted(ids: &[&[i64]], start: i64, pad: i64) -> Result<(Tensor, Tensor)> {
    let t = ids.iter().map(|r| r.len()).max().unwrap_or(0);
    let (mut input, mut target) = (vec![pad; ids.len() * t], vec![NONE; ids.len() * t]);
    for (i, row) in ids.iter().enumerate() {
        let at = i * t;
        input[at] = start;
        input[at + 1..at + row.len()].copy_from_slice(&row[..row.len() - 1]);
        target[at..at + row.len()].copy_from_slice(row);
    }
    let shape = [ids.len() as i64, t as i64];
    Ok((Tensor::f_from_slice(&input)?.f_view(shape)?, Tensor::f_from_slice(&target)?.f_view(shape)?))
}

/// Mean loss of the tokens of `captions` (id lists with their end tokens), one about each item of the memory, in nats a token.
///
/// # Errors
/// No writer, an empty caption, more tokens than positions, or libtorch's.
pub fn caption_loss(
    model: &FusionModel,
    memory: &CrossKv,
    captions: &[&[i64]],
    label_smoothing: f64,
    mode: Mode,
) -> Result<Tensor> {
    let writer = model.writer().ok_or_else(|| Error::Config("the model writes no texts".into()))?;
    if captions.iter().any(|c| c.is_empty()) {
        return Err(Error::Shape("a caption without tokens".into()));
    }
    let tokens = &model.config().tokens;
    let (input, target) = shifted(captions, tokens.start, tokens.pad)?;
    let (input, target) = (input.f_to_device(writer.device())?, target.f_to_device(writer.device())?);
    let hidden = writer.forward(&input, &Mask::Causal, Some(memory), None, mode)?;
    // Scores of real tokens only: a batch's padding is often half of it, and a row of scores is as wide as the vocabulary.
    let real = target.f_view([-1])?.f_ge(0)?.f_nonzero()?.f_squeeze_dim(1)?;
    let width = hidden.size3()?.2;
    let hidden = hidden.f_reshape([-1, width])?.f_index_select(0, &real)?;
    let target = target.f_view([-1])?.f_index_select(0, &real)?;
    let scores = writer.scores(&hidden)?;
    Ok(scores.f_cross_entropy_loss(&target, None::<&Tensor>, tch::Reduction::Mean, NONE, label_smoothing)?)
}

/// For each row of `similarity` `[n, m]` a column that is no positive of it, drawn in proportion to exp(similarity); `None` where every
/// column is one. `rows[i]` and `columns[j]` are the items of a batch that row and column belong to: an item is its own positive,
/// and so are items with the same label or text, duplicates of a caption among them.
///
/// # Errors
/// libtorch's.
pub fn hard_negatives(
    similarity: &Tensor,
    rows: &[usize],
    columns: &[usize],
    items: &Items,
    seed: u64,
    step: u64,
) -> Result<Vec<Option<usize>>> {
    let values: Vec<Vec<f64>> = Vec::try_from(
        &similarity.f_detach()?.f_to_kind(Kind::Double)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?,
    )?;
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&step.to_le_bytes());
    key[16..].copy_from_slice(b"hard negatives..");
    let mut rng = ChaCha8Rng::from_seed(key);
    let draw = |(values, row): (&Vec<f64>, &usize)| {
        let allowed: Vec<usize> = (0..columns.len()).filter(|j| !items.positive(*row, columns[*j])).collect();
        let most = allowed.iter().map(|j| values[*j]).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = allowed.iter().map(|j| (values[*j] - most).exp()).collect();
        // A draw for every row, whether it is needed or not: the next row's does not depend on it.
        let mut rest = rng.random::<f64>() * weights.iter().sum::<f64>();
        for (j, w) in allowed.iter().zip(&weights) {
            rest -= w;
            if rest < 0.0 {
                return Some(*j);
            }
        }
        allowed.last().copied()
    };
    Ok(values.iter().zip(rows).map(draw).collect())
}

/// Pairs of a text and an item of a memory, and whether they belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchPairs {
    /// Numbers of texts.
    pub texts: Vec<usize>,
    /// Numbers of items of the memory.
    pub items: Vec<usize>,
    /// 1: they do.
    pub together: Vec<i64>,
}

impl MatchPairs {
    /// The pairs at some positions.
    pub fn select(&self, at: &[usize]) -> Self {
        let pick = |from: &[usize]| at.iter().map(|i| from[*i]).collect();
        Self {
            texts: pick(&self.texts),
            items: pick(&self.items),
            together: at.iter().map(|i| self.together[*i]).collect(),
        }
    }

    /// Every true pair `(i, i)`, and for each text and for each item its hard negative, where there is one.
    pub fn new(n: usize, item_of_text: &[Option<usize>], text_of_item: &[Option<usize>]) -> Self {
        let mut pairs = Self { texts: (0..n).collect(), items: (0..n).collect(), together: vec![1; n] };
        let negatives = item_of_text.iter().enumerate().filter_map(|(t, i)| Some((t, (*i)?)));
        let others = text_of_item.iter().enumerate().filter_map(|(i, t)| Some(((*t)?, i)));
        for (text, item) in negatives.chain(others) {
            pairs.texts.push(text);
            pairs.items.push(item);
            pairs.together.push(0);
        }
        pairs
    }
}

/// Mean loss of telling which pairs belong together, in nats a pair. `texts`: id lists with their end tokens.
///
/// # Errors
/// No matching head, or libtorch's.
pub fn match_loss(
    model: &FusionModel,
    memory: &CrossKv,
    texts: &[&[i64]],
    pairs: &MatchPairs,
    mode: Mode,
) -> Result<Tensor> {
    let device = model.towers().device();
    let pad = model.config().tokens.pad;
    let t = pairs.texts.iter().map(|i| texts[*i].len()).max().unwrap_or(1);
    let (mut ids, mut real) = (Vec::new(), Vec::new());
    for i in &pairs.texts {
        let row = texts[*i];
        ids.extend(row.iter().copied().chain(std::iter::repeat_n(pad, t - row.len())));
        real.extend((0..t).map(|at| at < row.len()));
    }
    let shape = [pairs.texts.len() as i64, t as i64];
    let ids = Tensor::f_from_slice(&ids)?.f_view(shape)?.f_to_device(device)?;
    let real = Tensor::f_from_slice(&real)?.f_view(shape)?.f_to_device(device)?;
    let rows: Vec<i64> = pairs.items.iter().map(|i| *i as i64).collect();
    let memory = memory.select(&Tensor::f_from_slice(&rows)?.f_to_device(device)?)?;
    let logits = model.match_logits(&ids, &real, &memory, mode)?;
    let together = Tensor::f_from_slice(&pairs.together)?.f_to_device(device)?;
    Ok(logits.f_cross_entropy_loss(&together, None::<&Tensor>, tch::Reduction::Mean, NONE, 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negatives_are_never_positives_and_follow_the_similarities() {
        // Items 0 and 3 have one label, 1 and 2 one caption.
        let items =
            Items { labels: vec![7, 1, 2, 7, 4], texts: vec![Some(1), Some(5), Some(5), None, Some(9)] };
        let n = 5;
        let all: Vec<usize> = (0..n).collect();
        let similarity = Tensor::from_slice(&[
            0.0f32, 2.0, 0.0, 9.0, 0.0, 1.0, 9.0, 9.0, 0.0, 0.0, 1.0, 9.0, 9.0, 0.0, 0.0, 9.0, 0.0, 0.0, 9.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 9.0,
        ])
        .view([5, 5]);
        let mut counts = vec![[0usize; 5]; n];
        for step in 0..3000 {
            let found = hard_negatives(&similarity, &all, &all, &items, 1, step).unwrap();
            for (i, j) in found.into_iter().enumerate() {
                counts[i][j.unwrap()] += 1;
            }
        }
        for (i, row) in counts.iter().enumerate() {
            for (j, count) in row.iter().enumerate() {
                assert!(*count == 0 || !items.positive(i, j), "{i} {j}");
            }
        }
        // Row 0 may draw 1, 2 and 4, at e² : 1 : 1.
        let share = counts[0][1] as f64 / 3000.0;
        assert!((share - 2f64.exp() / (2f64.exp() + 2.0)).abs() < 0.03, "{share}");
        let again = hard_negatives(&similarity, &all, &all, &items, 1, 5).unwrap();
        assert_eq!(again, hard_negatives(&similarity, &all, &all, &items, 1, 5).unwrap());
        let same = Items { labels: vec![1; 3], texts: vec![None; 3] };
        let none = hard_negatives(
            &Tensor::zeros([3, 3], (Kind::Float, tch::Device::Cpu)),
            &[0, 1, 2],
            &[0, 1, 2],
            &same,
            1,
            1,
        );
        assert_eq!(none.unwrap(), [None; 3]);
    }

    #[test]
    fn pairs_hold_every_true_one_and_the_negatives() {
        let p = MatchPairs::new(3, &[Some(2), None, Some(0)], &[Some(1), Some(2), None]);
        assert_eq!(p.texts, [0, 1, 2, 0, 2, 1, 2]);
        assert_eq!(p.items, [0, 1, 2, 2, 0, 0, 1]);
        assert_eq!(p.together, [1, 1, 1, 0, 0, 0, 0]);
    }
}
