//! Clips in a batch of images: the frames of all lie in it one after another, and lengths may differ.

use crate::{Error, Pass, Result};
use tch::{Device, Kind, Tensor};

/// Tokens `[n, T, W]` and what of them is real.
pub type Tokens = (Tensor, Option<Tensor>);

/// Which rows of a flat batch of frames belong to which clip. Clips with fewer frames than others repeat their last one, hidden.
#[derive(Debug)]
pub struct Clips {
    /// `[n, F]` rows of the batch.
    at: Tensor,
    /// `[n, F]` bool; `None`: all are real.
    real: Option<Tensor>,
    /// `[n, F]`: one over the number of frames, 0 where there is none.
    weight: Tensor,
    sizes: (i64, i64),
}

impl Clips {
    /// For clips of so many frames each.
    ///
    /// # Errors
    /// No clip, or one without a frame.
    pub fn new(counts: &[usize], device: Device) -> Result<Self> {
        if counts.is_empty() || counts.contains(&0) {
            return Err(Error::Input("a video without a frame".into()));
        }
        let most = counts.iter().copied().max().unwrap_or(1);
        let (mut at, mut real, mut weight, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for count in counts {
            for frame in 0..most {
                at.push((first + frame.min(count - 1)) as i64);
                real.push(frame < *count);
                weight.push(if frame < *count { 1.0 / *count as f32 } else { 0.0 });
            }
            first += count;
        }
        let sizes = (counts.len() as i64, most as i64);
        let shaped = |t: Tensor| -> Result<Tensor> { Ok(t.f_view([sizes.0, sizes.1])?.f_to_device(device)?) };
        Ok(Self {
            at: shaped(Tensor::f_from_slice(&at)?)?,
            weight: shaped(Tensor::f_from_slice(&weight)?)?,
            real: if real.iter().all(|r| *r) { None } else { Some(shaped(Tensor::f_from_slice(&real)?)?) },
            sizes,
        })
    }

    /// Clips n, and frames F of the longest.
    pub fn sizes(&self) -> (i64, i64) {
        self.sizes
    }

    /// Whether every clip is a single image.
    pub fn are_images(&self) -> bool {
        self.sizes.1 < 2
    }

    /// `[n, F]` bool, true where a frame is real; `None`: all are.
    pub fn real(&self) -> Option<&Tensor> {
        self.real.as_ref()
    }

    /// Rows of a flat batch `[N, W]` → `[n, F, W]`, the last one repeated where a clip has fewer.
    ///
    /// # Errors
    /// libtorch's.
    pub fn rows(&self, flat: &Tensor) -> Result<Tensor> {
        let (n, f) = self.sizes;
        Ok(flat.f_index_select(0, &self.at.f_flatten(0, 1)?)?.f_view([n, f, -1])?)
    }

    /// `[n, F, W]` → the mean over each clip's real frames `[n, W]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn mean(&self, rows: &Tensor) -> Result<Tensor> {
        let weighted = rows.f_mul(&self.weight.f_unsqueeze(2)?)?;
        Ok(weighted.f_sum_dim_intlist([1i64].as_slice(), false, None::<Kind>)?)
    }

    /// Tokens of a flat batch, frame by frame.
    ///
    /// # Errors
    /// libtorch's.
    pub fn tokens(&self, tokens: &Tensor, mask: Option<&Tensor>) -> Result<Vec<Tokens>> {
        let (n, t) = (self.sizes.0, tokens.size3()?.1);
        (0..self.sizes.1)
            .map(|frame| {
                let at = self.at.f_select(1, frame)?;
                let of_tower = mask.map(|m| m.f_index_select(0, &at)).transpose()?;
                let of_frames = match &self.real {
                    Some(real) => Some(real.f_narrow(1, frame, 1)?.f_expand([n, t], false)?),
                    None => None,
                };
                let mask = match (of_tower, of_frames) {
                    (Some(a), Some(b)) => Some(a.f_logical_and(&b)?),
                    (a, b) => a.or(b),
                };
                Ok((tokens.f_index_select(0, &at)?, mask))
            })
            .collect()
    }
}

