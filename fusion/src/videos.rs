//! Videos in a batch of pictures: the frames of all lie in it one after another, and lengths may differ.

use crate::Result;
use tch::{Device, Kind, Tensor};

/// Tokens `[n, T, W]` and what of them is real.
pub type Tokens = (Tensor, Option<Tensor>);

/// Which rows of a flat batch of frames belong to which video. Videos with fewer frames than others repeat their last one, hidden.
#[derive(Debug)]
pub struct Videos {
    /// `[n, F]` rows of the batch.
    at: Tensor,
    /// `[n, F]` bool; `None`: all are real.
    real: Option<Tensor>,
    /// `[n, F]`: one over the number of frames, 0 where there is none.
    weight: Tensor,
    sizes: (i64, i64),
}

impl Videos {
    /// For videos of so many frames each, none without one; `None` where every one is a single picture.
    ///
    /// # Errors
    /// libtorch's.
    pub fn of(counts: &[usize], device: Device) -> Result<Option<Self>> {
        let most = counts.iter().copied().max().unwrap_or(1);
        if most < 2 {
            return Ok(None);
        }
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
        Ok(Some(Self {
            at: shaped(Tensor::f_from_slice(&at)?)?,
            weight: shaped(Tensor::f_from_slice(&weight)?)?,
            real: if real.iter().all(|r| *r) { None } else { Some(shaped(Tensor::f_from_slice(&real)?)?) },
            sizes,
        }))
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

    /// Unit vectors of a flat batch → the unit vector along the mean of each video's frames, as CLIP4Clip pools.
    ///
    /// # Errors
    /// libtorch's.
    pub fn vectors(&self, vectors: &Tensor) -> Result<Tensor> {
        let (n, f) = self.sizes;
        let of = vectors.f_index_select(0, &self.at.f_flatten(0, 1)?)?.f_view([n, f, -1])?;
        let mean = of.f_mul(&self.weight.f_unsqueeze(2)?)?.f_sum_dim_intlist(
            [1i64].as_slice(),
            false,
            None::<Kind>,
        )?;
        let length = mean.f_norm_scalaropt_dim(2.0, [1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
        Ok(mean.f_div(&length)?)
    }
}
