//! The optimizer: parameters in groups of one kind, learning rate and weight decay, each group one fused step. Its state is in the open, so that a
//! checkpoint holds all of it.

mod groups;
mod layers;
mod shards;
mod slot;

use crate::Result;
use crate::recipe::{AdjustLr, GroupRule, OptimizerConfig, OptimizerKind};
use slot::Slot;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use unisono_encoders::Params;
use unisono_torch_ext::optim::{self, AdamW, Lamb, Lion, Muon, MuonScale};

/// Parameters that share an optimizer, a learning rate and a weight decay.
struct Group {
    kind: OptimizerKind,
    lr_scale: f64,
    weight_decay: f64,
    slots: Vec<usize>,
}

/// AdamW, Lion, Muon or LAMB, with what it remembers.
pub struct Optimizer {
    config: OptimizerConfig,
    slots: Vec<Slot>,
    groups: Vec<Group>,
    frozen: usize,
    /// The rank that remembers each slot's past and steps it, and which rank this is; empty: this process does it all.
    owners: (Vec<usize>, usize),
    /// The gradients' norms of the last step `[N]`, and whose they are.
    norms: Option<(Tensor, Vec<usize>)>,
}

impl Optimizer {
    /// Sorts `params` into groups by `rules`.
    ///
    /// # Errors
    /// A rule that matches nothing, or everything is frozen.
    pub fn new(params: &Params, config: &OptimizerConfig, rules: &[GroupRule]) -> Result<Self> {
        let (assigned, frozen) = groups::assign(params, config, rules)?;
        let mut slots = Vec::with_capacity(assigned.len());
        let mut groups: BTreeMap<(u8, u64, u64), Group> = BTreeMap::new();
        for a in assigned {
            let key = (a.kind as u8, a.lr_scale.to_bits(), a.weight_decay.to_bits());
            let (kind, lr_scale, weight_decay) = (a.kind, a.lr_scale, a.weight_decay);
            groups
                .entry(key)
                .or_insert_with(|| Group { kind, lr_scale, weight_decay, slots: Vec::new() })
                .slots
                .push(slots.len());
            slots.push(Slot::new(a.name, a.param, a.kind)?);
        }
        let groups = groups.into_values().collect();
        Ok(Self { config: config.clone(), slots, groups, frozen, owners: (Vec::new(), 0), norms: None })
    }

    /// The parameters that are optimised, in the order that [`step`](Self::step) takes their gradients.
    pub fn params(&self) -> Vec<&Tensor> {
        self.slots.iter().map(|s| &s.param).collect()
    }

    /// Tensors that are not optimised.
    pub fn frozen(&self) -> usize {
        self.frozen
    }

    /// What is optimised with what: a line.
    pub fn describe(&self) -> String {
        let mut kinds: BTreeMap<u8, (OptimizerKind, usize)> = BTreeMap::new();
        for group in &self.groups {
            kinds.entry(group.kind as u8).or_insert((group.kind, 0)).1 += group.slots.len();
        }
        let each = kinds.values().map(|(kind, n)| format!("{kind:?} for {n} tensors").to_lowercase());
        let rates = || self.groups.iter().map(|g| g.lr_scale * self.config.lr);
        let (low, high) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
        let rate = if low < high { format!("{low:.1e} to {high:.1e}") } else { format!("{high:.1e}") };
        format!("{}, learning rate {rate}, {} frozen", each.collect::<Vec<_>>().join(", "), self.frozen)
    }

