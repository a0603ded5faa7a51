//! HTS-AT (Chen et al. 2022), CLAP's audio tower: a Swin Transformer over a spectrogram that is folded into a square. It is the one
//! tower whose attention is windowed; everything else is a configuration of the others.

use crate::config::{Activation, TransformerConfig, within};
use crate::layers::{LayerNorm, Linear, Mlp};
use crate::precision::Precision;
use crate::{Error, Init, Mode, Result, Scope, TowerOutput};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The tower's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HtsatConfig {
    /// Mel bands M.
    pub mels: i64,
    /// Side of the square that the spectrogram is folded into; a multiple of `mels`.
    pub size: i64,
    /// Patch height and width.
    pub patch: [i64; 2],
    /// Distance of patches.
    pub stride: [i64; 2],
    /// Width after the stem; every stage but the last doubles it.
    pub width: i64,
    /// Blocks of each stage.
    pub depths: Vec<i64>,
    /// Attention heads of each stage.
    pub heads: Vec<i64>,
    /// Side of the attention windows, in patches.
    pub window: i64,
    /// Hidden width of the feed-forward part, in units of the stage's width.
    pub mlp_ratio: f64,
    /// Between the two feed-forward layers.
    #[serde(default)]
    pub activation: Activation,
    /// Added to the variance in the blocks' layer norms.
    pub norm_eps: f64,
    /// A layer norm after the stem.
    pub stem_norm: bool,
    /// Long sounds come as four spectrograms that are fused after the stem (attentional feature fusion, Dai et al. 2021); the value
    /// is by what the fusion's inner width is divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<i64>,
    /// From the pooled vector to the shared space.
    #[serde(default)]
    pub projection: crate::config::ProjectionConfig,
}

impl HtsatConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        within("htsat.mels", self.mels, 4096)?;
        // A sound is a square of this side, a window attends among the square of its side: real ones are 256 and 8.
        within("htsat.size", self.size, 1024)?;
        within("htsat.width", self.width, 1 << 14)?;
        within("htsat.window", self.window, 64)?;
        let n = self.depths.len();
        if n == 0 || n > 8 || self.heads.len() != n {
            return Err(Error::config(
                "htsat.depths",
                "expected 1 to 8 stages, each with a depth and a number of heads",
            ));
        }
        for axis in 0..2 {
            within("htsat.patch", self.patch[axis], self.size)?;
            within("htsat.stride", self.stride[axis], self.patch[axis])?;
        }
        if self.size % self.mels != 0 || self.size % self.stride[0] != 0 || self.size % self.stride[1] != 0 {
            return Err(Error::config("htsat.size", "expected a multiple of mels and of the stride"));
        }
        for (key, value, most) in [("mlp_ratio", self.mlp_ratio, 64.0), ("norm_eps", self.norm_eps, 1.0)] {
            if !(value > 0.0 && value <= most) {
                return Err(Error::config(
                    format!("htsat.{key}"),
                    format!("expected more than 0 and at most {most}, found {value}"),
                ));
            }
        }
        for (stage, (depth, heads)) in self.depths.iter().zip(&self.heads).enumerate() {
            within("htsat.depths", *depth, 1024)?;
            within("htsat.heads", *heads, 1 << 12)?;
            if (self.width << stage) % heads != 0 {
                return Err(Error::config(
                    "htsat.heads",
                    format!("{heads} does not divide width {}", self.width << stage),
                ));
            }
        }
        if self.fusion.is_some_and(|r| r < 1 || r > self.width) {
            return Err(Error::config("htsat.fusion", format!("expected 1 to {}", self.width)));
        }
        Ok(())
    }

    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.width << (self.depths.len() as i64 - 1).clamp(0, 8)
    }

    /// How often the spectrogram's bands fit into the square's side.
    fn folds(&self) -> i64 {
        self.size / self.mels
    }

    /// Frames that fill the square.
    pub fn frames(&self) -> i64 {
        self.size * self.folds()
    }
}

/// Batch norm over axis 1.
#[derive(Debug)]
struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
}

impl BatchNorm {
    fn new(scope: &Scope, n: i64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[n], Init::Const(1.0))?,
            bias: scope.param("bias", &[n], Init::Const(0.0))?,
            mean: scope.buffer("running_mean", &[n], Init::Const(0.0))?,
            var: scope.buffer("running_var", &[n], Init::Const(1.0))?,
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let (w, b, m, v) = (Some(&self.weight), Some(&self.bias), Some(&self.mean), Some(&self.var));
        Ok(x.f_batch_norm(w, b, m, v, mode == Mode::Train, 0.1, 1e-5, true)?)
    }
}

