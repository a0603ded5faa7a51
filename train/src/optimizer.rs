//! Fused AdamW over groups of parameters, with its state in the open so that a checkpoint holds all of it.

use crate::recipe::{GroupRule, OptimizerConfig};
use crate::{Error, Result};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use unisono_encoders::Params;
use unisono_nn::params::matches;
use unisono_torch_ext::optim::{self, AdamW};

struct Slot {
    name: String,
    param: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    /// A scalar tensor: the fused kernel reads the step count from it.
    step: Tensor,
}

/// Parameters that share a learning rate and a weight decay.
struct Group {
    lr_scale: f64,
    weight_decay: f64,
    slots: Vec<usize>,
}

/// AdamW with its moments.
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    groups: Vec<Group>,
    frozen: usize,
}

impl Optimizer {
    /// Sorts `params` into groups by `rules`.
    ///
    /// # Errors
    /// A rule that matches nothing, or everything is frozen.
    pub fn new(params: &Params, config: &OptimizerConfig, rules: &[GroupRule]) -> Result<Self> {
        let mut used = vec![false; rules.len()];
        let mut slots = Vec::new();
        let mut groups: BTreeMap<(u64, u64), Group> = BTreeMap::new();
        let mut frozen = 0;
        for (name, param) in params.trainable() {
            let rule = rules.iter().position(|r| matches(&r.pattern, &name));
            if let Some(i) = rule {
                used[i] = true;
            }
            let rule = rule.map(|i| &rules[i]);
            if rule.is_some_and(|r| r.freeze) {
                let _ = param.f_set_requires_grad(false)?;
                frozen += 1;
                continue;
            }
            // Decay shrinks directions of a product; a bias, a norm, an embedding row or a scale is none.
            let decays = param.dim() >= 2 && !name.contains("embedding") && !name.contains("position");
            let default = if decays { config.weight_decay } else { 0.0 };
            let weight_decay = rule.and_then(|r| r.weight_decay).unwrap_or(default);
            let lr_scale = rule.map_or(1.0, |r| r.lr_scale);
            let zeros = || tch::no_grad(|| param.f_zeros_like());
            let step = Tensor::f_zeros([0i64; 0].as_slice(), (Kind::Float, param.device()))?;
            let slot = Slot { name, exp_avg: zeros()?, exp_avg_sq: zeros()?, step, param };
            groups
                .entry((lr_scale.to_bits(), weight_decay.to_bits()))
                .or_insert_with(|| Group { lr_scale, weight_decay, slots: Vec::new() })
                .slots
                .push(slots.len());
            slots.push(slot);
        }
        if let Some(i) = used.iter().position(|u| !u) {
            let all: Vec<String> = params.trainable().into_iter().map(|(n, _)| n).take(5).collect();
            return Err(Error::setting(
                format!("group[{i}].match"),
                format!("{:?} matches no parameter; names look like {}", rules[i].pattern, all.join(", ")),
            ));
        }
        if slots.is_empty() {
            return Err(Error::setting("group", "every parameter is frozen: there is nothing to train"));
        }
        Ok(Self { config: config.clone(), slots, groups: groups.into_values().collect(), frozen })
    }

    /// The parameters that are optimised, in the order that [`step`](Self::step) takes their gradients.
    pub fn params(&self) -> Vec<&Tensor> {
        self.slots.iter().map(|s| &s.param).collect()
    }

    /// Tensors that are not optimised.
    pub fn frozen(&self) -> usize {
        self.frozen
    }

    /// One step with gradients in the order of [`params`](Self::params); a parameter without one is left as it is. Returns
    /// the gradient's norm before clipping; when that is not finite nothing is changed.
    ///
    /// # Errors
    /// libtorch's.
    pub fn step(&mut self, grads: &[Option<Tensor>], lr: f64) -> Result<f64> {
        let present: Vec<&Tensor> = grads.iter().flatten().collect();
        let norm = optim::global_norm(&present)?.double_value(&[]);
        if !norm.is_finite() {
            return Ok(norm);
        }
        if self.config.clip > 0.0 && norm > self.config.clip {
            optim::mul_scalar_(&present, self.config.clip / (norm + 1e-6))?;
        }
        for group in &self.groups {
            let with_grad: Vec<(&Slot, &Tensor)> = group
                .slots
                .iter()
                .filter_map(|i| Some((&self.slots[*i], grads.get(*i)?.as_ref()?)))
                .collect();
            let pick =
                |f: fn(&Slot) -> &Tensor| with_grad.iter().map(|(s, _)| f(s)).collect::<Vec<&Tensor>>();
            let steps = pick(|s| &s.step);
            optim::add_scalar_(&steps, 1.0)?;
            let options = AdamW {
                lr: lr * group.lr_scale,
                beta1: self.config.betas[0],
                beta2: self.config.betas[1],
                eps: self.config.eps,
                weight_decay: group.weight_decay,
            };
            let grads: Vec<&Tensor> = with_grad.iter().map(|(_, g)| *g).collect();
            let (params, m, v) = (pick(|s| &s.param), pick(|s| &s.exp_avg), pick(|s| &s.exp_avg_sq));
            optim::fused_adamw_step(options, &params, &grads, &m, &v, &steps)?;
        }
        Ok(norm)
    }

