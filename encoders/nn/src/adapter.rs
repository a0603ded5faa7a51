//! Low-rank adapters of linear layers, as `peft` computes them: LoRA (Hu et al. 2021) and DoRA (Liu et al. 2024).
//!
//! The layer's weight `W` `[O, I]` stays what it is. `A` `[R, I]` begins evenly random and `B` `[O, R]` with zeros, so that nothing changes
//! before the first step; `scale · B A` is added to `W`. DoRA gives each row of the sum the learned length `magnitude` `[O]`, which begins as
//! that of `W`'s row.

use crate::config::{Adaptable, AdapterKind};
use crate::params::matches;
use crate::{Init, Pass, Result, Scope};
use tch::{Kind, Tensor};

/// What a layer has of adapters.
#[derive(Debug)]
pub(crate) struct Adapter {
    parts: Vec<Part>,
    scale: f64,
    dropout: f64,
}

/// Rows of the layer, and what they have.
#[derive(Debug)]
struct Part {
    first: i64,
    rows: i64,
    low: Option<Low>,
}

#[derive(Debug)]
struct Low {
    a: Tensor,
    b: Tensor,
    magnitude: Option<Tensor>,
}

/// Weight and bias of the layer.
type Base<'a> = (&'a Tensor, Option<&'a Tensor>);

impl Adapter {
    /// The adapters that `scope` asks for on the layer there, of which `parts` are the names and rows; `None` where it asks for none.
    pub fn new(scope: &Scope, input: i64, parts: &[(&str, i64)]) -> Result<Option<Self>> {
        let mut first = 0;
        let mut made = Vec::with_capacity(parts.len());
        let config = scope.adapters().config.clone();
        for (name, rows) in parts {
            let place = scope.beside(name);
            let layer = place.name().to_owned();
            let tower = layer.split('.').next().unwrap_or_default();
            let asked = config.as_ref().filter(|c| {
                let there = c.towers.is_empty() || c.towers.iter().any(|t| t == tower);
                there && c.layers.iter().any(|pattern| matches(pattern, &layer))
            });
            let low = match asked {
                // Kaiming's even numbers with a = √5, as PyTorch begins a linear layer.
                Some(c) => Some(Low {
                    a: place.param("lora_A", &[c.rank, input], Init::Uniform((input as f64).powf(-0.5)))?,
                    b: place.param("lora_B", &[*rows, c.rank], Init::Const(0.0))?,
                    magnitude: match c.kind {
                        AdapterKind::Lora => None,
                        AdapterKind::Dora => {
                            Some(place.param("lora_magnitude", &[*rows], Init::Const(1.0))?)
                        }
                    },
                }),
                None => None,
            };
            let weight = format!("{}.weight", scope.name());
            let of = Adaptable { layer, weight, first, rows: *rows, adapted: low.is_some() };
            scope.adapters().layers.push(of);
            made.push(Part { first, rows: *rows, low });
            first += rows;
        }
        let used = made.iter().any(|part| part.low.is_some());
        Ok(config.filter(|_| used).map(|c| Self { parts: made, scale: c.scale(), dropout: c.dropout }))
    }

    /// `y`, what the layer of this `base` makes of `x`, → what it makes with its adapters, in `y`'s kind.
    pub fn forward(&self, y: Tensor, x: &Tensor, base: Base, pass: &Pass) -> Result<Tensor> {
        let kind = if y.kind() == Kind::Float { x.kind() } else { y.kind() };
        let x = x.f_to_kind(kind)?;
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let own = match self.parts.len() {
                1 => y.shallow_clone(),
                _ => y.f_narrow(-1, part.first, part.rows)?,
            };
            parts.push(match &part.low {
                Some(low) => own.f_add(&self.added(part, low, &own, &x, base, pass)?)?,
                None => own,
            });
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => Ok(Tensor::f_cat(&parts, -1)?),
        }
    }

    /// What is added to `own`, the part's share of what the layer makes.
    fn added(
        &self,
        part: &Part,
        low: &Low,
        own: &Tensor,
        x: &Tensor,
        base: Base,
        pass: &Pass,
    ) -> Result<Tensor> {
        let kind = x.kind();
        let drops = pass.trains() && self.dropout > 0.0;
        let seen = if drops { x.f_dropout(self.dropout, true)? } else { x.shallow_clone() };
        let inner = seen.f_linear(&low.a.f_to_kind(kind)?, None::<&Tensor>)?;
        let more = inner.f_linear(&low.b.f_to_kind(kind)?, None::<&Tensor>)?.f_mul_scalar(self.scale)?;
        let Some(magnitude) = &low.magnitude else { return Ok(more.f_to_kind(own.kind())?) };
        let weight = base.0.f_narrow(0, part.first, part.rows)?;
        // The lengths are constants to the gradient, as the paper proposes and peft has it.
        let sum = tch::no_grad(|| weight.f_add(&low.b.f_matmul(&low.a)?.f_mul_scalar(self.scale)?))?;
        let ratio = magnitude.f_div(&lengths(&sum)?.f_detach()?)?.f_to_kind(kind)?;
        let plain = match (drops, base.1) {
            (true, _) => seen.f_linear(&weight.f_to_kind(kind)?, None::<&Tensor>)?,
            (false, Some(bias)) => {
                own.f_sub(&bias.f_narrow(0, part.first, part.rows)?.f_to_kind(own.kind())?)?
            }
            (false, None) => own.shallow_clone(),
        };
        let turned = ratio.f_sub_scalar(1.0)?.f_mul(&plain.f_to_kind(kind)?)?;
        Ok(turned.f_add(&ratio.f_mul(&more)?)?.f_to_kind(own.kind())?)
    }

    /// The layer's weight with what its adapters come to.
    pub fn whole(&self, weight: &Tensor) -> Result<Tensor> {
        tch::no_grad(|| {
            let mut parts = Vec::with_capacity(self.parts.len());
            for part in &self.parts {
                let own = weight.f_narrow(0, part.first, part.rows)?;
                parts.push(match &part.low {
                    Some(low) => merged(&own, &low.a, &low.b, low.magnitude.as_ref(), self.scale)?,
                    None => own,
                });
            }
            Ok(Tensor::f_cat(&parts, 0)?)
        })
    }
}

