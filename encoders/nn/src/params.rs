//! Named parameters: built by towers under path prefixes, from a seed or from a file, and never renamed silently.

use crate::config::{Adaptable, AdapterConfig, Adapters};
use crate::report::LoadReport;
use crate::{Error, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use tch::{Device, Kind, Tensor};

/// Training (dropout, stochastic depth, batch statistics) or evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The forward pass of a training step.
    Train,
    /// Deterministic.
    Eval,
}

/// How a new parameter is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every entry has this value.
    Const(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Evenly between this and its negative.
    Uniform(f64),
}

/// One named tensor of a model.
#[derive(Debug)]
pub struct Param {
    /// The values, fp32.
    pub tensor: Tensor,
    /// False for buffers (running statistics), which are saved but not optimised.
    pub trainable: bool,
}

/// All parameters and buffers of a model, by name.
#[derive(Debug, Default)]
pub struct Params {
    entries: BTreeMap<String, Param>,
}

impl Params {
    /// Names and parameters, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.entries.iter().map(|(n, p)| (n.as_str(), p))
    }

    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.entries.get(name)
    }

    /// Names and tensors of everything that is optimised, in the order of their names.
    pub fn trainable(&self) -> Vec<(String, Tensor)> {
        let wanted = self.entries.iter().filter(|(_, p)| p.trainable);
        wanted.map(|(n, p)| (n.clone(), p.tensor.shallow_clone())).collect()
    }

    /// Forgets everything below the scope of this name.
    pub fn remove_below(&mut self, scope: &str) {
        self.entries.retain(|name, _| name.strip_prefix(scope).is_none_or(|rest| !rest.starts_with('.')));
    }

    /// The parameters of several parts, each part's names behind its prefix; the tensors are shared.
    pub fn joined(parts: &[(&str, &Self)]) -> Self {
        let all = parts.iter().flat_map(|(prefix, part)| {
            part.entries.iter().map(move |(name, p)| {
                (
                    format!("{prefix}{name}"),
                    Param { tensor: p.tensor.shallow_clone(), trainable: p.trainable },
                )
            })
        });
        Self { entries: all.collect() }
    }

    /// How many numbers are optimised.
    pub fn count(&self) -> usize {
        self.entries.values().filter(|p| p.trainable).map(|p| p.tensor.numel()).sum()
    }

    /// Copies values from `source` into the parameters of the same names, in place.
    ///
    /// # Errors
    /// Any name missing, unexpected, or of another shape: nothing is copied then.
    pub fn copy_from(&self, source: &BTreeMap<String, Tensor>) -> Result<(), LoadReport> {
        let mut report = LoadReport::default();
        for (name, p) in &self.entries {
            match source.get(name) {
                None => report.missing.push(name.clone()),
                Some(t) if t.size() != p.tensor.size() => {
                    report.mismatched.push((name.clone(), p.tensor.size(), t.size()));
                }
                Some(_) => report.loaded += 1,
            }
        }
        report.unexpected = source.keys().filter(|n| !self.entries.contains_key(*n)).cloned().collect();
        if !report.is_exact() {
            return Err(report);
        }
        tch::no_grad(|| {
            for (name, p) in &self.entries {
                if let Some(t) = source.get(name) {
                    p.tensor.shallow_clone().copy_(t);
                }
            }
        });
        Ok(())
    }
}

struct Building {
    params: Params,
    /// `None`: the values are not initialised.
    seed: Option<u64>,
    /// How many numbers may still be asked for.
    left: u64,
    device: Device,
    adapters: Adapters,
}

/// A place in the tree of names where a tower defines its parameters (candle's `VarBuilder` idiom).
#[derive(Clone)]
pub struct Scope {
    building: Rc<RefCell<Building>>,
    prefix: String,
}

impl Scope {
    /// The root. Every parameter's initial value is a function of (`seed`, its name), whatever the order of definition.
    pub fn root(seed: u64, device: Device) -> Self {
        Self::with(Some(seed), u64::MAX, device)
    }

    /// A root whose parameters are not initialised, to be filled from a file: drawing them would take longer than reading. They may have
    /// `most` numbers together ([`Weights::room`](crate::weights::Weights::room)): a configuration that asks for more does not belong to
    /// the file, and is refused before memory is taken.
    pub fn blank(device: Device, most: u64) -> Self {
        Self::with(None, most, device)
    }