/// Tokens of several batches one after another, padded to the longest; masked where lengths differ or a mask is there already.
///
/// # Errors
/// No batch, or libtorch's.
pub fn joined(parts: &[Tokens]) -> Result<Tokens> {
    let lengths: Vec<i64> = parts.iter().map(|(t, _)| t.size3().map(|s| s.1)).collect::<Result<_, _>>()?;
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let plain = lengths.iter().all(|t| *t == longest) && parts.iter().all(|(_, mask)| mask.is_none());
    let (mut tokens, mut masks) = (Vec::with_capacity(parts.len()), Vec::new());
    for ((x, mask), t) in parts.iter().zip(lengths) {
        tokens.push(if t < longest {
            x.f_constant_pad_nd([0, 0, 0, longest - t])?
        } else {
            x.shallow_clone()
        });
        if !plain {
            let real = match mask {
                Some(mask) => mask.shallow_clone(),
                None => Tensor::f_ones([x.size()[0], t], (Kind::Bool, x.device()))?,
            };
            masks.push(real.f_constant_pad_nd([0, longest - t])?);
        }
    }
    let mask = if plain { None } else { Some(Tensor::f_cat(&masks, 0)?) };
    Ok((Tensor::f_cat(&tokens, 0)?, mask))
}

/// What the frames of clips of so many frames each are known by, one after another, where draws are a function of the sample; otherwise nothing.
pub fn known_frames(pass: &Pass, counts: &[usize]) -> Vec<u64> {
    let Some(draws) = pass.draws else { return Vec::new() };
    let of = |(row, count): (usize, &usize)| (0..*count).map(move |frame| draws.frame(row, frame));
    counts.iter().enumerate().flat_map(of).collect()
}

/// Vectors along the last axis, each divided by its length.
///
/// # Errors
/// libtorch's.
pub fn unit(vectors: &Tensor) -> Result<Tensor> {
    let length = vectors.f_norm_scalaropt_dim(2.0, [-1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
    Ok(vectors.f_div(&length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_tokens_are_padded_and_masked_where_they_must_be() {
        let ones = |n: i64, t: i64| Tensor::ones([n, t, 2], (Kind::Float, Device::Cpu));
        let (tokens, mask) = joined(&[(ones(1, 3), None), (ones(2, 3), None)]).unwrap();
        assert!(tokens.size() == [3, 3, 2] && mask.is_none());
        let (tokens, mask) = joined(&[(ones(1, 1), None), (ones(2, 3), None)]).unwrap();
        assert_eq!(tokens.sum(Kind::Float).double_value(&[]), 14.0);
        let real: Vec<bool> = Vec::try_from(mask.unwrap().view([-1])).unwrap();
        assert_eq!(real, [true, false, false, true, true, true, true, true, true]);
        assert!(joined(&[]).is_err());
    }

    #[test]
    fn rows_and_means_are_of_real_frames() {
        let clips = Clips::new(&[2, 1, 3], Device::Cpu).unwrap();
        let flat = Tensor::from_slice(&[1f32, 2.0, 4.0, 8.0, 16.0, 33.0]).view([6, 1]);
        let rows = clips.rows(&flat).unwrap();
        assert_eq!(
            rows.view([3, 3]),
            Tensor::from_slice(&[1f32, 2., 2., 4., 4., 4., 8., 16., 33.]).view([3, 3])
        );
        assert_eq!(clips.mean(&rows).unwrap().view([3]), Tensor::from_slice(&[1.5f32, 4.0, 19.0]));
        assert!(clips.real().is_some() && Clips::new(&[2, 2], Device::Cpu).unwrap().real().is_none());
        assert!(Clips::new(&[1, 0], Device::Cpu).is_err() && Clips::new(&[], Device::Cpu).is_err());
    }
}
