//! Long audio files: the whole of one and three of its parts become one image (attentional feature fusion, Dai et al. 2021).

use crate::Result;
use crate::config::HtsatConfig;
use tch::Tensor;
use unisono_nn::{BatchNorm, Conv2d, Mode, Scope};

/// How much of the whole and how much of the parts: a gate from both, at each place and over all places.
#[derive(Debug)]
pub(super) struct Fusion {
    stem: Conv2d,
    local: [(Conv2d, BatchNorm); 2],
    global: [(Conv2d, BatchNorm); 2],
}

impl Fusion {
    pub fn new(scope: &Scope, c: &HtsatConfig, ratio: i64, padding: [i64; 2]) -> Result<Self> {
        let (w, inner) = (c.width, (c.width / ratio).max(1));
        let gate = |name: &str| -> Result<[(Conv2d, BatchNorm); 2]> {
            let s = scope.child(name);
            let layer = |i: i64, from: i64, to: i64| -> Result<(Conv2d, BatchNorm)> {
                let at = s.child(i);
                Ok((
                    Conv2d::new(&at, [to, from, 1, 1], [1, 1], [0, 0])?,
                    BatchNorm::new(&at.child("norm"), to)?,
                ))
            };
            Ok([layer(0, w, inner)?, layer(1, inner, w)?])
        };
        let wide = [w, 1, c.patch[0], 3 * c.patch[1]];
        Ok(Self {
            stem: Conv2d::new(&scope.child("stem"), wide, [c.stride[0], 3 * c.stride[1]], padding)?,
            local: gate("local")?,
            global: gate("global")?,
        })
    }

    fn gate(layers: &[(Conv2d, BatchNorm); 2], x: &Tensor, mode: Mode) -> Result<Tensor> {
        let [(conv1, norm1), (conv2, norm2)] = layers;
        let x = norm1.forward(&conv1.forward(x)?, mode)?.f_relu()?;
        Ok(norm2.forward(&conv2.forward(&x)?, mode)?)
    }

    /// `whole` `[n, W, h, w]` and the three parts' images `[n, 3, H, H]`.
    pub fn forward(&self, whole: &Tensor, parts: &Tensor, mode: Mode) -> Result<Tensor> {
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
