//! `[[group]]`: what the parameters of some names have of their own.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// An exception for the parameters whose names match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// A name with `*` for any run of characters: `image.stem.*`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Factor on the learning rate.
    #[serde(default = "one")]
    pub lr_scale: f64,
    /// Another peak learning rate, in place of a factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// The learning rate of each block is so many times that of the block above it (layer-wise decay, as BEiT and MAE are fine-tuned): the
    /// last block has `layer_decay` times the rate of what is behind the blocks, the stem the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<f64>,
    /// Another weight decay.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// Not optimised.
    #[serde(default)]
    pub freeze: bool,
    /// Only the last so many blocks and what is behind them are optimised: the blocks before them and the stem are frozen. 0: no block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfreeze_last: Option<u64>,
    /// Under `kind = "muon"`: `adamw` for matrices that are no hidden layer's, as of a head, or `muon` for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<GroupOptimizer>,
}

/// Which of Muon's two optimizers takes a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupOptimizer {
    /// AdamW.
    AdamW,
    /// Muon.
    Muon,
}

fn one() -> f64 {
    1.0
}

impl GroupRule {
    /// A rule for these names that changes nothing.
    pub fn of(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            lr_scale: 1.0,
            lr: None,
            layer_decay: None,
            weight_decay: None,
            freeze: false,
            unfreeze_last: None,
            optimizer: None,
        }
    }

    /// # Errors
    /// A value that cannot work, or two that say the same thing differently.
    pub(super) fn check(&self, at: usize, muon: bool) -> Result<()> {
        let refuse = |key: &str, message: String| Err(Error::setting(format!("group[{at}].{key}"), message));
        let number = |key: &str, v: f64, ok: bool, expected: &str| {
            if ok && v.is_finite() { Ok(()) } else { refuse(key, format!("expected {expected}, found {v}")) }
        };
        number("lr_scale", self.lr_scale, self.lr_scale >= 0.0, "0 or more")?;
        if let Some(lr) = self.lr {
            number("lr", lr, lr > 0.0, "a positive number")?;
            if self.lr_scale != 1.0 {
                return refuse("lr", "lr_scale is there, too: leave one of the two out".into());
            }
        }
        if let Some(decay) = self.layer_decay {
            number("layer_decay", decay, decay > 0.0 && decay <= 1.0, "above 0, at most 1")?;
        }
        if let Some(decay) = self.weight_decay {
            number("weight_decay", decay, decay >= 0.0, "0 or more")?;
        }
        if self.freeze && self.unfreeze_last.is_some() {
            return refuse("unfreeze_last", "freeze is there, too: leave one of the two out".into());
        }
        if self.optimizer.is_some() && !muon {
            return refuse(
                "optimizer",
                "belongs to [optimizer] kind = \"muon\", which has two: leave it out".into(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let check = |text: &str, muon| {
            let rule: GroupRule = toml::from_str(&format!("match = \"*\"\n{text}")).unwrap();
            rule.check(2, muon).map_err(|e| e.to_string())
        };
        check("lr = 0.1\nlayer_decay = 0.75\nunfreeze_last = 0", false).unwrap();
        check("optimizer = \"adamw\"", true).unwrap();
        for (bad, says) in [
            ("lr = 0.1\nlr_scale = 2.0", "group[2].lr: lr_scale is there, too"),
            ("lr_scale = -1.0", "lr_scale: expected 0 or more, found -1"),
            ("lr = 0.0", "group[2].lr: expected a positive number"),
            ("layer_decay = 1.5", "layer_decay: expected above 0, at most 1, found 1.5"),
            ("weight_decay = -0.1", "group[2].weight_decay"),
            ("freeze = true\nunfreeze_last = 1", "unfreeze_last: freeze is there, too"),
            ("optimizer = \"muon\"", "belongs to [optimizer] kind = \"muon\""),
        ] {
            let said = check(bad, false).unwrap_err();
            assert!(said.contains(says), "{bad}: {said}");
        }
        let rule: GroupRule = toml::from_str("match = \"a.*\"").unwrap();
        assert_eq!(rule, GroupRule::of("a.*"));
    }
}
