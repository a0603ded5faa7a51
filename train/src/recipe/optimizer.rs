//! What a recipe says of its steps: `[optimizer]`.

use super::ema::Ema;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which optimizer takes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// AdamW (Loshchilov & Hutter 2019), as one fused kernel.
    #[default]
    AdamW,
    /// Lion (Chen et al. 2023): the sign of a momentum. One moment in place of two; takes a third to a tenth of AdamW's learning rate, and
    /// as many times its weight decay.
    Lion,
    /// Muon (Keller Jordan 2024) for the matrices of hidden layers, AdamW for everything else.
    Muon,
    /// LAMB (You et al. 2020): AdamW's update, scaled for each tensor; for very large batches.
    Lamb,
}

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine, down to `final_lr`.
    #[default]
    Cosine,
    /// Stays at the peak.
    Constant,
    /// A straight line, down to `final_lr`.
    Linear,
    /// Stays at the peak (warm-up, stable, decay), and falls to `final_lr` over the last `decay_share` of the steps.
    Wsd,
}

/// How a `wsd` schedule falls at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecayShape {
    /// A straight line.
    #[default]
    Linear,
    /// Half a cosine.
    Cosine,
    /// One minus a square root: steep at first (Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations").
    Sqrt,
}

/// What is done about a loss or a gradient that is not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// The run stops.
    #[default]
    Stop,
    /// The step is left out, `max_skipped` times in a row at most.
    Skip,
}

/// The steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// `adamw`, `lion`, `muon`, `lamb`.
    #[serde(default)]
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Decay of the two moments; without it what the optimizer's users take: 0.9 and 0.98 for AdamW and Muon, 0.99 for Lion, 0.999 for LAMB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<[f64; 2]>,
    /// Added to the denominator; without it 1e-8, for LAMB 1e-6. Lion has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// Decoupled weight decay of matrices; vectors, embeddings and positions have none unless a rule says so.
    #[serde(default)]
    pub weight_decay: f64,
    /// Of `kind = "muon"`: how it takes its matrices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muon: Option<MuonConfig>,
    /// Steps of linear warm-up.
    #[serde(default)]
    pub warmup: u64,
    /// `cosine`, `constant`, `linear`, `wsd`.
    #[serde(default)]
    pub schedule: Schedule,
    /// Of `schedule = "wsd"`: the share of all steps over which it falls; 0.2 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_share: Option<f64>,
    /// Of `schedule = "wsd"`: how it falls: `linear`, `cosine`, `sqrt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_shape: Option<DecayShape>,
    /// Learning rate at the end, as a share of the peak.
    #[serde(default)]
    pub final_lr: f64,
    /// Largest norm of the whole gradient; 0: no bound.
    #[serde(default = "one")]
    pub clip: f64,
    /// The moving average of the weights that is evaluated and saved: its decay, or `{ decay = 0.999, match = "*.projection.*" }` where only
    /// some are averaged and the others are as they were trained; 0: the weights themselves.
    #[serde(default)]
    pub ema: Ema,
    /// A loss or a gradient's norm that is not a finite number: `stop`, or `skip` the step. The ids of its batch are written down.
    #[serde(default)]
    pub non_finite: NonFinite,
    /// With `non_finite = "skip"`: how many steps in a row may be left out.
    #[serde(default = "five")]
    pub max_skipped: u64,
}

/// How Muon takes its matrices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MuonConfig {
    /// Decay of the momentum.
    pub momentum: f64,
    /// The gradient is mixed into the momentum once more.
    pub nesterov: bool,
    /// Newton–Schulz iterations.
    pub steps: u32,
    /// How the learning rate fits a matrix's shape.
    pub adjust_lr: AdjustLr,
    /// Another peak learning rate for the matrices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self { momentum: 0.95, nesterov: true, steps: 5, adjust_lr: AdjustLr::default(), lr: None }
    }
}

/// How Muon's learning rate fits a matrix's shape, by the names of `torch.optim.Muon`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustLr {
    /// Updates of the size of AdamW's: one learning rate and weight decay for both.
    #[default]
    MatchRmsAdamw,
    /// Keller Jordan's: with `muon = { adjust_lr = "original", lr = 0.02 }`.
    Original,
}

fn one() -> f64 {
    1.0
}
fn five() -> u64 {
    5
}

impl OptimizerConfig {
    /// Decay of the two moments.
    pub fn betas(&self) -> [f64; 2] {
        self.betas.unwrap_or(match self.kind {
            OptimizerKind::AdamW | OptimizerKind::Muon => [0.9, 0.98],
            OptimizerKind::Lion => [0.9, 0.99],
            OptimizerKind::Lamb => [0.9, 0.999],
        })
    }

    /// Added to the denominator.
    pub fn eps(&self) -> f64 {
        self.eps.unwrap_or(if self.kind == OptimizerKind::Lamb { 1e-6 } else { 1e-8 })
    }

    /// The share of all steps over which a `wsd` schedule falls.
    pub fn decay_share(&self) -> f64 {
        self.decay_share.unwrap_or(0.2)
    }