    fn with(seed: Option<u64>, left: u64, device: Device) -> Self {
        let building =
            Building { params: Params::default(), seed, left, device, adapters: Adapters::default() };
        Self { building: Rc::new(RefCell::new(building)), prefix: String::new() }
    }

    /// The scope `name` below this one.
    pub fn child(&self, name: impl fmt::Display) -> Self {
        let prefix =
            if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) };
        Self { building: self.building.clone(), prefix }
    }

    /// The path of names to this place, `text.blocks.3`; empty at the root.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    /// Defines a trainable parameter.
    ///
    /// # Errors
    /// The name is taken, or the shape asks for more than [`blank`](Self::blank) allows.
    pub fn param(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        self.define(name, shape, init, true)
    }

    /// Defines a buffer: saved, not optimised.
    ///
    /// # Errors
    /// As [`param`](Self::param).
    pub fn buffer(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        self.define(name, shape, init, false)
    }

    fn define(&self, name: &str, shape: &[i64], init: Init, trainable: bool) -> Result<Tensor> {
        let full = if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) };
        let mut b = self.building.borrow_mut();
        if b.params.entries.contains_key(&full) {
            return Err(Error::Duplicate(full));
        }
        let asked = shape
            .iter()
            .try_fold(1u64, |n, d| n.checked_mul(u64::try_from(*d).ok()?))
            .filter(|n| *n <= b.left);
        let Some(asked) = asked else {
            return Err(Error::config(
                full,
                format!(
                    "the configuration asks for {shape:?} numbers, more than the weights' file can fill; they do not belong together"
                ),
            ));
        };
        b.left -= asked;
        let values = match (b.seed, init) {
            (None, _) => Tensor::f_empty(shape, (Kind::Float, b.device))?,
            (_, Init::Const(v)) => Tensor::f_full(shape, v, (Kind::Float, b.device))?,
            (Some(seed), Init::Normal(std)) => normal(seed, &full, shape, std)?.f_to_device(b.device)?,
            (Some(seed), Init::Uniform(most)) => uniform(seed, &full, shape, most)?.f_to_device(b.device)?,
        };
        let tensor = if trainable { values.f_set_requires_grad(true)? } else { values };
        b.params.entries.insert(full, Param { tensor: tensor.shallow_clone(), trainable });
        Ok(tensor)
    }

    /// The parameters that were defined at this place and below it so far, in the order of their names.
    pub fn params(&self) -> Vec<Tensor> {
        let below = |name: &str| {
            let rest = name.strip_prefix(&self.prefix);
            self.prefix.is_empty() || rest.is_some_and(|rest| rest.starts_with('.'))
        };
        let building = self.building.borrow();
        let own = building.params.entries.iter().filter(|(name, p)| p.trainable && below(name));
        own.map(|(_, p)| p.tensor.shallow_clone()).collect()
    }

    /// Layers that are built from here on have the adapters of `config`.
    pub fn adapt(&self, config: Option<&AdapterConfig>) {
        self.building.borrow_mut().adapters.config = config.cloned();
    }

    /// The layers that were built so far and can have an adapter.
    pub fn adaptable(&self) -> Vec<Adaptable> {
        self.building.borrow().adapters.layers.clone()
    }

    /// The adapters of layers that are built now.
    pub(crate) fn adapters(&self) -> RefMut<'_, Adapters> {
        RefMut::map(self.building.borrow_mut(), |building| &mut building.adapters)
    }

    /// The place `name` beside this one.
    pub(crate) fn beside(&self, name: &str) -> Self {
        let prefix =
            self.prefix.rsplit_once('.').map_or(name.to_owned(), |(above, _)| format!("{above}.{name}"));
        Self { building: self.building.clone(), prefix }
    }

    /// All parameters defined under the root, once the towers are built.
    pub fn finish(self) -> Params {
        std::mem::take(&mut self.building.borrow_mut().params)
    }
}