#[derive(Debug)]
struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: [i64; 2],
    padding: [i64; 2],
}

impl Conv {
    fn new(scope: &Scope, shape: [i64; 4], stride: [i64; 2], padding: [i64; 2]) -> Result<Self> {
        let std = ((shape[1] * shape[2] * shape[3]) as f64).powf(-0.5);
        Ok(Self {
            weight: scope.param("weight", &shape, Init::Normal(std))?,
            bias: scope.param("bias", &[shape[0]], Init::Const(0.0))?,
            stride,
            padding,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, [1, 1], 1)?)
    }
}

/// How much of the whole and how much of the parts: a gate from both, at each place and over all places.
#[derive(Debug)]
struct Fusion {
    stem: Conv,
    local: [(Conv, BatchNorm); 2],
    global: [(Conv, BatchNorm); 2],
}

impl Fusion {
    fn new(scope: &Scope, c: &HtsatConfig, ratio: i64, padding: [i64; 2]) -> Result<Self> {
        let (w, inner) = (c.width, (c.width / ratio).max(1));
        let gate = |name: &str| -> Result<[(Conv, BatchNorm); 2]> {
            let s = scope.child(name);
            let layer = |i: i64, from: i64, to: i64| -> Result<(Conv, BatchNorm)> {
                let at = s.child(i);
                Ok((
                    Conv::new(&at, [to, from, 1, 1], [1, 1], [0, 0])?,
                    BatchNorm::new(&at.child("norm"), to)?,
                ))
            };
            Ok([layer(0, w, inner)?, layer(1, inner, w)?])
        };
        let wide = [w, 1, c.patch[0], 3 * c.patch[1]];
        Ok(Self {
            stem: Conv::new(&scope.child("stem"), wide, [c.stride[0], 3 * c.stride[1]], padding)?,
            local: gate("local")?,
            global: gate("global")?,
        })
    }

    fn gate(layers: &[(Conv, BatchNorm); 2], x: &Tensor, mode: Mode) -> Result<Tensor> {
        let [(conv1, norm1), (conv2, norm2)] = layers;
        let x = norm1.forward(&conv1.forward(x)?, mode)?.f_relu()?;
        norm2.forward(&conv2.forward(&x)?, mode)
    }

    /// `whole` `[n, W, h, w]` and the three parts' pictures `[n, 3, H, H]`.
    fn forward(&self, whole: &Tensor, parts: &Tensor, mode: Mode) -> Result<Tensor> {
        let (n, three, h, w) = parts.size4()?;
        let x = self.stem.forward(&parts.f_reshape([n * three, 1, h, w])?)?;
        let (_, c, h, w) = x.size4()?;
        let x = x.f_view([n, three, c, h, w])?.f_permute([0, 2, 3, 1, 4])?.f_contiguous()?.f_flatten(3, 4)?;
        let x = x.f_constant_pad_nd([0, whole.size()[3] - x.size()[3]])?;
        let sum = whole.f_add(&x)?;
        let everywhere = sum.f_adaptive_avg_pool2d([1, 1])?;
        let gate =
            Self::gate(&self.local, &sum, mode)?.f_add(&Self::gate(&self.global, &everywhere, mode)?)?;
        let gate = gate.f_sigmoid()?;
        // 2 · (whole · gate + parts · (1 − gate))
        Ok(x.f_lerp_tensor(whole, &gate)?.f_mul_scalar(2.0)?)
    }
}

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    out: Linear,
    /// `[(2w − 1)², heads]`.
    relative: Tensor,
    norm2: LayerNorm,
    mlp: Mlp,
    heads: i64,
    window: i64,
    shift: i64,
}