    /// # Errors
    /// A value that cannot work, or one that would change nothing.
    pub(super) fn check(&self) -> Result<()> {
        let refuse =
            |field: &str, message: String| Err(Error::setting(format!("optimizer.{field}"), message));
        let finite = |field: &str, v: f64, ok: bool, expected: &str| {
            if ok && v.is_finite() {
                Ok(())
            } else {
                refuse(field, format!("expected {expected}, found {v}"))
            }
        };
        finite("lr", self.lr, self.lr > 0.0, "a positive number")?;
        finite("eps", self.eps(), self.eps() >= 0.0, "0 or more")?;
        finite("weight_decay", self.weight_decay, self.weight_decay >= 0.0, "0 or more")?;
        finite("clip", self.clip, self.clip >= 0.0, "0 or more")?;
        finite("ema", self.ema.decay, (0.0..1.0).contains(&self.ema.decay), "0 to below 1")?;
        finite("final_lr", self.final_lr, (0.0..=1.0).contains(&self.final_lr), "0 to 1")?;
        for b in self.betas() {
            finite("betas", b, (0.0..1.0).contains(&b), "0 to below 1")?;
        }
        if let Some(m) = &self.muon {
            if self.kind != OptimizerKind::Muon {
                return refuse("muon", "kind is another one: leave it out, or set kind = \"muon\"".into());
            }
            finite("muon.momentum", m.momentum, (0.0..1.0).contains(&m.momentum), "0 to below 1")?;
            if !(1..=99).contains(&m.steps) {
                return refuse("muon.steps", format!("expected 1 to 99, found {}", m.steps));
            }
            if let Some(lr) = m.lr {
                finite("muon.lr", lr, lr > 0.0, "a positive number")?;
            }
        }
        if self.kind == OptimizerKind::Lion && self.eps.is_some() {
            return refuse("eps", "lion divides by nothing: leave it out".into());
        }
        let wsd = self.schedule == Schedule::Wsd;
        if !wsd && self.decay_share.is_some() {
            return refuse("decay_share", "belongs to schedule = \"wsd\": leave it out".into());
        }
        if !wsd && self.decay_shape.is_some() {
            return refuse("decay_shape", "belongs to schedule = \"wsd\": leave it out".into());
        }
        let share = self.decay_share();
        finite("decay_share", share, share > 0.0 && share <= 1.0, "above 0, at most 1")?;
        if self.schedule == Schedule::Constant && self.final_lr != 0.0 {
            return refuse("final_lr", "a constant schedule stays at the peak: leave it out".into());
        }
        if self.non_finite == NonFinite::Skip && self.max_skipped == 0 {
            return refuse(
                "max_skipped",
                "expected 1 or more, found 0; non_finite = \"stop\" skips none".into(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let config: OptimizerConfig =
            toml::from_str(&format!("lr = 0.1\n{text}")).map_err(|e| e.message().to_owned())?;
        config.check().map_err(|e| e.to_string())
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for good in [
            "",
            "kind = \"lamb\"",
            "kind = \"muon\"\nmuon = { adjust_lr = \"original\", lr = 0.02 }",
            "schedule = \"wsd\"\ndecay_share = 1.0\ndecay_shape = \"sqrt\"",
            "ema = { decay = 0.9, match = \"*.projection.*\" }",
            "non_finite = \"skip\"",
        ] {
            check(good).unwrap();
        }
        for (bad, says) in [
            ("kind = \"adam\"", "unknown variant `adam`"),
            ("muon = {}", "optimizer.muon: kind is another one"),
            ("kind = \"muon\"\nmuon = { momentum = 1.0 }", "muon.momentum: expected 0 to below 1"),
            ("kind = \"muon\"\nmuon = { steps = 0 }", "muon.steps: expected 1 to 99, found 0"),
            ("kind = \"muon\"\nmuon = { step = 1 }", "unknown field `step`"),
            ("kind = \"lion\"\neps = 1e-8", "optimizer.eps: lion divides by nothing"),
            ("decay_share = 0.1", "decay_share: belongs to schedule = \"wsd\""),
            ("decay_shape = \"sqrt\"", "decay_shape: belongs to schedule = \"wsd\""),
            ("schedule = \"wsd\"\ndecay_share = 0.0", "expected above 0, at most 1, found 0"),
            ("schedule = \"constant\"\nfinal_lr = 0.1", "final_lr: a constant schedule stays"),
            ("non_finite = \"skip\"\nmax_skipped = 0", "max_skipped: expected 1 or more"),
            ("ema = 1.0", "optimizer.ema: expected 0 to below 1"),
            ("betas = [0.9, 1.0]", "optimizer.betas"),
            ("eps = -1.0", "optimizer.eps"),
        ] {
            let said = check(bad).unwrap_err();
            assert!(said.contains(says), "{bad}: {said}");
        }
    }

    #[test]
    fn each_kind_has_its_own_defaults() {
        let of = |kind: &str| {
            let c: OptimizerConfig = toml::from_str(&format!("lr = 0.1\nkind = \"{kind}\"")).unwrap();
            (c.betas(), c.eps())
        };
        assert_eq!(of("adamw"), ([0.9, 0.98], 1e-8));
        assert_eq!(of("muon"), of("adamw"));
        assert_eq!(of("lion").0, [0.9, 0.99]);
        assert_eq!(of("lamb"), ([0.9, 0.999], 1e-6));
    }
}
