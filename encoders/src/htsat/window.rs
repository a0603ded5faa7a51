//! Attention within windows of a grid, which every other block shifts by half a window (Swin, Liu et al. 2021).

use crate::Result;
use crate::config::{HtsatConfig, TransformerConfig};
use tch::{Kind, Tensor};
use unisono_nn::{Block, Init, LayerNorm, Linear, Mask, Pass, Precision, Result as Nn, Scope};

/// A block whose attention is within windows.
#[derive(Debug)]
pub(super) struct WindowBlock {
    block: Block,
    /// `[(2w − 1)², heads]`.
    relative: Tensor,
    heads: i64,
    window: i64,
    shift: i64,
}

impl WindowBlock {
    pub fn new(scope: &Scope, c: &HtsatConfig, stage: usize, index: i64, grid: [i64; 2]) -> Result<Self> {
        let (width, heads) = (c.width << stage, c.heads[stage]);
        // A grid of one window is not shifted.
        let smallest = grid[0].min(grid[1]);
        let (window, shift) = if smallest <= c.window {
            (smallest, 0)
        } else {
            (c.window, if index % 2 == 0 { 0 } else { c.window / 2 })
        };
        let side = 2 * window - 1;
        let blocks = TransformerConfig {
            mlp_ratio: c.mlp_ratio,
            activation: c.activation,
            norm_eps: c.norm_eps,
            ..TransformerConfig::new(width, c.depths[stage], heads)
        };
        let table = [side * side, heads];
        Ok(Self {
            block: Block::new(scope, &blocks, index)?,
            relative: scope.child("attention").param("relative", &table, Init::Normal(0.02))?,
            heads,
            window,
            shift,
        })
    }

    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        Ok(self.block.prepare(precision)?)
    }

    /// `[B, h·w, W]` → the same.
    pub fn forward(&self, x: Tensor, grid: [i64; 2], pass: &Pass) -> Nn<Tensor> {
        self.block.forward_by(x, pass, |attention, x| {
            let (windows, padded) = self.cut(x, grid)?;
            let y = attention.forward(&windows, &Mask::Pairs(self.mask(padded)?), None, None, pass)?;
            self.join(&y, grid, padded)
        })
    }

    /// `[B, h·w, W]` → windows `[B, G, n, W]`, and the sides of the grid that they fill.
    fn cut(&self, x: &Tensor, [h, w]: [i64; 2]) -> Nn<(Tensor, [i64; 2])> {
        let ((b, _, c), win) = (x.size3()?, self.window);
        let (down, right) = ((win - h % win) % win, (win - w % win) % win);
        let mut y = x.f_view([b, h, w, c])?;
        if down + right > 0 {
            y = y.f_constant_pad_nd([0, 0, 0, right, 0, down])?;
        }
        let (hp, wp) = (h + down, w + right);
        if self.shift > 0 {
            y = y.f_roll([-self.shift, -self.shift], [1, 2])?;
        }
        let (rows, columns) = (hp / win, wp / win);
        let y = y.f_view([b, rows, win, columns, win, c])?.f_permute([0, 1, 3, 2, 4, 5])?;
        Ok((y.f_reshape([b, rows * columns, win * win, c])?, [hp, wp]))
    }

    /// The way back.
    fn join(&self, y: &Tensor, [h, w]: [i64; 2], [hp, wp]: [i64; 2]) -> Nn<Tensor> {
        let (b, _, _, c) = y.size4()?;
        let win = self.window;
        let y = y.f_view([b, hp / win, wp / win, win, win, c])?;
        let mut y = y.f_permute([0, 1, 3, 2, 4, 5])?.f_reshape([b, hp, wp, c])?;
        if self.shift > 0 {
            y = y.f_roll([self.shift, self.shift], [1, 2])?;
        }
        Ok(y.f_narrow(1, 0, h)?.f_narrow(2, 0, w)?.f_reshape([b, h * w, c])?)
    }

    /// `[1, windows · heads, n, n]`: biases by position, and −100 between places that only the cyclic shift made neighbours.
    fn mask(&self, grid: [i64; 2]) -> Nn<Tensor> {
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
pub(super) struct Merge {
    norm: LayerNorm,
    reduce: Linear,
}

impl Merge {
    /// From tokens of this width.
    pub fn new(scope: &Scope, width: i64) -> Result<Self> {
        let std = (4.0 * width as f64).powf(-0.5);
        Ok(Self {
            norm: LayerNorm::new(&scope.child("norm"), 4 * width, 1e-5)?,
            reduce: Linear::new(&scope.child("reduce"), 4 * width, 2 * width, false, std)?,
        })
    }

    pub fn forward(&self, x: &Tensor, [h, w]: [i64; 2]) -> Result<Tensor> {
        let (b, _, c) = x.size3()?;
        let mut x = x.f_view([b, h, w, c])?;
        if h % 2 + w % 2 > 0 {
            x = x.f_constant_pad_nd([0, 0, 0, w % 2, 0, h % 2])?;
        }
        let corner = |row: i64, column: i64| -> Result<Tensor> {
            Ok(x.f_slice(1, row, None::<i64>, 2)?.f_slice(2, column, None::<i64>, 2)?)
        };
        let four = Tensor::f_cat(&[corner(0, 0)?, corner(1, 0)?, corner(0, 1)?, corner(1, 1)?], -1)?;
        Ok(self.reduce.forward(&self.norm.forward(&four.f_view([b, -1, 4 * c])?)?)?)
    }
}
