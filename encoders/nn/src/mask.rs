//! What a token may attend to.

use crate::Result;
use tch::{Kind, Tensor};

/// What tokens see of each other, prepared once for all blocks.
#[derive(Debug)]
pub enum Mask {
    /// Everything.
    None,
    /// Themselves and what comes before them.
    Causal,
    /// Bool (true = seen) or fp32 (added to the scores); broadcasts to `[B, H, T, S]`, a row for each query and a column for each key.
    Pairs(Tensor),
}

impl Mask {
    /// From `real` `[B, S]` bool, true at tokens that are no padding: every token sees those.
    ///
    /// # Errors
    /// libtorch's.
    pub fn keys(real: &Tensor) -> Result<Self> {
        Ok(Self::Pairs(real.f_unsqueeze(1)?.f_unsqueeze(1)?))
    }

    /// This, and besides nothing of the `t` tokens that comes after.
    ///
    /// # Errors
    /// libtorch's.
    pub fn and_causal(&self, t: i64) -> Result<Self> {
        let Self::Pairs(mask) = self else { return Ok(Self::Causal) };
        let before = Tensor::f_ones([t, t], (Kind::Bool, mask.device()))?.f_tril(0)?;
        Ok(Self::Pairs(match mask.kind() {
            Kind::Bool => mask.f_logical_and(&before)?,
            _ => mask.f_masked_fill(&before.f_logical_not()?, f64::NEG_INFINITY)?,
        }))
    }

    /// As scaled dot-product attention takes it.
    pub(crate) fn parts(&self) -> (Option<&Tensor>, bool) {
        match self {
            Self::None => (None, false),
            Self::Causal => (None, true),
            Self::Pairs(mask) => (Some(mask), false),
        }
    }
}

/// `[B]` lengths → `[B, n]` bool, true where the position is real.
///
/// # Errors
/// libtorch's.
pub fn length_mask(lengths: &Tensor, n: i64) -> Result<Tensor> {
    let positions = Tensor::f_arange(n, (Kind::Int64, lengths.device()))?;
    Ok(positions.f_unsqueeze(0)?.f_lt_tensor(&lengths.f_unsqueeze(1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn lengths_and_the_order_of_time_hide() {
        let real = length_mask(&Tensor::from_slice(&[1i64, 3]), 3).unwrap();
        let flat = |t: &Tensor| Vec::<bool>::try_from(t.reshape([-1])).unwrap();
        assert_eq!(flat(&real), [true, false, false, true, true, true]);
        let both = Mask::keys(&real).unwrap().and_causal(3).unwrap();
        let Mask::Pairs(both) = both else { panic!("a mask of pairs") };
        let first = [true, false, false, true, false, false, true, false, false];
        let second = [true, false, false, true, true, false, true, true, true];
        assert_eq!(flat(&both), [first, second].concat());
        let added = Mask::Pairs(Tensor::ones([1, 1, 2, 2], (Kind::Float, Device::Cpu)));
        let Mask::Pairs(added) = added.and_causal(2).unwrap() else { panic!("a mask of pairs") };
        let found = Vec::<f32>::try_from(added.reshape([-1])).unwrap();
        assert_eq!(found, [1.0, f32::NEG_INFINITY, 1.0, 1.0]);
        assert!(matches!(Mask::None.and_causal(2).unwrap(), Mask::Causal));
    }
}