impl Block {
    fn new(scope: &Scope, c: &HtsatConfig, stage: usize, index: i64, grid: [i64; 2]) -> Result<Self> {
        let (width, heads) = (c.width << stage, c.heads[stage]);
        let std = (width as f64).powf(-0.5);
        let attention = scope.child("attention");
        // A grid of one window is not shifted.
        let smallest = grid[0].min(grid[1]);
        let (window, shift) = if smallest <= c.window {
            (smallest, 0)
        } else {
            (c.window, if index % 2 == 0 { 0 } else { c.window / 2 })
        };
        let side = 2 * window - 1;
        let mlp = TransformerConfig {
            mlp_ratio: c.mlp_ratio,
            activation: c.activation,
            ..TransformerConfig::new(width, c.depths[stage], heads)
        };
        Ok(Self {
            norm1: LayerNorm::new(&scope.child("norm1"), width, c.norm_eps)?,
            qkv: Linear::new(&attention.child("qkv"), width, 3 * width, true, std)?,
            out: Linear::new(&attention.child("out"), width, width, true, std)?,
            relative: attention.param("relative", &[side * side, heads], Init::Normal(0.02))?,
            norm2: LayerNorm::new(&scope.child("norm2"), width, c.norm_eps)?,
            mlp: Mlp::new(&scope.child("mlp"), &mlp, std)?,
            heads,
            window,
            shift,
        })
    }

    /// `[B, h·w, W]` → the same.
    fn forward(&self, x: &Tensor, [h, w]: [i64; 2]) -> Result<Tensor> {
        let (b, _, c) = x.size3()?;
        let win = self.window;
        let (down, right) = ((win - h % win) % win, (win - w % win) % win);
        let mut y = self.norm1.forward(x)?.f_view([b, h, w, c])?;
        if down + right > 0 {
            y = y.f_constant_pad_nd([0, 0, 0, right, 0, down])?;
        }
        let (hp, wp) = (h + down, w + right);
        if self.shift > 0 {
            y = y.f_roll([-self.shift, -self.shift], [1, 2])?;
        }
        let (rows, columns, n) = (hp / win, wp / win, win * win);
        let y = y.f_view([b, rows, win, columns, win, c])?.f_permute([0, 1, 3, 2, 4, 5])?;
        let windows = rows * columns;
        let qkv = self.qkv.forward(&y.f_reshape([b, windows, n, c])?)?;
        // Windows and heads side by side: one mask serves every sample of the batch.
        let each = c / self.heads;
        let qkv = qkv.f_view([b, windows, n, 3, self.heads, each])?.f_permute([3, 0, 1, 4, 2, 5])?;
        let qkv = qkv.f_reshape([3, b, windows * self.heads, n, each])?;
        let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
        let mask = self.mask([hp, wp])?;
        let y = Tensor::f_scaled_dot_product_attention(&q, &k, &v, Some(&mask), 0.0, false, None, false)?;
        let y = y
            .f_view([b, windows, self.heads, n, each])?
            .f_permute([0, 1, 3, 2, 4])?
            .f_reshape([b, windows, n, c])?;
        let y = self.out.forward(&y)?.f_view([b, rows, columns, win, win, c])?;
        let mut y = y.f_permute([0, 1, 3, 2, 4, 5])?.f_reshape([b, hp, wp, c])?;
        if self.shift > 0 {
            y = y.f_roll([self.shift, self.shift], [1, 2])?;
        }
        let y = y.f_narrow(1, 0, h)?.f_narrow(2, 0, w)?.f_reshape([b, h * w, c])?;
        let x = x.f_add(&y)?;
        Ok(x.f_add(&self.mlp.forward(&self.norm2.forward(&x)?)?)?)
    }

    /// `[1, windows · heads, n, n]`: biases by position, and −100 between places that only the cyclic shift made neighbours.
    fn mask(&self, grid: [i64; 2]) -> Result<Tensor> {
        let (win, device) = (self.window, self.relative.device());
        let n = win * win;
        let index: Vec<i64> = (0..n)
            .flat_map(|i| {
                (0..n)
                    .map(move |j| (i / win - j / win + win - 1) * (2 * win - 1) + i % win - j % win + win - 1)
            })
            .collect();
        let index = Tensor::f_from_slice(&index)?.f_to_device(device)?;
        let bias =
            self.relative.f_index_select(0, &index)?.f_view([n, n, self.heads])?.f_permute([2, 0, 1])?;
        let (rows, columns) = (grid[0] / win, grid[1] / win);
        let windows = rows * columns;
        let bias = bias.f_unsqueeze(0)?; // [1, H, n, n]
        if self.shift == 0 {
            return Ok(bias.f_expand([windows, self.heads, n, n], false)?.f_reshape([
                1,
                windows * self.heads,
                n,
                n,
            ])?);
        }
        let region = |i: i64, length: i64| i64::from(i >= length - win) + i64::from(i >= length - self.shift);
        let mut regions = Vec::with_capacity((grid[0] * grid[1]) as usize);
        for r in 0..rows {
            for c in 0..columns {
                regions
                    .extend((0..n).map(|i| {
                        3 * region(r * win + i / win, grid[0]) + region(c * win + i % win, grid[1])
                    }));
            }
        }
        let regions = Tensor::f_from_slice(&regions)?.f_to_device(device)?.f_view([windows, n])?;
        let apart = regions.f_unsqueeze(1)?.f_ne_tensor(&regions.f_unsqueeze(2)?)?.f_to_kind(Kind::Float)?;
        let apart = apart.f_mul_scalar(-100.0)?.f_unsqueeze(1)?; // [windows, 1, n, n]
        Ok(bias.f_add(&apart)?.f_reshape([1, windows * self.heads, n, n])?)
    }
}

