//! `kind = "caption"`: the next token of a text about what is remembered (Yu et al. 2022; Li et al. 2022).

use super::pair::one;
use crate::model::FusionModel;
use crate::{CrossKv, Error, Mask, Result};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use unisono_encoders::Pass;

/// Captions, token by token, by a fusion part that writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caption {
    /// Factor on the loss; 0 leaves the term out.
    #[serde(default = "one")]
    pub weight: f64,
    /// Share of each target spread evenly over the vocabulary.
    #[serde(default)]
    pub label_smoothing: f64,
}

/// Targets that count for nothing.
pub(super) const NONE: i64 = -100;

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
pub fn caption_loss<'a>(
    model: &FusionModel,
    memory: &CrossKv,
    captions: &[&[i64]],
    label_smoothing: f64,
    pass: impl Into<Pass<'a>>,
) -> Result<Tensor> {
    let writer = model.writer().ok_or_else(|| Error::Config("the model writes no texts".into()))?;
    if captions.iter().any(|c| c.is_empty()) {
        return Err(Error::Shape("a caption without tokens".into()));
    }
    let tokens = &model.config().tokens;
    let (input, target) = shifted(captions, tokens.start, tokens.pad)?;
    let (input, target) = (input.f_to_device(writer.device())?, target.f_to_device(writer.device())?);
    let hidden = writer.forward(&input, &Mask::Causal, Some(memory), None, pass)?;
    // Of words that are never written there is nothing to be learned, and the scores of their tokens cost the most.
    let known = model.lexicon.as_ref();
    let known = known.map(|words| words.columns(writer.config().vocab_size, NONE, &target)).transpose()?;
    let target = match &known {
        Some((_, places)) => {
            let real = target.f_ge(0)?;
            let found = places.f_index_select(0, &target.f_clamp_min(0)?.f_view([-1])?)?;
            found.f_view_as(&target)?.f_masked_fill(&real.f_logical_not()?, NONE)?
        }
        None => target,
    };
    // Scores of real tokens only: a batch's padding is often half of it, and a row of scores is as wide as the vocabulary.
    let real = target.f_view([-1])?.f_ge(0)?.f_nonzero()?.f_squeeze_dim(1)?;
    let width = hidden.size3()?.2;
    let hidden = hidden.f_reshape([-1, width])?.f_index_select(0, &real)?;
    let target = target.f_view([-1])?.f_index_select(0, &real)?;
    let scores = match &known {
        Some((columns, _)) => writer.scores_of(&hidden, columns)?,
        None => writer.scores(&hidden)?,
    };
    Ok(scores.f_cross_entropy_loss(&target, None::<&Tensor>, tch::Reduction::Mean, NONE, label_smoothing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_a_token_behind_what_is_written() {
        let (input, target) = shifted(&[&[5, 6, 2], &[7, 2]], 1, 0).unwrap();
        let flat = |t: Tensor| Vec::<i64>::try_from(t.view([-1])).unwrap();
        assert_eq!(flat(input), [1, 5, 6, 1, 7, 0]);
        assert_eq!(flat(target), [5, 6, 2, 7, 2, NONE]);
    }
}
