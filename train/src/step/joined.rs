//! What micro-batches make, as if it had been one batch; and back, to the gradients of each micro-batch's own.

use crate::batch::Forwarded;
use crate::{Error, Result};
use std::ops::Range;
use tch::{Kind, Tensor};
use unisono_encoders::Modality;
use unisono_encoders::clips::{Tokens, joined};
use unisono_fusion::objective::{TowerTokens, View};

/// A micro-batch's piece of a joined tensor.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    first: i64,
    rows: i64,
    /// Tokens of a row before they were padded; 0: there are none.
    length: i64,
}

/// Where each micro-batch's vectors and tokens stand.
#[derive(Debug)]
pub(super) struct Joined {
    /// Of each modality's vectors, by micro-batch.
    views: Vec<(Modality, Vec<Piece>)>,
    /// Of each modality's tokens, frame by frame, by micro-batch.
    tokens: Vec<(Modality, Vec<Vec<Piece>>)>,
}

impl Joined {
    /// Micro-batches, these cuts of the batch, their graphs left behind → the whole batch, whose tensors ask for gradients.
    pub(super) fn of(parts: &[Forwarded], cuts: &[Range<usize>]) -> Result<(Self, Forwarded)> {
        let mut whole = Forwarded::default();
        let (mut views, mut tokens) = (Vec::new(), Vec::new());
        for modality in Modality::ALL {
            let (mut vectors, mut rows, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
            for (cut, part) in cuts.iter().zip(parts) {
                let view = part.views.get(&modality);
                let n = view.map_or(0, |v| v.rows.len()) as i64;
                pieces.push(Piece { first: rows.len() as i64, rows: n, length: 0 });
                rows.extend(view.iter().flat_map(|v| &v.rows).map(|row| row + cut.start));
                vectors.extend(view.map(|v| &v.vectors));
            }
            if !vectors.is_empty() {
                let vectors = leaf(Tensor::f_cat(&vectors, 0)?)?;
                whole.views.insert(modality, View { vectors, rows });
                views.push((modality, pieces));
            }
            let frames = parts.iter().filter_map(|p| p.tokens.get(&modality)).map(|t| t.frames.len()).max();
            if let Some(frames) = frames {
                let (joined, pieces) = tokens_of(parts, modality, frames, cuts)?;
                whole.tokens.insert(modality, joined);
                tokens.push((modality, pieces));
            }
        }
        Ok((Self { views, tokens }, whole))
    }

    /// The tensors of the whole batch that gradients are asked of.
    pub(super) fn leaves<'b>(&self, whole: &'b Forwarded) -> Vec<&'b Tensor> {
        let vectors = self.views.iter().filter_map(|(m, _)| whole.views.get(m)).map(|view| &view.vectors);
        let tokens = self.tokens.iter().filter_map(|(m, _)| whole.tokens.get(m));
        vectors.chain(tokens.flat_map(|t| t.frames.iter().map(|(x, _)| x))).collect()
    }

    /// Which of the [`leaves`](Self::leaves) is a modality's vectors.
    pub(super) fn view_at(&self, modality: Modality) -> Option<usize> {
        self.views.iter().position(|(m, _)| *m == modality)
    }

    /// What micro-batch `i` made of its own with a graph, and the gradients of it: its pieces of those of the [`leaves`](Self::leaves).
    pub(super) fn outputs<'b>(
        &self,
        i: usize,
        again: &'b Forwarded,
        grads: &[Option<Tensor>],
    ) -> Result<(Vec<&'b Tensor>, Vec<Tensor>)> {
        let of_views = self.views.iter().map(|(m, pieces)| (again.views.get(m).map(|v| &v.vectors), pieces));
        let of_tokens = self.tokens.iter().flat_map(|(m, frames)| {
            let own = again.tokens.get(m);
            let frame = move |at: usize| own.and_then(|t| t.frames.get(at)).map(|(x, _)| x);
            frames.iter().enumerate().map(move |(at, pieces)| (frame(at), pieces))
        });
        let (mut outputs, mut given) = (Vec::new(), Vec::new());
        for ((output, pieces), grad) in of_views.chain(of_tokens).zip(grads) {
            let (Some(output), Some(grad), Some(piece)) = (output, grad, pieces.get(i)) else { continue };
            if !output.requires_grad() || piece.rows == 0 {
                continue;
            }
            let grad = grad.f_narrow(0, piece.first, piece.rows)?;
            let grad = if piece.length > 0 { grad.f_narrow(1, 0, piece.length)? } else { grad };
            if grad.size() != output.size() {
                let (found, expected) = (output.size(), grad.size());
                let message = format!("the second pass gave {found:?}, the first {expected:?}");
                return Err(Error::setting("batch.method", message));
            }
            outputs.push(output);
            given.push(grad);
        }
        Ok((outputs, given))
    }
}

/// A modality's tokens, padded to the longest; a micro-batch without an image's or a video's later frames has hidden ones.
fn tokens_of(
    parts: &[Forwarded],
    modality: Modality,
    frames: usize,
    cuts: &[Range<usize>],
) -> Result<(TowerTokens, Vec<Vec<Piece>>)> {
    let mut rows = Vec::new();
    for (cut, part) in cuts.iter().zip(parts) {
        let own = part.tokens.get(&modality).into_iter().flat_map(|t| &t.rows);
        rows.extend(own.map(|row| row + cut.start));
    }
    let (mut all, mut places) = (Vec::with_capacity(frames), Vec::with_capacity(frames));
    for frame in 0..frames {
        let (mut of, mut pieces, mut first) = (Vec::<Tokens>::new(), Vec::new(), 0);
        for part in parts {
            let Some(own) = part.tokens.get(&modality) else {
                pieces.push(Piece { first, ..Piece::default() });
                continue;
            };
            let n = own.rows.len() as i64;
            let length = match own.frames.get(frame) {
                Some((x, mask)) => {
                    of.push((x.shallow_clone(), mask.as_ref().map(Tensor::shallow_clone)));
                    x.size3()?.1
                }
                None => {
                    let width = own.frames.first().map_or(Ok(0), |(x, _)| x.size3().map(|s| s.2))?;
                    let like = own.frames.first().map(|(x, _)| (x.kind(), x.device()));
                    let (kind, device) = like.unwrap_or((Kind::Float, tch::Device::Cpu));
                    let hidden = Tensor::f_zeros([n, 1], (Kind::Bool, device))?;
                    of.push((Tensor::f_zeros([n, 1, width], (kind, device))?, Some(hidden)));
                    0
                }
            };
            pieces.push(Piece { first, rows: if length > 0 { n } else { 0 }, length });
            first += n;
        }
        let (x, mask) = joined(&of)?;
        all.push((leaf(x)?, mask));
        places.push(pieces);
    }
    Ok((TowerTokens { frames: all, rows }, places))
}

/// The same values, asking for their gradient.
fn leaf(x: Tensor) -> Result<Tensor> {
    Ok(x.f_detach()?.f_set_requires_grad(true)?)
}