/// Four neighbours become one token of twice the width.
#[derive(Debug)]
struct Merge {
    norm: LayerNorm,
    reduce: Linear,
}

impl Merge {
    fn forward(&self, x: &Tensor, [h, w]: [i64; 2]) -> Result<Tensor> {
        let (b, _, c) = x.size3()?;
        let mut x = x.f_view([b, h, w, c])?;
        if h % 2 + w % 2 > 0 {
            x = x.f_constant_pad_nd([0, 0, 0, w % 2, 0, h % 2])?;
        }
        let corner = |row: i64, column: i64| -> Result<Tensor> {
            Ok(x.f_slice(1, row, None::<i64>, 2)?.f_slice(2, column, None::<i64>, 2)?)
        };
        let four = Tensor::f_cat(&[corner(0, 0)?, corner(1, 0)?, corner(0, 1)?, corner(1, 1)?], -1)?;
        self.reduce.forward(&self.norm.forward(&four.f_view([b, -1, 4 * c])?)?)
    }
}

/// The tower.
#[derive(Debug)]
pub struct Htsat {
    config: HtsatConfig,
    bands: BatchNorm,
    stem: Conv,
    stem_norm: Option<LayerNorm>,
    fusion: Option<Fusion>,
    stages: Vec<(Vec<Block>, Option<Merge>)>,
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
            let blocks = (0..*depth).map(|i| Block::new(&at.child(format!("blocks.{i}")), c, stage, i, grid));
            let width = c.width << stage;
            let merge = if stage + 1 < c.depths.len() {
                let m = at.child("merge");
                let std = (4.0 * width as f64).powf(-0.5);
                Some(Merge {
                    norm: LayerNorm::new(&m.child("norm"), 4 * width, 1e-5)?,
                    reduce: Linear::new(&m.child("reduce"), 4 * width, 2 * width, false, std)?,
                })
            } else {
                None
            };
            stages.push((blocks.collect::<Result<_>>()?, merge));
            grid = grid.map(|g| g / 2);
        }
        Ok(Self {
            config: c.clone(),
            bands: BatchNorm::new(&scope.child("bands"), c.mels)?,
            stem: Conv::new(&scope.child("stem"), kernel, c.stride, padding)?,
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
        for block in self.stages.iter_mut().flat_map(|(blocks, _)| blocks) {
            block.qkv.prepare(precision)?;
            block.out.prepare(precision)?;
            block.mlp.prepare(precision)?;
        }
        Ok(())
    }

    /// `mel` `[B, T, M]`, or `[B, 4, T, M]` for a tower that fuses, with `own` `[B]` int64: 4 where all four spectrograms are a
    /// sound's own and are fused, else 1.
    ///
    /// # Errors
    /// Other shapes, more frames than the square holds, or libtorch's.
    pub fn forward(&self, mel: &Tensor, own: &Tensor, mode: Mode) -> Result<TowerOutput> {
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
        let x = self.bands.forward(&mel.f_permute([0, 3, 2, 1])?, mode)?.f_permute([0, 3, 2, 1])?;
        let x = self.square(&x)?;
        let mut y = self.stem.forward(&x.f_narrow(1, 0, 1)?)?; // [B, W, h, w]
        if let (Some(fusion), 4) = (&self.fusion, channels) {
            let longer = own.f_eq(4)?.f_nonzero()?.f_view([-1])?;
            if longer.numel() > 0 {
                let parts = x.f_index_select(0, &longer)?.f_narrow(1, 1, 3)?;
                let fused = fusion.forward(&y.f_index_select(0, &longer)?, &parts, mode)?;
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
                y = block.forward(&y, grid)?;
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
        Ok(TowerOutput { tokens, mask: None, pooled })
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
