//! A stage of dilated convolutions, as libtorch computes it: the plain form, for every device.

use crate::config::TransNetConfig;
use crate::kernel::Cell;
use tch::{Device, Kind, Tensor};
use unisono_nn::{Init, Result, Scope};

/// Convolutions over space, then over frames that lie 1, 2, 4 and 8 apart, side by side; a batch norm over all of them.
#[derive(Debug)]
pub(crate) struct Layer {
    /// `[8 F, C, 3, 3]`.
    spatial: Tensor,
    /// `[4 F, 2 F, 3]`.
    temporal: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: f64,
}

impl Layer {
    fn new(scope: &Scope, input: i64, filters: i64, eps: f64) -> Result<Self> {
        let (spatial, temporal, norm) =
            (scope.child("spatial"), scope.child("temporal"), scope.child("norm"));
        let wide = 4 * filters;
        let (a, b) = ((9.0 * input as f64).powf(-0.5), (6.0 * filters as f64).powf(-0.5));
        Ok(Self {
            spatial: spatial.param("weight", &[2 * wide, input, 3, 3], Init::Normal(a))?,
            temporal: temporal.param("weight", &[wide, 2 * filters, 3], Init::Normal(b))?,
            weight: norm.param("weight", &[wide], Init::Const(1.0))?,
            bias: norm.param("bias", &[wide], Init::Const(0.0))?,
            mean: norm.buffer("running_mean", &[wide], Init::Const(0.0))?,
            var: norm.buffer("running_var", &[wide], Init::Const(1.0))?,
            eps,
        })
    }

    /// `[B·T, C, H, W]` → `[B·T, 4 F, H, W]`, before the rectifier.
    fn forward(&self, x: &Tensor, frames: i64) -> Result<Tensor> {
        let (n, _, h, w) = x.size4()?;
        let (windows, wide) = (n / frames, self.weight.size()[0]);
        let filters = wide / 4;
        let y = x.f_conv2d(&self.spatial, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1)?;
        let y = y.f_view([windows, frames, 2 * wide, h * w])?.f_transpose(1, 2)?;
        let mut branches = Vec::with_capacity(4);
        for (i, dilation) in (0i64..).zip([1i64, 2, 4, 8]) {
            let kernel = self.temporal.f_narrow(0, i * filters, filters)?.f_unsqueeze(-1)?;
            let part = y.f_narrow(1, 2 * i * filters, 2 * filters)?;
            branches.push(part.f_conv2d(
                &kernel,
                None::<&Tensor>,
                [1, 1],
                [dilation, 0],
                [dilation, 1],
                1,
            )?);
        }
        let y = Tensor::f_cat(&branches, 1)?;
        let (w4, b4, m4, v4) = (Some(&self.weight), Some(&self.bias), Some(&self.mean), Some(&self.var));
        let y = y.f_batch_norm(w4, b4, m4, v4, false, 0.1, self.eps, false)?;
        Ok(y.f_transpose(1, 2)?.f_reshape([n, wide, h, w])?)
    }

    /// The layer in the form of the CPU's kernel, norm included; `None` where there is none for it.
    fn pack(&self) -> Result<Option<Cell>> {
        let double = |t: &Tensor| t.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double);
        let (wide, channels) = (self.weight.size()[0], self.spatial.size()[1]);
        let filters = wide / 4;
        let scale = double(&self.weight)?.f_div(&double(&self.var)?.f_add_scalar(self.eps)?.f_sqrt()?)?;
        let bias = double(&self.bias)?.f_sub(&double(&self.mean)?.f_mul(&scale)?)?.f_to_kind(Kind::Float)?;
        let temporal = double(&self.temporal)?.f_mul(&scale.f_view([-1, 1, 1])?)?;
        let temporal = temporal.f_transpose(1, 2)?.f_reshape([4, filters * 3, 2 * filters])?;
        let spatial = double(&self.spatial)?.f_reshape([4, 2 * filters, channels * 9])?;
        let weights = temporal.f_bmm(&spatial)?.f_reshape([-1])?;
        Ok(Cell::new(&Vec::<f64>::try_from(&weights)?, Vec::<f32>::try_from(&bias)?, channels as usize))
    }
}

/// Layers with a rectifier after each; the first one's result is added to the last one's.
#[derive(Debug)]
pub(crate) struct Stage {
    layers: Vec<Layer>,
}

impl Stage {
    pub(crate) fn new(scope: &Scope, c: &TransNetConfig, stage: i64) -> Result<Self> {
        let filters = c.filters << stage;
        let mut channels = if stage == 0 { 3 } else { c.channels(stage - 1) };
        let mut layers = Vec::with_capacity(c.layers as usize);
        for i in 0..c.layers {
            layers.push(Layer::new(&scope.child("layers").child(i), channels, filters, c.norm_eps)?);
            channels = 4 * filters;
        }
        Ok(Self { layers })
    }

    /// `[B·T, C, H, W]` → `[B·T, 4 F, H / 2, W / 2]`.
    pub(crate) fn forward(&self, x: &Tensor, frames: i64) -> Result<Tensor> {
        let mut y = x.shallow_clone();
        let mut shortcut = None;
        for (i, layer) in self.layers.iter().enumerate() {
            y = layer.forward(&y, frames)?;
            // Of a stage's last layer the shortcut would be taken before the rectifier.
            if i + 1 < self.layers.len() {
                y = y.f_relu()?;
            }
            shortcut = shortcut.or_else(|| Some(y.shallow_clone()));
        }
        let mut y = y.f_relu()?;
        if let Some(shortcut) = shortcut {
            y = y.f_add(&shortcut)?;
        }
        Ok(y.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?)
    }

    /// All layers in the form of the CPU's kernel, or `None`.
    pub(crate) fn pack(&self) -> Result<Option<Vec<Cell>>> {
        if self.layers.len() < 2 {
            return Ok(None);
        }
        self.layers.iter().map(Layer::pack).collect()
    }
}
