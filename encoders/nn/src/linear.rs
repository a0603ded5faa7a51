//! The linear layer.

use crate::adapter::Adapter;
use crate::packed::Packed;
use crate::{Activation, Init, Pass, Precision, Result, Scope, onednn};
use tch::{Device, Kind, Tensor};

/// `x Wᵀ + b` over the last axis.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    packed: Option<Packed>,
    adapter: Option<Box<Adapter>>,
}

impl Linear {
    /// A layer from `input` to `output` features, weights normal with `std`, bias zero.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, input: i64, output: i64, bias: bool, std: f64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[output, input], Init::Normal(std))?,
            bias: if bias { Some(scope.param("bias", &[output], Init::Const(0.0))?) } else { None },
            packed: None,
            adapter: None,
        })
    }

    /// [`new`](Self::new) for a layer that adapters can be put on, as the scope says. `parts`: the names, beside the scope, and output
    /// features of the layers that it is side by side; alone its own.
    ///
    /// # Errors
    /// The names are taken.
    pub fn adaptable(scope: &Scope, input: i64, parts: &[(&str, i64)], bias: bool, std: f64) -> Result<Self> {
        let output = parts.iter().map(|(_, rows)| rows).sum();
        let plain = Self::new(scope, input, output, bias, std)?;
        Ok(Self { adapter: Adapter::new(scope, input, parts)?.map(Box::new), ..plain })
    }

    /// A layer over a weight `[output, input]` that another layer owns, as a language head is over the token embedding.
    pub fn over(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias, packed: None, adapter: None }
    }

    /// The layer of some of its output features, whose numbers are `rows` `[K]`: gradients flow into these.
    ///
    /// # Errors
    /// A number that is none of its outputs'.
    pub fn rows(&self, rows: &Tensor) -> Result<Self> {
        let bias = self.bias.as_ref().map(|bias| bias.f_index_select(0, rows)).transpose()?;
        Ok(Self::over(self.whole()?.f_index_select(0, rows)?, bias))
    }

    /// Whether its weight takes gradients.
    pub fn is_trained(&self) -> bool {
        self.weight.requires_grad()
    }

    /// Packs the weight for inference: later changes of the parameter are not seen, and no gradient flows.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.packed = Packed::new(&self.whole()?, self.bias.as_ref(), precision)?;
        Ok(())
    }

    /// Prepares a layer that stays in single precision in a model of `precision`: where that promises that an embedding is the same alone
    /// and in any batch, this layer keeps it. Nothing changes in others.
    ///
    /// # Errors
    /// libtorch's.
    pub fn prepare_beside(&mut self, precision: Precision) -> Result<()> {
        self.packed = Packed::beside(&self.whole()?, precision)?;
        Ok(())
    }

    /// The weight with what its adapter comes to.
    fn whole(&self) -> Result<Tensor> {
        match &self.adapter {
            Some(adapter) => adapter.whole(&self.weight),
            None => Ok(self.weight.shallow_clone()),
        }
    }

    /// The adapter, where it is not a part of packed weights.
    fn live(&self) -> Option<&Adapter> {
        self.adapter.as_deref().filter(|_| self.packed.is_none())
    }

    /// `second(activation(self(x)))`, and `onto` of its shape added to it, in the arithmetic that both are prepared for: what lies between is
    /// never written out in single precision where neither computes in it.
    ///
    /// # Errors
    /// libtorch's, for another last axis.
    pub fn forward_pair(
        &self,
        second: &Self,
        x: &Tensor,
        activation: Activation,
        onto: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Tensor> {
        if let (Some(a), Some(b)) = (&self.packed, &second.packed)
            && let Some(y) = a.pair(b, x, activation, onto)?
        {
            return Ok(y);
        }
        second.forward_onto(&self.forward_inner(x, Some(activation), pass)?, onto, pass)
    }

    /// `activation(forward(x))`, in one kernel where the layer is prepared.
    ///
    /// # Errors
    /// libtorch's, for another last axis.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        match &self.packed {
            Some(packed) => packed.forward(x, self.bias.as_ref(), Some(activation), None),
            None => activation.forward(&self.forward(x)?),
        }
    }

    /// As [`forward`](Self::forward) or [`forward_activated`](Self::forward_activated), in the pass's [`kind`](Pass::kind): for values that
    /// only an attention or the next layer reads, which would turn them into it again. What is added to the residual stream never comes
    /// this way.
    ///
    /// # Errors
    /// libtorch's, for another last axis.
    pub fn forward_inner(&self, x: &Tensor, activation: Option<Activation>, pass: &Pass) -> Result<Tensor> {
        if let Some(adapter) = self.live() {
            let y = match pass.kind() {
                Kind::Float => self.base(x)?,
                kind => self.product(x, kind)?,
            };
            let y = adapter.forward(y, x, (&self.weight, self.bias.as_ref()), pass)?;
            return activation.map_or(Ok(y.shallow_clone()), |activation| activation.forward(&y));
        }
        match (pass.kind(), activation) {
            (Kind::Float, Some(activation)) => self.forward_activated(x, activation),
            (Kind::Float, None) => self.forward(x),
            (kind, activation) => {
                let x = x.f_to_kind(kind)?;
                let packed = self.packed.as_ref().filter(|_| kind == Kind::BFloat16);
                if let Some(y) = packed.map(|p| p.bf16(&x, activation)).transpose()?.flatten() {
                    return Ok(y);
                }
                let y = self.product(&x, kind)?;
                activation.map_or(Ok(y.shallow_clone()), |activation| activation.forward(&y))
            }
        }
    }

    /// `x Wᵀ + b` in `kind`. The weight stays what it is, and gets its gradient in its own kind.
    fn product(&self, x: &Tensor, kind: Kind) -> Result<Tensor> {
        let x = x.f_to_kind(kind)?;
        let bias = self.bias.as_ref().map(|b| b.f_to_kind(kind)).transpose()?;
        // What is packed has the adapter in it.
        let weight = if self.packed.is_some() { self.whole()? } else { self.weight.shallow_clone() };
        Ok(x.f_linear(&weight.f_to_kind(kind)?, bias.as_ref())?)
    }

    /// [`forward`](Self::forward) with `onto`, of the shape that comes out, added: in one kernel where the layer is prepared.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_onto(&self, x: &Tensor, onto: Option<&Tensor>, pass: &Pass) -> Result<Tensor> {
        match (&self.packed, onto) {
            (Some(packed), Some(_)) => packed.forward(x, self.bias.as_ref(), None, onto),
            _ => onednn::added(self.within(x, pass)?, onto),
        }
    }

    /// `[.., input]`, of whatever kind the pass gave it, → `[.., output]` in the weight's kind, single precision.
    ///
    /// # Errors
    /// libtorch's, for another last axis.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.within(x, &Pass::EVAL)
    }

    /// [`forward`](Self::forward) of a pass, which decides what its adapter drops.
    fn within(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let y = self.base(x)?;
        match self.live() {
            Some(adapter) => adapter.forward(y, x, (&self.weight, self.bias.as_ref()), pass),
            None => Ok(y),
        }
    }

    /// The layer without its adapter, unless that is a part of packed weights.
    fn base(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(packed) = &self.packed {
            return packed.forward(x, self.bias.as_ref(), None, None);
        }
        if x.kind() != self.weight.kind() {
            return Ok(self.product(x, x.kind())?.f_to_kind(self.weight.kind())?);
        }
        let shape = x.size();
        let (Some(&input), rows) =
            (shape.last(), x.numel() as i64 / shape.last().copied().unwrap_or(1).max(1))
        else {
            return Ok(x.f_linear(&self.weight, self.bias.as_ref())?);
        };
        if x.device() != Device::Cpu || rows < MANY_ROWS || x.kind() != Kind::Float {
            return Ok(x.f_linear(&self.weight, self.bias.as_ref())?);
        }
        // The same product as a 1×1 convolution over channels-last memory: it goes to oneDNN instead of MKL, whose
        // single-precision product runs at half speed on AMD processors, forward and backward; on Intel both are alike.
        let x = x.f_reshape([1, rows, 1, input])?.f_permute([0, 3, 1, 2])?;
        let kernel = self.weight.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
        let y = x.f_conv2d(&kernel, self.bias.as_ref(), [1, 1], [0, 0], [1, 1], 1)?;
        let mut out = shape;
        if let Some(last) = out.last_mut() {
            *last = self.weight.size()[0];
        }
        Ok(y.f_permute([0, 2, 3, 1])?.f_reshape(&out)?)
    }
}

