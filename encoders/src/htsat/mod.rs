//! HTS-AT (Chen et al. 2022), CLAP's audio tower: a Swin Transformer over a spectrogram that is folded into a square. It is the one
//! tower whose attention is windowed; everything else is a configuration of the others.

mod fusion;
mod window;

use crate::config::HtsatConfig;
use crate::towers::TowerOutput;
use crate::{Error, Result};
use fusion::Fusion;
use tch::{Kind, Tensor};
use unisono_nn::{BatchNorm, Checkpoint, Conv2d, LayerNorm, Pass, Precision, Scope};
use window::{Merge, WindowBlock};

/// The tower.
#[derive(Debug)]
pub struct Htsat {
    config: HtsatConfig,
    bands: BatchNorm,
    stem: Conv2d,
    stem_norm: Option<LayerNorm>,
    fusion: Option<Fusion>,
    stages: Vec<(Vec<Checkpoint<WindowBlock>>, Option<Merge>)>,
    norm: LayerNorm,
}

impl Htsat {
    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &HtsatConfig) -> Result<Self> {
        let padding = [0, 1].map(|axis| (c.patch[axis] - c.stride[axis]) / 2);
        let kernel = [c.width, 1, c.patch[0], c.patch[1]];
        let mut grid = [c.size / c.stride[0], c.size / c.stride[1]];
        let mut stages = Vec::with_capacity(c.depths.len());
        for (stage, depth) in c.depths.iter().enumerate() {
            let at = scope.child(format!("stages.{stage}"));
            let blocks = (0..*depth).map(|i| {
                let at = at.child(format!("blocks.{i}"));
                Checkpoint::new(&at, |at| WindowBlock::new(at, c, stage, i, grid))
            });
            let width = c.width << stage;
            let merge =
                if stage + 1 < c.depths.len() { Some(Merge::new(&at.child("merge"), width)?) } else { None };
            stages.push((blocks.collect::<Result<_>>()?, merge));
            grid = grid.map(|g| g / 2);
        }
        Ok(Self {
            config: c.clone(),
            bands: BatchNorm::new(&scope.child("bands"), c.mels)?,
            stem: Conv2d::new(&scope.child("stem"), kernel, c.stride, padding)?,
            stem_norm: if c.stem_norm {
                Some(LayerNorm::new(&scope.child("stem_norm"), c.width, 1e-5)?)
            } else {
                None
            },
            fusion: c
                .fusion
                .map(|ratio| Fusion::new(&scope.child("fusion"), c, ratio, padding))
                .transpose()?,
            stages,
            norm: LayerNorm::new(&scope.child("norm"), c.out_width(), 1e-5)?,
        })
    }

    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        for block in self.stages.iter().flat_map(|(blocks, _)| blocks) {
            block.layer().prepare(precision)?;
        }
        Ok(())
    }

    /// `mel` `[B, T, M]`, or `[B, 4, T, M]` for a tower that fuses, with `own` `[B]` int64: 4 where all four spectrograms are a
    /// audio's own and are fused, else 1.
    ///
    /// # Errors
    /// Other shapes, more frames than the square holds, or libtorch's.
    pub fn forward(&self, mel: &Tensor, own: &Tensor, pass: &Pass) -> Result<TowerOutput> {
        let c = &self.config;
        let mel = if mel.dim() == 3 { mel.f_unsqueeze(1)? } else { mel.shallow_clone() };
        let (b, channels, frames, mels) = mel.size4()?;
        if mels != c.mels || frames > c.frames() || (channels != 1 && c.fusion.is_none()) {
            return Err(Error::Input(format!(
                "spectrograms of [{channels}, {frames}, {mels}], this tower takes [{}, at most {}, {}]",
                if c.fusion.is_some() { 4 } else { 1 },
                c.frames(),
                c.mels
            )));
        }
        let x = self.bands.forward(&mel.f_permute([0, 3, 2, 1])?, pass.mode)?.f_permute([0, 3, 2, 1])?;
        let x = self.square(&x)?;
        let mut y = self.stem.forward(&x.f_narrow(1, 0, 1)?)?; // [B, W, h, w]
        if let (Some(fusion), 4) = (&self.fusion, channels) {
            let longer = own.f_eq(4)?.f_nonzero()?.f_view([-1])?;
            if longer.numel() > 0 {
                let parts = x.f_index_select(0, &longer)?.f_narrow(1, 1, 3)?;
                let fused = fusion.forward(&y.f_index_select(0, &longer)?, &parts, pass.mode)?;
                y = y.f_index_copy(0, &longer, &fused)?;
            }
        }
        let mut grid = [y.size()[2], y.size()[3]];
        let mut y = y.f_flatten(2, 3)?.f_transpose(1, 2)?;
        if let Some(norm) = &self.stem_norm {
            y = norm.forward(&y)?;
        }
        for (blocks, merge) in &self.stages {
            for block in blocks {
                y = match pass.checkpoint {
                    true => block.forward(&[&y], pass, move |block, given, pass| {
                        block.forward(given[0].shallow_clone(), grid, pass)
                    })?,
                    false => block.layer().forward(y, grid, pass)?,
                };
            }
            if let Some(merge) = merge {
                y = merge.forward(&y, grid)?;
                grid = grid.map(|g| (g + 1) / 2);
            }
        }
        // Unfolded: the folds of the square's height lie one after another in time.
        let folds = c.folds();
        let y = self.norm.forward(&y)?.f_view([b, folds, grid[0] / folds, grid[1], -1])?;
        let tokens = y.f_permute([0, 2, 1, 3, 4])?.f_flatten(1, 3)?;
        let pooled = tokens.f_mean_dim([1i64].as_slice(), false, Kind::Float)?;
        Ok(TowerOutput { tokens, mask: None, pooled, written: None })
    }

    /// `[B, C, T, M]` → `[B, C, S, S]`: stretched to the square's frames, then cut into pieces that are laid under each other.
    fn square(&self, x: &Tensor) -> Result<Tensor> {
        let (b, channels, frames, mels) = x.size4()?;
        let (side, folds) = (self.config.size, self.config.folds());
        let wide = self.config.frames();
        let x = if frames < wide {
            x.f_upsample_bicubic2d([wide, mels], true, None, None)?
        } else {
            x.shallow_clone()
        };
        let x = x.f_reshape([b, channels * folds, wide / folds, mels])?.f_permute([0, 1, 3, 2])?;
        Ok(x.f_reshape([b, channels, side, side])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProjectionConfig;
    use tch::Device;
    use unisono_nn::Activation;

    /// Blocks of windows that are run again learn the same, their relative positions too.
    #[test]
    fn checkpointed_windows_learn_the_same() {
        let config = HtsatConfig {
            mels: 8,
            size: 16,
            patch: [2, 2],
            stride: [2, 2],
            width: 8,
            depths: vec![2, 1],
            heads: vec![2, 2],
            window: 4,
            mlp_ratio: 2.0,
            activation: Activation::Gelu,
            norm_eps: 1e-5,
            stem_norm: true,
            fusion: None,
            projection: ProjectionConfig::default(),
        };
        let root = Scope::root(1, Device::Cpu);
        let tower = Htsat::new(&root, &config).unwrap();
        let params = root.finish().trainable();
        let of: Vec<&Tensor> = params.iter().map(|(_, t)| t).collect();
        let mel = (Tensor::arange(2 * 30 * 8, (Kind::Float, Device::Cpu)) * 0.37).sin().view([2, 30, 8]);
        let own = Tensor::from_slice(&[1i64, 1]);
        // In evaluation: batch statistics would differ from run to run.
        let run = |checkpoint| {
            let out = tower.forward(&mel, &own, &Pass { checkpoint, ..Pass::EVAL }).unwrap();
            let loss = out.pooled.square().sum(Kind::Float);
            let grads = unisono_torch_ext::autograd::grad(&[&loss], &[None], &of, false, false).unwrap();
            (loss, grads)
        };
        let (want, found) = (run(false), run(true));
        assert_eq!(want.0, found.0);
        for ((name, _), (want, found)) in params.iter().zip(want.1.iter().zip(&found.1)) {
            assert!(want == found && want.is_some(), "{name}");
        }
    }
}
