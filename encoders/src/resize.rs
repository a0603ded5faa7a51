//! A model of other sizes: larger images, longer texts. What is learned of places is interpolated, as OpenCLIP's `resize_pos_embed` and
//! `resize_text_pos_embed` do.

use crate::config::{ImageConfig, Size};
use crate::{Error, Model, Result};
use tch::Tensor;
use unisono_nn::Scope;

impl Model {
    /// The same towers for images of `image` `[height, width]` pixels, and for texts of `context` tokens at most; `None` leaves what there is. Both
    /// processors follow.
    ///
    /// # Errors
    /// No such tower, convolutions or images of any size, for which there is nothing to resize, a class token behind texts, impossible sizes.
    pub fn resized(self, image: Option<[i64; 2]>, context: Option<i64>) -> Result<Self> {
        let (mut config, mut processors) = (self.config().clone(), self.processors().clone());
        let mut grids = None;
        if let Some(sides) = image {
            let wrong = |found: &str| {
                Err(Error::config(
                    "resize.image",
                    format!("expected an image tower of patches in a square grid, found {found}"),
                ))
            };
            match &mut config.image {
                Some(ImageConfig::Transformer(c)) if !c.flexible => {
                    let old = c.stem.grid(c.size.sides);
                    c.size = Size { sides };
                    grids = Some((old, c.stem.grid(sides)));
                }
                Some(ImageConfig::Transformer(_)) => return wrong("one that takes images of any size"),
                Some(ImageConfig::EfficientNet(_)) => {
                    return wrong("convolutions, which see any size: change processor.image.size");
                }
                None => return wrong("none"),
            }
            if let Some(processor) = &mut processors.image {
                let [old, new] = [processor.size.sides, sides].map(|s| s[0].min(s[1]).max(1) as f64);
                processor.edge = processor.edge.map(|edge| (f64::from(edge) * new / old).round() as u32);
                processor.size = Size { sides };
            }
        }
        if let Some(tokens) = context {
            let Some(text) = &mut config.text else {
                return Err(Error::config("resize.context_length", "expected a text tower, found none"));
            };
            if text.class_token.is_some() {
                let message =
                    "a class token stands behind the last place of this model's texts: its length is fixed";
                return Err(Error::config("resize.context_length", message));
            }
            text.context_length = tokens;
            let longest = usize::try_from(tokens).unwrap_or(1);
            processors.text = processors.text.map(|text| text.with_context_length(longest));
        }
        let device = self.device();
        let mut model = Self::build(config, processors, Scope::blank(device, u64::MAX), device)?;
        model.set_dims(self.dims())?;
        tch::no_grad(|| {
            for (name, param) in model.params().iter() {
                let old =
                    self.params().get(name).ok_or_else(|| Error::config(name, "is new in another size"))?;
                let value = match name {
                    "image.position.weight" => match grids {
                        Some((old_grid, grid)) => places(&old.tensor, old_grid, grid)?,
                        None => old.tensor.shallow_clone(),
                    },
                    "text.position.weight" => lines(&old.tensor, param.tensor.size()[0])?,
                    _ => old.tensor.shallow_clone(),
                };
                param.tensor.shallow_clone().f_copy_(&value)?;
            }
            Ok(())
        })
        .map(|()| model)
    }
}

/// Positions `[H·W, D]` of a grid for another, bicubic, antialiased.
fn places(table: &Tensor, [h, w]: [i64; 2], grid: [i64; 2]) -> Result<Tensor> {
    if [h, w] == grid {
        return Ok(table.shallow_clone());
    }
    let x = table.f_view([1, h, w, -1])?.f_permute([0, 3, 1, 2])?;
    let x = x.f_internal_upsample_bicubic2d_aa(grid, false, None, None)?;
    Ok(x.f_flatten(2, 3)?.f_squeeze_dim(0)?.f_transpose(0, 1)?)
}

/// Positions `[T, D]` for another number of them, linear.
fn lines(table: &Tensor, places: i64) -> Result<Tensor> {
    if table.size()[0] == places {
        return Ok(table.shallow_clone());
    }
    let x = table.f_transpose(0, 1)?.f_unsqueeze(0)?;
    Ok(x.f_upsample_linear1d([places], false, None)?.f_squeeze_dim(0)?.f_transpose(0, 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn hold(found: &Tensor, want: &[f64]) {
        let found = Vec::<f32>::try_from(found.contiguous().view([-1])).unwrap();
        assert_eq!(found.len(), want.len());
        let far = found.iter().zip(want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(far < 1e-5, "{far}");
    }

    /// ```python
    /// from open_clip.model import resize_pos_embed
    /// m = types.SimpleNamespace(visual=types.SimpleNamespace(grid_size=(4, 5)))  # and (2, 2)
    /// sd = {"visual.positional_embedding": torch.arange(10 * 2).float().sin().reshape(10, 2)}
    /// resize_pos_embed(sd, m); sd["visual.positional_embedding"][1:]
    /// ```
    #[test]
    fn grids_are_those_of_open_clip() {
        let table = Tensor::arange(20, (Kind::Float, Device::Cpu)).sin().view([10, 2]).narrow(0, 1, 9);
        let larger = [
            1.031382, 0.208755, 0.29583, -0.325967, -0.767918, -0.956779, -0.516946, 0.050471, -0.2281,
            0.792085, 1.080203, 0.390986, 0.388249, -0.223098, -0.64141, -0.98737, -0.572937, -0.061207,
            -0.409255, 0.641854, 1.103286, 0.633876, 0.503253, -0.066883, -0.433498, -0.988467, -0.628075,
            -0.217737, -0.649825, 0.400111, 1.086159, 0.785153, 0.568745, 0.044744, -0.274524, -0.959381,
            -0.647792, -0.32099, -0.798993, 0.21841,
        ];
        hold(&places(&table, [3, 3], [4, 5]).unwrap(), &larger);
        let smaller = [0.353617, -0.256537, -0.542314, -0.009046, 0.529396, -0.014699, -0.629921, -0.25135];
        hold(&places(&table, [3, 3], [2, 2]).unwrap(), &smaller);
    }

    /// ```python
    /// from open_clip.model import resize_text_pos_embed
    /// sd = {"positional_embedding": torch.arange(5 * 2).float().cos().reshape(5, 2)}
    /// resize_text_pos_embed(sd, types.SimpleNamespace(positional_embedding=torch.zeros(7, 2)))  # and 3
    /// ```
    #[test]
    fn lengths_are_those_of_open_clip() {
        let table = Tensor::arange(10, (Kind::Float, Device::Cpu)).cos().view([5, 2]);
        let longer = [
            1.0, 0.540302, 0.190773, -0.334152, -0.484003, -0.626091, -0.653644, 0.283662, 0.499081,
            0.619548, 0.486312, 0.040317, -0.1455, -0.91113,
        ];
        hold(&lines(&table, 7).unwrap(), &longer);
        hold(&lines(&table, 3).unwrap(), &[0.527951, 0.030204, -0.653644, 0.283662, 0.223057, -0.356119]);
    }
}
