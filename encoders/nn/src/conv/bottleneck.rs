//! The three layers of an inverted bottleneck as one kernel.

use super::{ConvNorm, Padding};
use crate::{Result, packed};
use tch::Tensor;
use unisono_torch_ext::rows;

/// An inverted bottleneck (Sandler et al. 2018) prepared for inference on a CPU in single precision: what it widens to is never written to
/// memory.
#[derive(Debug)]
pub struct Bottleneck {
    rows: rows::Bottleneck,
    kernel: i64,
    stride: i64,
    padding: Padding,
}

impl Bottleneck {
    /// Of a pointwise layer that widens (absent where nothing is widened), a depthwise one, and a pointwise one without activation that
    /// narrows; `residual`: what comes in is added. `None` where this machine has no kernel for them. Later changes of the parameters are
    /// not seen, and no gradient flows.
    ///
    /// # Errors
    /// libtorch's, for shapes that do not fit each other.
    pub fn new(
        expand: Option<&ConvNorm>,
        depthwise: &ConvNorm,
        project: &ConvNorm,
        residual: bool,
    ) -> Result<Option<Self>> {
        let (activation, shape) = (depthwise.activation(), depthwise.shape());
        let same = expand.is_none_or(|layer| layer.activation() == activation);
        let (Some(activation), None, true) = (activation, project.activation(), same) else {
            return Ok(None);
        };
        let activation: rows::Activation = packed::after(Some(activation));
        let pixels = depthwise.weight_and_bias()?;
        if !rows::narrows(activation, shape.kernel, shape.stride, pixels.0.device()) {
            return Ok(None);
        }
        let (wide, narrow) = (expand.map(ConvNorm::weight_and_bias).transpose()?, project.weight_and_bias()?);
        let wide = wide.as_ref().map(|(weight, bias)| (weight, bias));
        let layers = ((&pixels.0, &pixels.1), (&narrow.0, &narrow.1));
        let made = rows::Bottleneck::new(wide, layers.0, layers.1, shape.stride, activation, residual)?;
        Ok(Some(Self { rows: made, kernel: shape.kernel, stride: shape.stride, padding: shape.padding }))
    }

    /// `[B, C, H, W]`, fastest with channels-last strides, → `[B, C', ⌈H / stride⌉, ⌈W / stride⌉]` with such strides. An image gets the
    /// same alone and in any batch.
    ///
    /// # Errors
    /// Another number of channels, or libtorch's.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [[top, _], [left, _]] = self.padding.ends(x, self.kernel, self.stride)?;
        let y = self.rows.forward(&x.f_permute([0, 2, 3, 1])?, [top, left])?;
        Ok(y.f_permute([0, 3, 1, 2])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, ConvShape, Pass, Precision, Scope};
    use tch::{Device, Kind};

    /// Prepared or not, layer by layer or in one go: one function.
    #[test]
    fn it_is_its_layers() {
        for (padding, stride, kernel, widens) in [
            (Padding::Same, 1, 3, true),
            (Padding::Same, 2, 5, true),
            (Padding::Symmetric, 2, 3, true),
            (Padding::Same, 1, 5, false),
        ] {
            let root = Scope::root(3, Device::Cpu);
            let inner = if widens { 40 } else { 12 };
            let pixels = ConvShape { input: inner, output: inner, kernel, stride, depthwise: true, padding };
            let layer = |name: &str, shape, activation| {
                ConvNorm::new(&root.child(name), shape, activation, 1e-3).unwrap()
            };
            let active = Some(Activation::Relu6);
            let expand = widens.then(|| layer("expand", ConvShape::pointwise(12, inner), active));
            let depthwise = layer("depthwise", pixels, active);
            let mut project = layer("project", ConvShape::pointwise(inner, 12), None);
            let _params = root.finish();
            tch::no_grad(|| {
                let x =
                    Tensor::arange(2 * 12 * 14 * 9, (Kind::Float, Device::Cpu)).sin().view([2, 12, 14, 9]);
                let wide = expand.as_ref().map_or(x.shallow_clone(), |e| e.forward(&x, &Pass::EVAL).unwrap());
                let seen = depthwise.forward(&wide, &Pass::EVAL).unwrap();
                let want = project.forward(&seen, &Pass::EVAL).unwrap();
                let residual = stride == 1;
                let want = if residual { want + &x } else { want };
                let Some(made) = Bottleneck::new(expand.as_ref(), &depthwise, &project, residual).unwrap()
                else {
                    return;
                };
                let found = made.forward(&x).unwrap();
                assert_eq!(found.size(), want.size());
                assert!(
                    (found - &want).abs().max().double_value(&[]) < 1e-5,
                    "{padding:?} {stride} {kernel}"
                );
                assert!(Bottleneck::new(expand.as_ref(), &project, &depthwise, false).unwrap().is_none());
                // What the layers are packed for is nothing to it.
                project.prepare(Precision::Fp32).unwrap();
                assert!(Bottleneck::new(expand.as_ref(), &depthwise, &project, residual).unwrap().is_some());
            });
        }
    }
}
