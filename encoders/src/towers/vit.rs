//! The Transformer over an image's patches (Dosovitskiy et al. 2021).

use crate::config::{StemConfig, VitConfig};
use crate::stem::Stem;
use crate::towers::output::TowerOutput;
use crate::towers::trunk::Trunk;
use crate::{Error, Result};
use tch::{Kind, Tensor};
use unisono_nn::draws::place;
use unisono_nn::{Linear, Pass, Precision, Scope};

/// Patches of an image that keeps its shape, whatever grid its tower was trained with: attention is over their square.
const MOST_PATCHES: i64 = 4096;

/// Pixels → tokens.
#[derive(Debug)]
pub struct VisionTransformer {
    stem: Stem,
    trunk: Trunk,
    size: [i64; 2],
    grid: [i64; 2],
    /// Height and width of a patch where images keep their shape.
    flexible: Option<[i64; 2]>,
    /// The frames of a clip hear each other.
    messages: bool,
}

impl VisionTransformer {
    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.trunk.prepare(precision)
    }

    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &VitConfig) -> Result<Self> {
        let width = c.transformer.width;
        let stem = Stem::new(&scope.child("stem"), &c.stem, 3, width)?;
        let grid = c.stem.grid(c.size.sides);
        let std = (stem.channels() as f64).powf(-0.5);
        let embed = match c.stem {
            StemConfig::Conv { .. } => {
                Some(Linear::new(&scope.child("embed"), stem.channels(), width, true, std)?)
            }
            _ => None,
        };
        let flexible = match c.stem {
            StemConfig::Patch { size, .. } if c.flexible => Some(size),
            _ => None,
        };
        Ok(Self {
            stem,
            trunk: Trunk::new(scope, &c.transformer, grid[0] * grid[1], c.prefix, &c.pooling, embed)?,
            size: c.size.sides,
            grid,
            flexible,
            messages: c.transformer.messages,
        })
    }

    /// Whether a frame's tokens depend on the other frames of its clip.
    pub(crate) fn mixes_frames(&self) -> bool {
        self.messages
    }

    /// `pixels` `[B, 3, H, W]`, the frames of clips, `frames` of each one after another.
    ///
    /// # Errors
    /// As [`ImageTower::forward_clips`](super::ImageTower::forward_clips).
    pub fn forward_clips(&self, pixels: &Tensor, frames: i64, pass: &Pass) -> Result<TowerOutput> {
        let (_, c, h, w) = pixels.size4()?;
        let position = match self.flexible {
            Some([ph, pw]) => {
                let most = MOST_PATCHES.max(self.grid[0] * self.grid[1]);
                if c != 3 || h % ph != 0 || w % pw != 0 || (h / ph) * (w / pw) > most || h * w == 0 {
                    return Err(Error::Input(format!(
                        "images of [{c}, {h}, {w}], this tower takes 3 channels and at most {most} patches of {ph} x {pw}"
                    )));
                }
                self.positions([h / ph, w / pw])?
            }
            None => {
                if (c, [h, w]) != (3, self.size) {
                    let [sh, sw] = self.size;
                    return Err(Error::Input(format!(
                        "images of [{c}, {h}, {w}], this tower takes [3, {sh}, {sw}]"
                    )));
                }
                self.trunk.position.table().map(Tensor::shallow_clone)
            }
        };
        let (x, _) = self.stem.forward(pixels, None, pass.mode)?;
        let x = self.trunk.embed(x.f_flatten(2, 3)?.f_transpose(1, 2)?)?; // [B, H'W', C]
        let x = match position {
            Some(position) => x.f_add(&position)?,
            None => x,
        };
        self.trunk.whole(thinned(x, pass)?, frames, pass)
    }

    /// The position embeddings, where they are learned, resized to another grid.
    fn positions(&self, grid: [i64; 2]) -> Result<Option<Tensor>> {
        let Some(table) = self.trunk.position.table() else { return Ok(None) };
        if grid == self.grid {
            return Ok(Some(table.shallow_clone()));
        }
        let width = table.size()[1];
        let x = table.f_view([1, self.grid[0], self.grid[1], width])?.f_permute([0, 3, 1, 2])?;
        // One column of several rows comes out wrong from libtorch; one row of several columns does not.
        let x = match grid {
            [rows, 1] if rows > 1 => {
                let turned = x.f_transpose(2, 3)?;
                turned.f_internal_upsample_bilinear2d_aa([1, rows], false, None, None)?.f_transpose(2, 3)?
            }
            grid => x.f_internal_upsample_bilinear2d_aa(grid, false, None, None)?,
        };
        Ok(Some(x.f_flatten(2, 3)?.f_squeeze_dim(0)?.f_transpose(0, 1)?))
    }
}

/// The patches `[B, T, W]` of each image that a pass sees, in their order.
fn thinned(x: Tensor, pass: &Pass) -> Result<Tensor> {
    let (b, t, width) = x.size3()?;
    let seen = pass.seen(t);
    if seen == t {
        return Ok(x);
    }
    let drawn = match &pass.draws {
        Some(draws) => draws.uniform(place("patches"), &[b, t], x.device())?,
        None => Tensor::f_rand([b, t], (Kind::Float, x.device()))?,
    };
    let (_, at) = drawn.f_topk(seen, 1, true, false)?;
    let (at, _) = at.f_sort(1, false)?;
    Ok(x.f_gather(1, &at.f_unsqueeze(-1)?.f_expand([b, seen, width], false)?, false)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn each_image_keeps_patches_of_its_own() {
        let x = Tensor::arange(2 * 12 * 3, (Kind::Float, Device::Cpu)).view([2, 12, 3]);
        let pass = Pass { patch_dropout: 0.7, ..Pass::TRAIN };
        let run = |seed| {
            tch::manual_seed(seed);
            thinned(x.shallow_clone(), &pass).unwrap()
        };
        let y = run(1);
        assert_eq!(y.size(), [2, 3, 3]);
        let rows = |i| Vec::<f32>::try_from(y.get(i).select(1, 0) - (i * 36) as f64).unwrap();
        let (a, b) = (rows(0), rows(1));
        assert!(a.iter().chain(&b).all(|v| v % 3.0 == 0.0 && *v < 36.0), "{a:?} {b:?}");
        assert!(a.windows(2).all(|w| w[0] < w[1]) && a != b, "{a:?} {b:?}");
        assert!(run(1) == y && (2..6).any(|seed| run(seed) != y));
        let eval = Pass { patch_dropout: 0.7, ..Pass::EVAL };
        assert_eq!(thinned(x.shallow_clone(), &eval).unwrap(), x);
        assert_eq!(Pass { patch_dropout: 0.99, ..Pass::TRAIN }.seen(12), 1);
    }
}
