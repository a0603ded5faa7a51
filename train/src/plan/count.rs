//! Parameters: whose they are, which are trained, and why the others are not.

use crate::Learner;
use crate::recipe::GroupRule;
use serde::Serialize;
use unisono_encoders::Modality;
use unisono_nn::params::matches;

/// Parameters of a tower, or of what stands beside the towers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tower {
    /// `text`, `image`, `audio`, `video`, `fusion`, `logit_scale`, …
    pub name: String,
    /// Numbers that are optimised.
    pub trained: u64,
    /// Numbers that stay.
    pub frozen: u64,
    /// Its features are computed once, and it does not run in the steps.
    pub kept: bool,
}

/// Parameters that a rule freezes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrozenBy {
    /// The rule's pattern, as in `[[group]]` or as `frozen = true` of a tower comes to.
    pub rule: String,
    /// Tensors.
    pub tensors: usize,
    /// Numbers in them.
    pub numbers: u64,
}

/// By tower, in the order of [`Modality::ALL`], then by name.
pub(super) fn towers(model: &Learner, kept: &[(Modality, u32)]) -> Vec<Tower> {
    let mut towers: Vec<Tower> = Vec::new();
    for (name, tensor) in model.params().trainable() {
        let own = name.split('.').next().unwrap_or_default().to_owned();
        let at = match towers.iter().position(|t| t.name == own) {
            Some(at) => at,
            None => {
                let kept = kept.iter().any(|(m, _)| m.name() == own);
                towers.push(Tower { name: own, trained: 0, frozen: 0, kept });
                towers.len() - 1
            }
        };
        if let Some(tower) = towers.get_mut(at) {
            let sum = if tensor.requires_grad() { &mut tower.trained } else { &mut tower.frozen };
            *sum += tensor.numel() as u64;
        }
    }
    let place = |name: &str| Modality::ALL.iter().position(|m| m.name() == name).unwrap_or(usize::MAX);
    towers.sort_by_key(|t| (place(&t.name), t.name.clone()));
    towers
}

/// By the first rule that matches, as the optimizer takes them.
pub(super) fn frozen(model: &Learner, rules: &[GroupRule]) -> Vec<FrozenBy> {
    let mut by: Vec<FrozenBy> = Vec::new();
    for (name, tensor) in model.params().trainable().iter().filter(|(_, t)| !t.requires_grad()) {
        let rule = rules.iter().find(|r| matches(&r.pattern, name));
        let rule = rule.map_or("what the model was built with", |r| &r.pattern);
        match by.iter_mut().find(|f| f.rule == rule) {
            Some(found) => {
                found.tensors += 1;
                found.numbers += tensor.numel() as u64;
            }
            None => by.push(FrozenBy { rule: rule.to_owned(), tensors: 1, numbers: tensor.numel() as u64 }),
        }
    }
    let place = |rule: &str| rules.iter().position(|r| r.pattern == rule).unwrap_or(usize::MAX);
    by.sort_by_key(|f| place(&f.rule));
    by
}
