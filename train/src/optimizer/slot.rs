//! What an optimizer remembers of a parameter.

use crate::Result;
use crate::recipe::OptimizerKind;
use tch::{Device, Kind, Tensor};

/// A parameter and its state, by the names of `torch.optim`.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) kind: OptimizerKind,
    pub(super) param: Tensor,
    /// In the order in which the optimizer's step takes them.
    pub(super) state: Vec<(&'static str, Tensor)>,
}

impl Slot {
    /// Nothing remembered yet.
    ///
    /// # Errors
    /// libtorch's: no memory.
    pub(super) fn new(name: String, param: Tensor, kind: OptimizerKind) -> Result<Self> {
        let zeros = |what| tch::no_grad(|| param.f_zeros_like()).map(|zeros| (what, zeros));
        let steps =
            |device| Tensor::f_zeros([0i64; 0].as_slice(), (Kind::Float, device)).map(|s| ("step", s));
        let state = match kind {
            // The fused kernel reads the step count where the parameter is.
            OptimizerKind::AdamW => vec![zeros("exp_avg")?, zeros("exp_avg_sq")?, steps(param.device())?],
            // Here it is read by us: a count on a GPU would have to be waited for.
            OptimizerKind::Lamb => vec![zeros("exp_avg")?, zeros("exp_avg_sq")?, steps(Device::Cpu)?],
            OptimizerKind::Lion => vec![zeros("exp_avg")?],
            OptimizerKind::Muon => vec![zeros("momentum_buffer")?],
        };
        Ok(Self { name, kind, param, state })
    }
}
