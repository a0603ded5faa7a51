//! From the recipe's rules to what each parameter is optimised with.

use super::layers::Layers;
use crate::recipe::{GroupOptimizer, GroupRule, OptimizerConfig, OptimizerKind};
use crate::{Error, Result};
use tch::Tensor;
use unisono_encoders::Params;
use unisono_nn::params::matches;

/// A parameter that is optimised, and how.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) name: String,
    pub(super) param: Tensor,
    pub(super) kind: OptimizerKind,
    /// Factor on the scheduled learning rate.
    pub(super) lr_scale: f64,
    pub(super) weight_decay: f64,
}

/// Every parameter that the first rule of its name does not freeze, and how many are frozen.
///
/// # Errors
/// A rule that matches nothing or counts blocks where there are none, Muon for what is no matrix, or nothing left to train.
pub(super) fn assign(
    params: &Params,
    config: &OptimizerConfig,
    rules: &[GroupRule],
) -> Result<(Vec<Assigned>, usize)> {
    let trainable = params.trainable();
    let layers = Layers::of(trainable.iter().map(|(name, _)| name.as_str()));
    let mut used = vec![false; rules.len()];
    let mut counts_blocks = vec![false; rules.len()];
    let (mut assigned, mut frozen) = (Vec::with_capacity(trainable.len()), 0);
    let like = || trainable.iter().map(|(n, _)| n.as_str()).take(5).collect::<Vec<_>>().join(", ");
    for (name, param) in &trainable {
        let (name, param) = (name.clone(), param.shallow_clone());
        let at = rules.iter().position(|r| matches(&r.pattern, &name));
        let distance = layers.distance(&name);
        let rule = at.and_then(|i| rules.get(i));
        if let Some(i) = at {
            used[i] = true;
            counts_blocks[i] |= distance.is_some_and(|d| d > 0);
        }
        let distance = distance.unwrap_or(0);
        let below = rule.and_then(|r| r.unfreeze_last).is_some_and(|last| distance > last);
        if below || rule.is_some_and(|r| r.freeze) {
            let _ = param.f_set_requires_grad(false)?;
            frozen += 1;
            continue;
        }
        let wanted = rule.and_then(|r| r.optimizer);
        let kind = kind(config.kind, &name, &param, wanted);
        if kind == OptimizerKind::Muon && param.dim() != 2 {
            let found = format!("muon takes matrices, and {name} has the shape {:?}", param.size());
            return Err(Error::setting(format!("group[{}].optimizer", at.unwrap_or(0)), found));
        }
        // Decay shrinks directions of a product; a bias, a norm, an embedding row or a scale is none.
        let decays = param.dim() >= 2 && !is_table(&name);
        let default = if decays { config.weight_decay } else { 0.0 };
        let weight_decay = rule.and_then(|r| r.weight_decay).unwrap_or(default);
        let own = match kind {
            OptimizerKind::Muon => config.muon.as_ref().and_then(|m| m.lr).map_or(1.0, |lr| lr / config.lr),
            _ => 1.0,
        };
        let scale = rule.map_or(own, |r| r.lr.map_or(r.lr_scale * own, |lr| lr / config.lr));
        let decay = rule.and_then(|r| r.layer_decay).unwrap_or(1.0);
        let lr_scale = scale * decay.powf(distance as f64);
        assigned.push(Assigned { name, param, kind, lr_scale, weight_decay });
    }
    if let Some(i) = used.iter().position(|u| !u) {
        let message = format!("{:?} matches no parameter; names look like {}", rules[i].pattern, like());
        return Err(Error::setting(format!("group[{i}].match"), message));
    }
    for ((i, rule), counts) in rules.iter().enumerate().zip(counts_blocks) {
        let key = match (rule.layer_decay, rule.unfreeze_last) {
            _ if counts => continue,
            (Some(_), _) => "layer_decay",
            (None, Some(_)) => "unfreeze_last",
            (None, None) => continue,
        };
        let found = format!("{:?} matches nothing in a tower's blocks or before them", rule.pattern);
        return Err(Error::setting(format!("group[{i}].{key}"), found));
    }
    if assigned.is_empty() {
        return Err(Error::setting("group", "every parameter is frozen: there is nothing to train"));
    }
    if let Some(pattern) = &config.ema.pattern
        && !assigned.iter().any(|a| config.ema.is_of(&a.name))
    {
        let message = format!("{pattern:?} matches no parameter that is trained; names look like {}", like());
        return Err(Error::setting("optimizer.ema.match", message));
    }
    Ok((assigned, frozen))
}

/// Rows that are looked up, not directions of a product.
fn is_table(name: &str) -> bool {
    name.contains("embedding") || name.contains("position")
}

/// Of Muon's two the one for this parameter: matrices of layers are its, but for a vocabulary's and the tables of relative positions.
fn kind(kind: OptimizerKind, name: &str, param: &Tensor, wanted: Option<GroupOptimizer>) -> OptimizerKind {
    let hidden = param.dim() == 2
        && name.ends_with(".weight")
        && !is_table(name)
        && !name.contains(".relative.")
        && !name.contains(".head.");
    match (kind, wanted) {
        (OptimizerKind::Muon, Some(GroupOptimizer::AdamW)) => OptimizerKind::AdamW,
        (OptimizerKind::Muon, None) if !hidden => OptimizerKind::AdamW,
        (kind, _) => kind,
    }
}
