//! Pictures of different sizes, which only a flexible tower takes, through the image tower.

use crate::clips::joined;
use crate::towers::TowerOutput;
use crate::{Model, Pass, Result};
use image::RgbImage;
use std::collections::BTreeMap;
use tch::Tensor;

impl Model {
    /// Pictures from the image processor through the image tower, in their order. Those of one size go through together, and where there
    /// are several sizes the tokens are padded to the longest, and masked.
    ///
    /// # Errors
    /// No image tower, a size that it does not take, or libtorch's.
    pub fn forward_pictures<'a>(
        &self,
        prepared: &[RgbImage],
        pass: impl Into<Pass<'a>>,
    ) -> Result<TowerOutput> {
        let (processor, pass) = (self.image_processor()?, pass.into());
        let mut sizes: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (i, picture) in prepared.iter().enumerate() {
            sizes.entry(picture.dimensions()).or_default().push(i);
        }
        if sizes.len() < 2 {
            return self.forward_image(&crate::batch::images(processor, prepared, self.device())?, pass);
        }
        let (mut tokens, mut pooled, mut back, mut next) =
            (Vec::new(), Vec::new(), vec![0i64; prepared.len()], 0);
        for rows in sizes.into_values() {
            let part: Vec<RgbImage> = rows.iter().map(|i| prepared[*i].clone()).collect();
            let out = self.forward_image(&crate::batch::images(processor, &part, self.device())?, pass)?;
            tokens.push((out.tokens, out.mask));
            pooled.push(out.pooled);
            for row in rows {
                back[row] = next;
                next += 1;
            }
        }
        let back = Tensor::f_from_slice(&back)?.f_to_device(self.device())?;
        let (tokens, mask) = joined(&tokens)?;
        Ok(TowerOutput {
            tokens: tokens.f_index_select(0, &back)?,
            mask: mask.map(|mask| mask.f_index_select(0, &back)).transpose()?,
            pooled: Tensor::f_cat(&pooled, 0)?.f_index_select(0, &back)?,
        })
    }
}