    /// Moments and step counts by name, for a checkpoint.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut out = Vec::with_capacity(3 * self.slots.len());
        for s in &self.slots {
            out.push((format!("exp_avg.{}", s.name), s.exp_avg.shallow_clone()));
            out.push((format!("exp_avg_sq.{}", s.name), s.exp_avg_sq.shallow_clone()));
            out.push((format!("step.{}", s.name), s.step.shallow_clone()));
        }
        out
    }

    /// Puts a [`state`](Self::state) back.
    ///
    /// # Errors
    /// A moment that is missing or of another shape, by name.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), String> {
        for s in &mut self.slots {
            for (kind, target) in [("exp_avg", &s.exp_avg), ("exp_avg_sq", &s.exp_avg_sq), ("step", &s.step)]
            {
                let name = format!("{kind}.{}", s.name);
                let source = state.get(&name).ok_or_else(|| format!("{name} is missing"))?;
                if source.size() != target.size() {
                    return Err(format!(
                        "{name}: expected shape {:?}, found {:?}",
                        target.size(),
                        source.size()
                    ));
                }
                tch::no_grad(|| target.shallow_clone().copy_(source));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;
    use unisono_nn::{Init, Scope};

    fn params() -> Params {
        let root = Scope::root(1, Device::Cpu);
        for (name, shape) in
            [("a.weight", vec![2, 2]), ("a.bias", vec![2]), ("b.embedding.weight", vec![3, 2])]
        {
            let _ = root.param(name, &shape, Init::Const(1.0)).unwrap();
        }
        root.finish()
    }

    fn config() -> OptimizerConfig {
        toml::from_str("lr = 0.1\nweight_decay = 0.5\nclip = 0.0").unwrap()
    }

    #[test]
    fn decay_spares_vectors_and_embeddings_and_rules_come_first() {
        let p = params();
        let mut o = Optimizer::new(&p, &config(), &[]).unwrap();
        let zero: Vec<Option<Tensor>> = o.params().iter().map(|t| Some(t.zeros_like())).collect();
        o.step(&zero, 0.1).unwrap();
        let at = |n: &str| p.get(n).unwrap().tensor.view([-1]).double_value(&[0]);
        assert!((at("a.weight") - 0.95).abs() < 1e-6);
        assert_eq!((at("a.bias"), at("b.embedding.weight")), (1.0, 1.0));
        let rules: Vec<GroupRule> = vec![
            GroupRule { pattern: "a.w*".into(), lr_scale: 1.0, weight_decay: Some(0.0), freeze: false },
            GroupRule { pattern: "a.*".into(), lr_scale: 1.0, weight_decay: None, freeze: true },
        ];
        let p = params();
        let o = Optimizer::new(&p, &config(), &rules).unwrap();
        assert_eq!((o.params().len(), o.frozen()), (2, 1));
        let rules = [GroupRule { pattern: "c.*".into(), lr_scale: 1.0, weight_decay: None, freeze: false }];
        assert!(
            Optimizer::new(&p, &config(), &rules).err().unwrap().to_string().contains("matches no parameter")
        );
    }

    #[test]
    fn clips_and_refuses_what_is_not_finite() {
        let p = params();
        let mut c = config();
        (c.clip, c.weight_decay) = (1.0, 0.0);
        let mut o = Optimizer::new(&p, &c, &[]).unwrap();
        let big: Vec<Option<Tensor>> = o.params().iter().map(|t| Some(t.ones_like() * 100.0)).collect();
        let norm = o.step(&big, 0.1).unwrap();
        assert!((norm - 100.0 * 12f64.sqrt()).abs() < 1e-2);
        let before = p.get("a.bias").unwrap().tensor.copy();
        let nan: Vec<Option<Tensor>> = o.params().iter().map(|t| Some(t.ones_like() * f64::NAN)).collect();
        assert!(o.step(&nan, 0.1).unwrap().is_nan());
        assert_eq!(p.get("a.bias").unwrap().tensor, before);
    }

    #[test]
    fn state_round_trips() {
        let grads =
            |o: &Optimizer, k: f64| o.params().iter().map(|t| Some(t.ones_like() * k)).collect::<Vec<_>>();
        let (p, q) = (params(), params());
        let mut a = Optimizer::new(&p, &config(), &[]).unwrap();
        a.step(&grads(&a, 1.0), 0.1).unwrap();
        let mut b = Optimizer::new(&q, &config(), &[]).unwrap();
        let state: BTreeMap<String, Tensor> = a.state().into_iter().collect();
        b.restore(&state).unwrap();
        let weights = p.iter().map(|(n, t)| (n.to_owned(), t.tensor.copy())).collect();
        q.copy_from(&weights).unwrap();
        a.step(&grads(&a, -0.5), 0.1).unwrap();
        b.step(&grads(&b, -0.5), 0.1).unwrap();
        for (n, t) in p.iter() {
            assert_eq!(t.tensor, q.get(n).unwrap().tensor, "{n}");
        }
        assert!(b.restore(&BTreeMap::new()).unwrap_err().contains("is missing"));
    }
}