    /// One step with gradients in the order of [`params`](Self::params); a parameter without one is left as it is. Returns
    /// the gradient's norm before clipping; when that is not finite nothing is changed.
    ///
    /// # Errors
    /// libtorch's.
    pub fn step(&mut self, grads: &[Option<Tensor>], lr: f64) -> Result<f64> {
        let present: Vec<&Tensor> = grads.iter().flatten().collect();
        let norms = optim::norms(&present)?;
        let norm = tch::no_grad(|| norms.f_norm())?.double_value(&[]);
        let whose = grads.iter().enumerate().filter(|(_, g)| g.is_some()).map(|(i, _)| i).collect();
        self.norms = Some((norms, whose));
        if !norm.is_finite() {
            return Ok(norm);
        }
        if self.config.clip > 0.0 && norm > self.config.clip {
            optim::mul_scalar_(&present, self.config.clip / (norm + 1e-6))?;
        }
        for group in &self.groups {
            self.step_group(group, grads, lr * group.lr_scale)?;
        }
        Ok(norm)
    }

    fn step_group(&self, group: &Group, all: &[Option<Tensor>], lr: f64) -> Result<()> {
        let of = group.slots.iter();
        let with_grad: Vec<(&Slot, &Tensor)> = of
            .filter(|i| self.owns(**i))
            .filter_map(|i| Some((self.slots.get(*i)?, all.get(*i)?.as_ref()?)))
            .collect();
        if with_grad.is_empty() {
            return Ok(());
        }
        let params: Vec<&Tensor> = with_grad.iter().map(|(s, _)| &s.param).collect();
        let grads: Vec<&Tensor> = with_grad.iter().map(|(_, g)| *g).collect();
        let state = |i: usize| -> Vec<&Tensor> {
            with_grad.iter().filter_map(|(s, _)| s.state.get(i)).map(|(_, t)| t).collect()
        };
        let ([beta1, beta2], eps, weight_decay) =
            (self.config.betas(), self.config.eps(), group.weight_decay);
        match group.kind {
            OptimizerKind::AdamW => {
                let steps = state(2);
                optim::add_scalar_(&steps, 1.0)?;
                let options = AdamW { lr, beta1, beta2, eps, weight_decay };
                optim::fused_adamw_step(options, &params, &grads, &state(0), &state(1), &steps)?;
            }
            OptimizerKind::Lion => {
                optim::lion_step(Lion { lr, beta1, beta2, weight_decay }, &params, &grads, &state(0))?;
            }
            OptimizerKind::Lamb => {
                let steps = state(2);
                optim::add_scalar_(&steps, 1.0)?;
                let options = Lamb { lr, beta1, beta2, eps, weight_decay };
                // A tensor that a loss does not always depend on has taken fewer steps.
                let mut counts: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
                for (i, step) in steps.iter().enumerate() {
                    counts.entry(step.double_value(&[]) as u64).or_default().push(i);
                }
                for (count, at) in counts {
                    let [p, g, m, v] = [&params, &grads, &state(0), &state(1)].map(|list| chosen(list, &at));
                    optim::lamb_step(options, &p, &g, &m, &v, count as f64)?;
                }
            }
            OptimizerKind::Muon => {
                let own = self.config.muon.clone().unwrap_or_default();
                // Few processors multiply bfloat16 faster, and none is as exact.
                let on_cpu = params.first().is_none_or(|p| p.device() == Device::Cpu);
                let options = Muon {
                    lr,
                    momentum: own.momentum,
                    nesterov: own.nesterov,
                    steps: own.steps,
                    weight_decay,
                    scale: match own.adjust_lr {
                        AdjustLr::Original => MuonScale::Original,
                        AdjustLr::MatchRmsAdamw => MuonScale::MatchRmsAdamW,
                    },
                    kind: if on_cpu { Kind::Float } else { Kind::BFloat16 },
                };
                optim::muon_step(options, &params, &grads, &state(0))?;
            }
        }
        Ok(())
    }