/// A weight `[O, I]` with what an adapter of `a` `[R, I]` and `b` `[O, R]` comes to, and with `magnitude` `[O]` as the lengths of its rows.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn merged(
    weight: &Tensor,
    a: &Tensor,
    b: &Tensor,
    magnitude: Option<&Tensor>,
    scale: f64,
) -> Result<Tensor> {
    let sum = weight.f_add(&b.f_matmul(a)?.f_mul_scalar(scale)?)?;
    match magnitude {
        Some(magnitude) => Ok(sum.f_mul(&magnitude.f_div(&lengths(&sum)?)?.f_unsqueeze(1)?)?),
        None => Ok(sum),
    }
}

/// The lengths `[O]` of the rows of a matrix `[O, I]`.
///
/// # Errors
/// libtorch's.
pub fn lengths(weight: &Tensor) -> Result<Tensor> {
    Ok(weight.f_mul(weight)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_sqrt()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AdapterConfig;
    use crate::{Activation, Linear, Precision};
    use tch::Device;

    fn config(kind: AdapterKind, layers: &[&str]) -> AdapterConfig {
        AdapterConfig {
            kind,
            rank: 3,
            alpha: 6.0,
            rslora: false,
            dropout: 0.0,
            layers: layers.iter().map(|l| (*l).to_owned()).collect(),
            towers: Vec::new(),
            base: None,
            names: Default::default(),
        }
    }

    fn layer(config: &AdapterConfig) -> (Linear, crate::Params, Vec<Adaptable>) {
        let root = Scope::root(5, Device::Cpu);
        root.adapt(Some(config));
        let parts = [("q", 8), ("k", 4), ("v", 4)];
        let layer = Linear::adaptable(&root.child("text.qkv"), 12, &parts, true, 0.3).unwrap();
        let adaptable = root.adaptable();
        let params = root.finish();
        tch::no_grad(|| {
            for (i, (_, p)) in params.iter().filter(|(n, _)| !n.ends_with("A")).enumerate() {
                let n = p.tensor.numel() as i64;
                let values = (Tensor::arange(n, (Kind::Float, Device::Cpu)) + i as i64).sin() * 0.4 + 0.5;
                p.tensor.shallow_clone().copy_(&values.view_(p.tensor.size().as_slice()));
            }
        });
        (layer, params, adaptable)
    }

    fn far(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    /// Alone, beside the layer, packed, before an activation and in bfloat16: one product, that of the merged weight.
    #[test]
    fn every_way_is_the_merged_product() {
        for kind in [AdapterKind::Lora, AdapterKind::Dora] {
            let (mut layer, params, adaptable) = layer(&config(kind, &["text.q", "*.v"]));
            let of: Vec<(i64, i64, bool)> = adaptable.iter().map(|a| (a.first, a.rows, a.adapted)).collect();
            assert_eq!(of, [(0, 8, true), (8, 4, false), (12, 4, true)]);
            assert!(adaptable.iter().all(|a| a.weight == "text.qkv.weight"));
            let get = |name: &str| params.get(name).map(|p| p.tensor.detach());
            let weight = get("text.qkv.weight").unwrap();
            let mut rows = Vec::new();
            for a in &adaptable {
                let own = weight.narrow(0, a.first, a.rows);
                rows.push(match get(&format!("{}.lora_A", a.layer)) {
                    None => own,
                    Some(down) => {
                        let up = get(&format!("{}.lora_B", a.layer)).unwrap();
                        let sum = own + up.matmul(&down) * 2.0;
                        match get(&format!("{}.lora_magnitude", a.layer)) {
                            None => sum,
                            Some(m) => {
                                let norm =
                                    sum.square().sum_dim_intlist([1i64].as_slice(), true, Kind::Float).sqrt();
                                sum / norm * m.unsqueeze(1)
                            }
                        }
                    }
                });
            }
            let whole = Tensor::cat(&rows, 0);
            tch::no_grad(|| {
                for n in [5, 300] {
                    let x = Tensor::arange(n * 12, (Kind::Float, Device::Cpu)).cos().view([n, 12]);
                    let want = x.linear(&whole, get("text.qkv.bias"));
                    assert!(far(&layer.forward(&x).unwrap(), &want) < 1e-5);
                    let onto = layer.forward_onto(&x, Some(&want), &Pass::TRAIN).unwrap();
                    assert!(far(&onto, &(&want * 2.0)) < 1e-5);
                    let inner = layer.forward_inner(&x, Some(Activation::Gelu), &Pass::TRAIN).unwrap();
                    assert!(far(&inner, &want.gelu("none")) < 1e-5);
                    let bf16 = Pass { compute: Some(Kind::BFloat16), ..Pass::TRAIN };
                    let inner = layer.forward_inner(&x, None, &bf16).unwrap();
                    assert_eq!(inner.kind(), Kind::BFloat16);
                    assert!(far(&inner.to_kind(Kind::Float), &want) < 0.1);
                    let outer = layer.forward_onto(&x.to_kind(Kind::BFloat16), None, &bf16).unwrap();
                    assert!(outer.kind() == Kind::Float && far(&outer, &want) < 0.1);
                }
                layer.prepare(Precision::Fp32).unwrap();
                let x = Tensor::arange(24, (Kind::Float, Device::Cpu)).cos().view([2, 12]);
                assert!(far(&layer.forward(&x).unwrap(), &x.linear(&whole, get("text.qkv.bias"))) < 1e-5);
            });
        }
    }

    /// What is learned gets the gradient of the formula, and the layer itself none.
    #[test]
    fn the_weight_is_left_alone() {
        let (layer, params, _) = layer(&config(AdapterKind::Lora, &["text.q"]));
        for name in ["text.qkv.weight", "text.qkv.bias"] {
            let _ = params.get(name).unwrap().tensor.set_requires_grad(false);
        }
        let x = Tensor::arange(36, (Kind::Float, Device::Cpu)).cos().view([3, 12]);
        let y = layer.forward_inner(&x, None, &Pass::TRAIN).unwrap();
        y.narrow(-1, 0, 8).sum(Kind::Float).backward();
        let [a, b] =
            ["text.q.lora_A", "text.q.lora_B"].map(|n| params.get(n).unwrap().tensor.shallow_clone());
        let ones = Tensor::ones([3, 8], (Kind::Float, Device::Cpu));
        let want = ones.transpose(0, 1).matmul(&x.matmul(&a.detach().transpose(0, 1))) * 2.0;
        assert!(far(&b.grad(), &want) < 1e-4);
        assert!(far(&a.grad(), &(ones.matmul(&b.detach()).transpose(0, 1).matmul(&x) * 2.0)) < 1e-4);
        assert!(!params.get("text.qkv.weight").unwrap().tensor.grad().defined());
    }

    #[test]
    fn only_training_drops() {
        let dropping = AdapterConfig { dropout: 0.5, ..config(AdapterKind::Dora, &["*"]) };
        let (layer, _params, _) = layer(&dropping);
        let x = Tensor::arange(120, (Kind::Float, Device::Cpu)).cos().view([10, 12]);
        let run = |pass: &Pass| {
            tch::manual_seed(3);
            tch::no_grad(|| layer.forward_inner(&x, None, pass)).unwrap()
        };
        assert_eq!(run(&Pass::EVAL), run(&Pass::EVAL));
        assert_eq!(run(&Pass::TRAIN), run(&Pass::TRAIN));
        assert!(far(&run(&Pass::EVAL), &run(&Pass::TRAIN)) > 1e-3);
    }

    #[test]
    fn towers_that_are_not_named_have_none() {
        let (_, params, adaptable) =
            layer(&AdapterConfig { towers: vec!["image".into()], ..config(AdapterKind::Lora, &["*"]) });
        assert!(params.get("text.q.lora_A").is_none() && adaptable.iter().all(|a| !a.adapted));
        assert!(AdapterConfig { rank: 0, ..config(AdapterKind::Lora, &["*"]) }.validate("adapter").is_err());
        assert!(config(AdapterKind::Lora, &[]).validate("adapter").is_err());
        let even = AdapterConfig { rslora: true, rank: 4, ..config(AdapterKind::Lora, &["*"]) };
        assert_eq!(even.scale(), 3.0);
    }
}