/// A ChaCha stream keyed by (seed, name).
fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    // FNV-1a, four lanes: a stable spread of the name over the rest of the key.
    for lane in 0..3u64 {
        let start = 0xcbf2_9ce4_8422_2325u64 ^ lane.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let h = name.bytes().fold(start, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
        let at = 8 + 8 * lane as usize;
        key[at..at + 8].copy_from_slice(&h.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Even numbers from -`most` to `most`.
fn uniform(seed: u64, name: &str, shape: &[i64], most: f64) -> Result<Tensor> {
    let mut rng = stream(seed, name);
    let n = shape.iter().product::<i64>().max(0);
    let values: Vec<f32> = (0..n).map(|_| ((2.0 * rng.random::<f64>() - 1.0) * most) as f32).collect();
    Ok(Tensor::f_from_slice(&values)?.f_reshape(shape)?)
}

/// Normal numbers by Box–Muller.
fn normal(seed: u64, name: &str, shape: &[i64], std: f64) -> Result<Tensor> {
    let mut rng = stream(seed, name);
    let n = shape.iter().product::<i64>().max(0) as usize;
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        let (u, v): (f64, f64) = (rng.random(), rng.random());
        let r = (-2.0 * (1.0 - u).ln()).sqrt() * std;
        let angle = std::f64::consts::TAU * v;
        values.push((r * angle.cos()) as f32);
        values.push((r * angle.sin()) as f32);
    }
    values.truncate(n);
    Ok(Tensor::f_from_slice(&values)?.f_reshape(shape)?)
}

/// Whether a name fits a glob with `*` for any run of characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|i| tail.is_char_boundary(*i)).any(|i| matches(rest, &tail[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_depend_on_seed_and_name_only() {
        let make = |seed, names: &[&str]| {
            let root = Scope::root(seed, Device::Cpu);
            for n in names {
                let _ = root.child("a").param(n, &[3, 5], Init::Normal(0.5)).unwrap();
            }
            root.finish()
        };
        let (x, y, z) = (make(1, &["p", "q"]), make(1, &["q", "p"]), make(2, &["p", "q"]));
        for n in ["a.p", "a.q"] {
            assert_eq!(x.get(n).unwrap().tensor, y.get(n).unwrap().tensor);
            assert_ne!(x.get(n).unwrap().tensor, z.get(n).unwrap().tensor);
        }
        assert_ne!(x.get("a.p").unwrap().tensor, x.get("a.q").unwrap().tensor);
    }

    #[test]
    fn normal_has_its_moments() {
        let t = normal(3, "x", &[20_000], 0.5).unwrap();
        assert!(t.mean(Kind::Double).double_value(&[]).abs() < 0.02);
        assert!((t.std(true).double_value(&[]) - 0.5).abs() < 0.02);
    }

    #[test]
    fn a_name_is_defined_once() {
        let root = Scope::root(1, Device::Cpu);
        let _ = root.param("w", &[1], Init::Const(0.0)).unwrap();
        assert!(matches!(root.param("w", &[1], Init::Const(0.0)), Err(Error::Duplicate(_))));
    }

    #[test]
    fn copying_is_all_or_nothing() {
        let root = Scope::root(1, Device::Cpu);
        let _ = root.param("w", &[2], Init::Const(0.0)).unwrap();
        let _ = root.buffer("b", &[1], Init::Const(0.0)).unwrap();
        let params = root.finish();
        assert_eq!(params.count(), 2);
        let mut source = BTreeMap::from([("w".to_owned(), Tensor::from_slice(&[1f32, 2.0]))]);
        let report = params.copy_from(&source).unwrap_err();
        assert_eq!(report.missing, ["b"]);
        assert_eq!(params.get("w").unwrap().tensor.double_value(&[0]), 0.0);
        source.insert("b".into(), Tensor::from_slice(&[3f32, 4.0]));
        assert!(params.copy_from(&source).unwrap_err().to_string().contains("expected shape [1], found [2]"));
        source.insert("b".into(), Tensor::from_slice(&[3f32]));
        params.copy_from(&source).unwrap();
        assert_eq!(params.get("w").unwrap().tensor.double_value(&[1]), 2.0);
    }

    #[test]
    fn globs() {
        assert!(
            matches("*", "a.b") && matches("a.*.w", "a.b.c.w") && matches("a", "a") && matches("*.w", ".w")
        );
        assert!(!matches("a.*.w", "a.w") && !matches("a", "ab") && !matches("b*", "ab"));
    }
}
