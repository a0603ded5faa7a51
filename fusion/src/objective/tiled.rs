//! Losses over all pairs of a batch whose matrix is never whole in memory, neither forward nor backward: sums over tiles of it, that are made
//! again when the backward pass comes to them. What is kept is as long as the batch.

use crate::{Error, Result};
use std::cell::RefCell;
use std::ops::Range;
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::checkpoint;

/// From this many items on a matrix is gone through by tiles unless a term says otherwise. Up to there it is 16 MiB in fp32, and the dozen of its kind that a
/// whole loss holds at once are no burden; beyond, they are, and leave the processor's cache: tiles are faster, too.
pub(super) const FROM: usize = 2049;

/// Bytes of a tile: on a processor it stays in its cache, on a GPU it keeps all of it busy.
const TILE_BYTES: [i64; 2] = [4 << 20, 64 << 20];

/// Bytes of a block of whole rows.
const BLOCK_BYTES: i64 = 32 << 20;

/// The side of the tiles of a loss over `n` items, as `wanted` of a term says it; `None`: it is made whole.
pub(super) fn side(n: usize, wanted: Option<usize>, (kind, device): (Kind, Device)) -> Option<i64> {
    let bytes = TILE_BYTES[usize::from(device.is_cuda())];
    let fitting = (bytes / size(kind)).isqrt() / 64 * 64;
    match wanted {
        Some(0) => None,
        Some(tile) => Some(i64::try_from(tile).unwrap_or(i64::MAX)),
        None => (n >= FROM).then_some(fitting),
    }
}

/// Rows of a block of whole rows of `m` numbers, at most the side of a tile that was asked for.
pub(super) fn rows(m: i64, wanted: Option<usize>, kind: Kind) -> i64 {
    match wanted {
        Some(tile) if tile > 0 => i64::try_from(tile).unwrap_or(i64::MAX),
        _ => (BLOCK_BYTES / size(kind) / m.max(1)).clamp(16, 1024),
    }
}

fn size(kind: Kind) -> i64 {
    if kind == Kind::Double { 8 } else { 4 }
}

/// `0..n` in parts of `size`.
pub(super) fn parts(n: i64, size: i64) -> impl Iterator<Item = Range<i64>> {
    let size = size.max(1);
    (0..n)
        .step_by(usize::try_from(size).unwrap_or(usize::MAX))
        .map(move |at| at..n.min(at.saturating_add(size)))
}

/// The rows of a part.
pub(super) fn narrow(of: &Tensor, part: &Range<i64>) -> Result<Tensor> {
    Ok(of.f_narrow(0, part.start, part.end - part.start)?)
}

/// What a tiled loss is made of. All of it runs without a graph.
pub(super) trait Tiled: Send + 'static {
    /// What the backward pass needs of the forward pass.
    type Kept: Send;

    /// The loss of `given`, a scalar.
    fn value(&self, given: &[Tensor]) -> Result<(Tensor, Self::Kept)>;

    /// Its gradients, one for each of `given`.
    fn gradients(&self, given: &[Tensor], kept: &Self::Kept) -> Result<Vec<Tensor>>;
}

/// The loss of `given`, whose gradients are found when the backward pass comes to it.
pub(super) fn loss<T: Tiled>(given: &[&Tensor], tiled: T) -> Result<Tensor> {
    let kept: RefCell<Option<T::Kept>> = RefCell::new(None);
    // It is run once forward, and again by the backward pass, which wants of it nothing but something whose gradients are the loss's.
    checkpoint(given, &[], move |given: &[Tensor]| {
        if let Some(kept) = kept.borrow().as_ref() {
            let gradients = tch::no_grad(|| tiled.gradients(given, kept))?;
            return linear(given, &gradients);
        }
        let (value, found) = tch::no_grad(|| tiled.value(given))?;
        kept.replace(Some(found));
        Ok(value)
    })
}

/// A scalar whose gradients these are.
fn linear(given: &[Tensor], gradients: &[Tensor]) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for (of, gradient) in given.iter().zip(gradients).filter(|(of, _)| of.requires_grad()) {
        let part = of.f_mul(gradient)?.f_sum(of.kind())?;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&part)?,
            None => part,
        });
    }
    sum.ok_or_else(|| Error::Shape("a loss of nothing that has gradients".into()))
}

/// The sum of `part` over blocks of `size` rows of `along` (tensors of one length), each with the whole of `others`: of a block nothing is kept,
/// either.
pub(super) fn over_rows<F>(along: &[&Tensor], others: &[&Tensor], size: i64, part: F) -> Result<Tensor>
where
    F: Fn(&[Tensor], &Range<i64>) -> Result<Tensor> + Send + Clone + 'static,
{
    let n = along.first().and_then(|t| t.size().first().copied()).unwrap_or(0);
    let mut sum: Option<Tensor> = None;
    for range in parts(n, size) {
        let rows = along.iter().map(|t| narrow(t, &range)).collect::<Result<Vec<_>>>()?;
        let given: Vec<&Tensor> = rows.iter().chain(others.iter().copied()).collect();
        let part = part.clone();
        let one = checkpoint(&given, &[], move |given: &[Tensor]| part(given, &range))?;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&one)?,
            None => one,
        });
    }
    sum.ok_or_else(|| Error::Shape("a loss over no rows".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_as_large_as_asked_for_or_as_fits() {
        let cpu = (Kind::Float, Device::Cpu);
        assert_eq!(
            [side(4, None, cpu), side(FROM, None, cpu), side(FROM, Some(0), cpu)],
            [None, Some(1024), None]
        );
        assert_eq!(side(4, Some(3), cpu), Some(3));
        assert_eq!(side(FROM, None, (Kind::Double, Device::Cpu)), Some(704));
        assert_eq!([rows(1 << 20, None, Kind::Float), rows(1 << 14, None, Kind::Float)], [16, 512]);
        assert_eq!(parts(7, 3).collect::<Vec<_>>(), [0..3, 3..6, 6..7]);
    }
}