    /// The gradient's norm of the last step, before clipping, by the first part of the parameters' names: `text`, `image`, `fusion`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn norms(&self) -> Result<BTreeMap<String, f64>> {
        let Some((norms, whose)) = &self.norms else { return Ok(BTreeMap::new()) };
        let values = Vec::<f64>::try_from(norms.f_to_kind(Kind::Double)?)?;
        let mut squares: BTreeMap<String, f64> = BTreeMap::new();
        for (slot, norm) in whose.iter().filter_map(|i| self.slots.get(*i)).zip(values) {
            let part = slot.name.split('.').next().unwrap_or_default();
            *squares.entry(part.to_owned()).or_default() += norm * norm;
        }
        let finite = squares.into_iter().filter(|(_, sum)| sum.is_finite());
        Ok(finite.map(|(part, sum)| (part, sum.sqrt())).collect())
    }

    /// What is remembered of each parameter by name, for a checkpoint.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |s: &Slot| {
            let of = s.state.iter().map(|(kind, t)| (format!("{kind}.{}", s.name), t.shallow_clone()));
            of.collect::<Vec<_>>()
        };
        self.slots.iter().flat_map(named).collect()
    }

    /// Puts a [`state`](Self::state) back.
    ///
    /// # Errors
    /// A moment that is missing or of another shape, by name.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), String> {
        for s in &self.slots {
            for (kind, target) in &s.state {
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

/// Those at these places.
fn chosen<'a>(list: &[&'a Tensor], at: &[usize]) -> Vec<&'a Tensor> {
    at.iter().filter_map(|i| list.get(*i).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::GroupOptimizer;
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
            GroupRule { weight_decay: Some(0.0), ..GroupRule::of("a.w*") },
            GroupRule { freeze: true, ..GroupRule::of("a.*") },
        ];
        let p = params();
        let o = Optimizer::new(&p, &config(), &rules).unwrap();
        assert_eq!((o.params().len(), o.frozen()), (2, 1));
        let rules = [GroupRule::of("c.*")];
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
    fn every_kind_goes_on_from_its_state() {
        for kind in ["adamw", "lion", "muon", "lamb"] {
            let config = config();
            let config =
                OptimizerConfig { kind: toml::Value::String(kind.into()).try_into().unwrap(), ..config };
            let grads = |o: &Optimizer, k: f64| {
                let of = |t: &&Tensor| {
                    Some(Tensor::arange(t.numel() as i64, (Kind::Float, Device::Cpu)).view_as(t) + k)
                };
                o.params().iter().map(of).collect::<Vec<_>>()
            };
            let (p, q) = (params(), params());
            let mut a = Optimizer::new(&p, &config, &[]).unwrap();
            let first = p.get("a.weight").unwrap().tensor.copy();
            a.step(&grads(&a, 1.0), 0.1).unwrap();
            assert_ne!(p.get("a.weight").unwrap().tensor, first, "{kind}");
            let mut b = Optimizer::new(&q, &config, &[]).unwrap();
            let state: BTreeMap<String, Tensor> = a.state().into_iter().collect();
            b.restore(&state).unwrap();
            let weights = p.iter().map(|(n, t)| (n.to_owned(), t.tensor.copy())).collect();
            q.copy_from(&weights).unwrap();
            a.step(&grads(&a, -0.5), 0.1).unwrap();
            b.step(&grads(&b, -0.5), 0.1).unwrap();
            for (n, t) in p.iter() {
                assert_eq!(t.tensor, q.get(n).unwrap().tensor, "{kind}: {n}");
            }
            assert!(b.restore(&BTreeMap::new()).unwrap_err().contains("is missing"));
        }
    }

    #[test]
    fn muon_takes_the_matrices_and_rules_say_otherwise() {
        let config: OptimizerConfig =
            toml::from_str("kind = \"muon\"\nlr = 0.1\nmuon = { lr = 0.4 }").unwrap();
        let p = params();
        let o = Optimizer::new(&p, &config, &[]).unwrap();
        assert_eq!(
            o.describe(),
            "adamw for 2 tensors, muon for 1 tensors, learning rate 1.0e-1 to 4.0e-1, 0 frozen"
        );
        let names: Vec<String> = o.state().into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"momentum_buffer.a.weight".to_owned()), "{names:?}");
        let head = GroupRule { optimizer: Some(GroupOptimizer::AdamW), ..GroupRule::of("a.*") };
        let o = Optimizer::new(&p, &config, &[head]).unwrap();
        assert_eq!(o.describe(), "adamw for 3 tensors, learning rate 1.0e-1, 0 frozen");
        let wrong = GroupRule { optimizer: Some(GroupOptimizer::Muon), ..GroupRule::of("a.*") };
        let said = Optimizer::new(&p, &config, &[wrong]).err().unwrap().to_string();
        assert!(
            said.contains("group[0].optimizer: muon takes matrices, and a.bias has the shape [2]"),
            "{said}"
        );
    }

    #[test]
    fn blocks_have_their_own_rates_and_the_first_stay_as_they_are() {
        let root = Scope::root(1, Device::Cpu);
        for name in ["t.stem.w", "t.blocks.0.w", "t.blocks.1.w", "t.norm.w", "logit_scale.a"] {
            let _ = root.param(name, &[1], Init::Const(1.0)).unwrap();
        }
        let p = root.finish();
        // Lion moves by its learning rate alone.
        let config: OptimizerConfig = toml::from_str("kind = \"lion\"\nlr = 0.1").unwrap();
        let moved = |rule: GroupRule| {
            for (_, param) in p.iter() {
                let mut tensor = param.tensor.set_requires_grad(false);
                let _ = tensor.fill_(1.0);
                let _ = tensor.set_requires_grad(true);
            }
            let mut o = Optimizer::new(&p, &config, &[rule]).unwrap();
            let ones: Vec<Option<Tensor>> = o.params().iter().map(|t| Some(t.ones_like())).collect();
            o.step(&ones, 0.1).unwrap();
            let of = |n: &str| 1.0 - p.get(n).unwrap().tensor.double_value(&[0]);
            ["t.stem.w", "t.blocks.0.w", "t.blocks.1.w", "t.norm.w", "logit_scale.a"].map(of)
        };
        let near = |found: [f64; 5], expected: [f64; 5]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        };
        let rule = GroupRule { layer_decay: Some(0.5), ..GroupRule::of("t.*") };
        near(moved(rule), [0.0125, 0.025, 0.05, 0.1, 0.1]);
        let rule = GroupRule {
            lr: Some(0.2),
            layer_decay: Some(0.5),
            unfreeze_last: Some(1),
            ..GroupRule::of("t.*")
        };
        near(moved(rule), [0.0, 0.0, 0.1, 0.2, 0.1]);
        let rule = GroupRule { layer_decay: Some(0.5), ..GroupRule::of("logit_scale.*") };
        let said = Optimizer::new(&p, &config, &[rule]).err().unwrap().to_string();
        assert!(
            said.contains("group[0].layer_decay: \"logit_scale.*\" matches nothing in a tower's blocks"),
            "{said}"
        );
        let mut o = Optimizer::new(&p, &config, &[]).unwrap();
        let twos: Vec<Option<Tensor>> = o.params().iter().map(|t| Some(t.ones_like() * 2.0)).collect();
        let norm = o.step(&twos, 0.1).unwrap();
        let norms = o.norms().unwrap();
        assert_eq!(norms["logit_scale"], 2.0);
        assert!((norms["t"] - 4.0).abs() < 1e-6 && (norm - 20f64.sqrt()).abs() < 1e-6, "{norms:?} {norm}");
    }

    #[test]
    fn an_average_of_nothing_is_refused() {
        let config: OptimizerConfig =
            toml::from_str("lr = 0.1\nema = { decay = 0.9, match = \"c.*\" }").unwrap();
        let said = Optimizer::new(&params(), &config, &[]).err().unwrap().to_string();
        assert!(said.contains("optimizer.ema.match: \"c.*\" matches no parameter"), "{said}");
    }
}
