//! What of blocks can be built; what cannot is told by its key.

use super::*;
use crate::{Error, Result};

/// Bounds that keep a configuration from a stranger's file buildable: no tensor can outgrow memory by its numbers alone.
const MOST: i64 = 1 << 20;

/// Refuses a `value` that is not 1 to `most`, by its key.
///
/// # Errors
/// [`Error::Config`].
pub fn within(field: &str, value: i64, most: i64) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected 1 to {most}, found {value}")))
}

/// Refuses a `value` that is not 0 or more and less than 1, by its key.
///
/// # Errors
/// [`Error::Config`].
pub fn probability(field: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected a probability below 1, found {value}")))
}

impl TransformerConfig {
    /// Blocks of these sizes, everything else at its default.
    pub fn new(width: i64, depth: i64, heads: i64) -> Self {
        Self {
            width,
            depth,
            heads,
            kv_heads: None,
            qk_norm: false,
            bias: true,
            mlp_ratio: four(),
            dropout: 0.0,
            drop_path: 0.0,
            activation: Activation::default(),
            gated: false,
            norm: NormPlace::default(),
            norm_kind: NormKind::default(),
            norm_eps: eps(),
            input_norm: false,
            final_norm: FinalNorm::default(),
            layer_scale: None,
            causal: false,
            relative: None,
            rotary: None,
            messages: false,
        }
    }

    /// Checks every size; `at`: the key of this table.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self, at: &str) -> Result<()> {
        within(&format!("{at}.width"), self.width, 1 << 16)?;
        within(&format!("{at}.heads"), self.heads, 1 << 12)?;
        if !(0..=1024).contains(&self.depth) {
            return Err(Error::config(
                format!("{at}.depth"),
                format!("expected 0 to 1024, found {}", self.depth),
            ));
        }
        if self.width % self.heads != 0 {
            let (w, h) = (self.width, self.heads);
            return Err(Error::config(
                format!("{at}.heads"),
                format!("{h} does not divide width {w}; choose a divisor, such as {}", nearest_divisor(w, h)),
            ));
        }
        let kv = self.kv_heads.unwrap_or(self.heads);
        if kv < 1 || self.heads % kv != 0 {
            let h = self.heads;
            return Err(Error::config(
                format!("{at}.kv_heads"),
                format!(
                    "{kv} does not divide heads {h}; choose a divisor, such as {}",
                    nearest_divisor(h, kv)
                ),
            ));
        }
        if let Some(r) = self.rotary {
            let each = (self.width / self.heads) as f64;
            if !(r.share > 0.0 && r.share <= 1.0 && each * r.share >= 2.0) {
                return Err(Error::config(
                    format!("{at}.rotary.share"),
                    format!(
                        "expected 0 to 1, and at least 2 of the {each} features of a head, found {}",
                        r.share
                    ),
                ));
            }
            if !(r.base > 1.0 && r.base <= 1e12) {
                let found = r.base;
                return Err(Error::config(
                    format!("{at}.rotary.base"),
                    format!("expected more than 1 and at most 1e12, found {found}"),
                ));
            }
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) {
            let found = self.mlp_ratio;
            return Err(Error::config(format!("{at}.mlp_ratio"), format!("expected 0 to 64, found {found}")));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            let found = self.norm_eps;
            return Err(Error::config(format!("{at}.norm_eps"), format!("expected 0 to 1, found {found}")));
        }
        if let Some(r) = self.relative {
            within(&format!("{at}.relative.buckets"), r.buckets, 1 << 16)?;
            within(&format!("{at}.relative.max_distance"), r.max_distance, MOST)?;
            if r.buckets % 4 != 0 || r.max_distance <= r.buckets / 4 {
                return Err(Error::config(
                    format!("{at}.relative"),
                    "needs buckets divisible by 4 and a max_distance above a quarter of them",
                ));
            }
        }
        if let Some(init) = self.layer_scale.filter(|v| !(-1e6..=1e6).contains(v)) {
            return Err(Error::config(
                format!("{at}.layer_scale"),
                format!("expected -1000000 to 1000000, found {init}"),
            ));
        }
        probability(&format!("{at}.dropout"), self.dropout)?;
        probability(&format!("{at}.drop_path"), self.drop_path)
    }

    /// Hidden width of the feed-forward part.
    pub fn hidden(&self) -> i64 {
        ((self.width as f64 * self.mlp_ratio).round() as i64).max(1)
    }
}

fn nearest_divisor(n: i64, near: i64) -> i64 {
    (1..=n).filter(|d| n % d == 0).min_by_key(|d| (d - near).abs()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_told_by_its_key() {
        let good = TransformerConfig::new(12, 2, 4);
        good.validate("t").unwrap();
        let rotary = |base, share| Some(RotaryConfig { base, share, learned: false });
        for (config, told) in [
            (TransformerConfig { heads: 5, ..good.clone() }, "t.heads: 5 does not divide width 12"),
            (
                TransformerConfig { kv_heads: Some(3), ..good.clone() },
                "t.kv_heads: 3 does not divide heads 4",
            ),
            (TransformerConfig { kv_heads: Some(0), ..good.clone() }, "t.kv_heads: 0"),
            (TransformerConfig { rotary: rotary(1e4, 0.5), ..good.clone() }, "at least 2 of the 3 features"),
            (TransformerConfig { rotary: rotary(1e4, f64::NAN), ..good.clone() }, "t.rotary.share"),
            (TransformerConfig { rotary: rotary(0.5, 1.0), ..good.clone() }, "t.rotary.base"),
            (TransformerConfig { drop_path: 1.0, ..good.clone() }, "t.drop_path: expected a probability"),
            (TransformerConfig { norm_eps: 0.0, ..good.clone() }, "t.norm_eps"),
            (TransformerConfig { mlp_ratio: 65.0, ..good.clone() }, "t.mlp_ratio"),
            (TransformerConfig { depth: 1025, ..good.clone() }, "t.depth"),
        ] {
            let e = config.validate("t").unwrap_err().to_string();
            assert!(e.contains(told), "{e}: {told}");
        }
        for kv_heads in [1, 2, 4] {
            TransformerConfig { kv_heads: Some(kv_heads), rotary: rotary(1e6, 1.0), ..good.clone() }
                .validate("t")
                .unwrap();
        }
    }
}