/// Below this many rows the convolution's set-up costs more than it saves.
const MANY_ROWS: i64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Few rows and many take two ways, prepared ones a third: one product.
    #[test]
    fn every_way_is_the_product() {
        let root = Scope::root(1, Device::Cpu);
        let mut layer = Linear::new(&root, 24, 16, true, 0.3).unwrap();
        let params = root.finish();
        let weight = &params.get("weight").unwrap().tensor;
        tch::no_grad(|| {
            for (b, t) in [(2, 3), (4, 100)] {
                let x = Tensor::arange(b * t * 24, (Kind::Float, Device::Cpu)).sin().view([b, t, 24]);
                let want = x.matmul(&weight.tr());
                let far = |y: &Tensor, want: &Tensor| {
                    (y - want).abs().max().to_kind(Kind::Double).double_value(&[])
                };
                layer.packed = None;
                assert!(far(&layer.forward(&x).unwrap(), &want) < 1e-5);
                layer.prepare(Precision::Fp32).unwrap();
                assert!(far(&layer.forward(&x).unwrap(), &want) < 1e-5);
                for activation in [Activation::Gelu, Activation::Silu] {
                    let found = layer.forward_activated(&x, activation).unwrap();
                    assert!(far(&found, &activation.forward(&want).unwrap()) < 1e-5);
                }
                // Eight bits of a number's digits; a step of 255, of each number of 24.
                for (precision, within) in [(Precision::Bf16, 0.02), (Precision::Int8, 0.05)] {
                    layer.prepare(precision).unwrap();
                    let size = want.abs().max().double_value(&[]);
                    for activation in [Activation::Gelu, Activation::Silu, Activation::QuickGelu] {
                        let found = layer.forward_activated(&x, activation).unwrap();
                        let off = far(&found, &activation.forward(&want).unwrap()) / size;
                        assert!(
                            found.kind() == Kind::Float && off > 0.0 && off < within,
                            "{precision}: {off}"
                        );
                    }
                }
            }
        });
    }

    /// Two layers in one go are the two, one after the other.
    #[test]
    fn a_pair_is_its_layers() {
        let root = Scope::root(3, Device::Cpu);
        let mut first = Linear::new(&root.child("a"), 24, 40, true, 0.3).unwrap();
        let mut second = Linear::new(&root.child("b"), 40, 24, true, 0.3).unwrap();
        let _params = root.finish();
        tch::no_grad(|| {
            let x = Tensor::arange(7 * 24, (Kind::Float, Device::Cpu)).sin().view([7, 24]);
            for precision in [None, Some(Precision::Fp32), Some(Precision::Bf16), Some(Precision::Int8)] {
                if let Some(precision) = precision {
                    first.prepare(precision).unwrap();
                    second.prepare(precision).unwrap();
                }
                for activation in [Activation::Relu, Activation::Gelu, Activation::Silu] {
                    let found = first.forward_pair(&second, &x, activation, None, &Pass::EVAL).unwrap();
                    let want = second.forward(&first.forward_activated(&x, activation).unwrap()).unwrap();
                    assert!(found == want, "{precision:?} {activation:?}");
                    let onto = first.forward_pair(&second, &x, activation, Some(&x), &Pass::EVAL).unwrap();
                    let off = (onto - (want + &x)).abs().max().double_value(&[]);
                    assert!(off < 1e-6, "{precision:?} {activation:?}, added: {off}");
                }
            }
        });
    }

    /// A layer that stands beside int8 ones gives a row what it gives it in any batch; beside others it is left as it was.
    #[test]
    fn beside_bytes_a_row_is_the_same_alone() {
        for (input, output) in [(1536, 384), (64, 40), (24, 16)] {
            let root = Scope::root(4, Device::Cpu);
            let mut layer = Linear::new(&root, input, output, true, 0.05).unwrap();
            let _params = root.finish();
            tch::no_grad(|| {
                let x = Tensor::arange(300 * input, (Kind::Float, Device::Cpu)).sin().view([300, input]);
                let want = layer.forward(&x).unwrap();
                layer.prepare_beside(Precision::Fp32).unwrap();
                assert!(layer.packed.is_none());
                layer.prepare_beside(Precision::Int8).unwrap();
                let all = layer.forward(&x).unwrap();
                assert!((&all - &want).abs().max().double_value(&[]) < 1e-4);
                for n in [1, 2, 5, 31, 200] {
                    assert!(
                        layer.forward(&x.narrow(0, 60, n)).unwrap() == all.narrow(0, 60, n),
                        "{n} of {input}"
                    );
                }
                assert_eq!(layer.forward(&x.get(7)).unwrap(), all.get(7));
            });
        }
    }
}
