//! A stack's sizes, and how much arithmetic it asks for.

use crate::bounds::{VOCABULARY, range};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use unisono_nn::config::{CrossConfig, CrossPlace, FinalNorm, TransformerConfig, within};

/// A stack of blocks over a text, with cross-attention into a memory of other modalities' tokens.
///
/// `transformer` says width, depth, norms and activation of the blocks; `transformer.input_norm` is a norm over the embeddings (BERT's),
/// `transformer.causal` that a token never sees what comes after it; without it, whoever runs the stack says what is seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackConfig {
    /// Rows of the token embedding.
    pub vocab_size: i64,
    /// Rows of the position embedding: the longest text, in tokens.
    pub context_length: i64,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Width of the memory's tokens; absent: no cross-attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_width: Option<i64>,
    /// Where the cross-attention stands.
    #[serde(default)]
    pub cross: CrossPlace,
    /// Blocks at the bottom that have none: over text alone (CoCa's unimodal decoder).
    #[serde(default)]
    pub unimodal: i64,
    /// From the last block to next-token scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<LanguageHead>,
}

/// From the last block to next-token scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LanguageHead {
    /// The token embedding's rows, transposed.
    Tied,
    /// A linear layer, the blocks' activation and a norm before them, and a bias (BERT).
    Transform,
    /// A matrix of its own.
    Own,
}

impl StackConfig {
    /// The default stack of this project: pre-norm, tied head, cross-attention inside every block.
    pub fn new(vocab_size: i64, context_length: i64, transformer: TransformerConfig, memory: i64) -> Self {
        Self {
            vocab_size,
            context_length,
            transformer,
            memory_width: Some(memory),
            cross: CrossPlace::Inside,
            unimodal: 0,
            head: Some(LanguageHead::Tied),
        }
    }

    /// The memory that its blocks attend to.
    pub(crate) fn memory(&self) -> Option<CrossConfig> {
        self.memory_width.map(|width| CrossConfig { width, place: self.cross, first: self.unimodal })
    }

    /// Refuses sizes that no stack can have; `at`: the key of this table.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self, at: &str) -> Result<()> {
        let t = &self.transformer;
        within(&format!("{at}.vocab_size"), self.vocab_size, VOCABULARY)?;
        within(&format!("{at}.context_length"), self.context_length, 1 << 20)?;
        t.validate(&format!("{at}.transformer"))?;
        within(&format!("{at}.transformer.depth"), t.depth, 512)?;
        if let Some(width) = self.memory_width {
            within(&format!("{at}.memory_width"), width, 1 << 16)?;
        }
        range(&format!("{at}.unimodal"), self.unimodal, 0, t.depth)?;
        let unheeded = [
            ("relative", t.relative.is_some(), "a stack tells places by position embeddings or rotary"),
            ("messages", t.messages, "it belongs to an image tower"),
            (
                "final_norm",
                t.final_norm == FinalNorm::Pooled,
                "a stack pools nothing: expected tokens or none",
            ),
        ];
        match unheeded.iter().find(|(_, set, _)| *set) {
            Some((key, _, why)) => Err(Error::Config(format!("{at}.transformer.{key}: {why}"))),
            None => Ok(()),
        }
    }
}

/// Floating-point operations of a forward pass, two a multiply-add, as the towers count them: norms and activations are left out.
impl StackConfig {
    /// Of a text of `t` tokens that attends to a memory of `s`, padding included: the blocks, without the memory's keys and values and
    /// without the language head.
    pub fn flops(&self, t: i64, s: i64) -> f64 {
        let c = &self.transformer;
        let (width, tokens) = (c.width as f64, t as f64);
        // Queries and what is made of the answers; scores and sums over the memory.
        let attention = 2.0 * tokens * 2.0 * width * width + 4.0 * tokens * s as f64 * width;
        let feed_forward = match self.cross {
            CrossPlace::Inside => 0.0,
            CrossPlace::After => 2.0 * tokens * if c.gated { 3.0 } else { 2.0 } * width * c.hidden() as f64,
        };
        c.flops(t) + self.attending() * (attention + feed_forward)
    }

    /// Of the keys and values of one memory of `s` tokens, which are made once for all texts about it.
    pub fn memory_flops(&self, s: i64) -> f64 {
        let c = &self.transformer;
        let keys = (c.width / c.heads * c.kv_heads.unwrap_or(c.heads)) as f64;
        self.attending() * 2.0 * s as f64 * self.memory_width.unwrap_or(0) as f64 * 2.0 * keys
    }

    /// Of the next-token scores of `rows` tokens.
    pub fn score_flops(&self, rows: i64) -> f64 {
        let (rows, width) = (rows as f64, self.transformer.width as f64);
        let scores = 2.0 * rows * width * self.vocab_size as f64;
        match self.head {
            None => 0.0,
            Some(LanguageHead::Tied | LanguageHead::Own) => scores,
            Some(LanguageHead::Transform) => scores + 2.0 * rows * width * width,
        }
    }

    /// Blocks that attend to a memory.
    fn attending(&self) -> f64 {
        self.memory_width.map_or(0, |_| self.transformer.depth - self.unimodal) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stack;
    use tch::Device;
    use unisono_nn::Scope;

    /// A key that a stack cannot follow is told, not passed over.
    #[test]
    fn keys_that_are_not_honoured_are_refused() {
        let stack = |key: &str| -> Result<()> {
            let text = format!(
                r#"{{"vocab_size": 9, "context_length": 4, "transformer": {{"width": 8, "depth": 1, "heads": 2, {key}}}}}"#
            );
            serde_json::from_str::<StackConfig>(&text).unwrap().validate("decoder")
        };
        for (key, told) in [
            (r#""messages": true"#, "decoder.transformer.messages: it belongs to an image tower"),
            (r#""final_norm": "pooled""#, "decoder.transformer.final_norm: a stack pools nothing"),
            (r#""relative": {"buckets": 8, "max_distance": 16}"#, "decoder.transformer.relative: a stack"),
        ] {
            let e = stack(key).unwrap_err().to_string();
            assert!(e.contains(told), "{e}");
        }
        for key in [r#""causal": true"#, r#""drop_path": 0.1"#, r#""layer_scale": 0.1"#, r#""rotary": {}"#] {
            stack(key).unwrap();
        }
    }

    fn small() -> StackConfig {
        let transformer = TransformerConfig { mlp_ratio: 2.0, ..TransformerConfig::new(8, 3, 4) };
        StackConfig { unimodal: 1, ..StackConfig::new(11, 16, transformer, 6) }
    }

    /// Product by product, by hand: five tokens of width 8, a memory of seven of width 6, three blocks of which two attend to it.
    #[test]
    fn operations_are_those_of_the_products() {
        let c = small();
        let own = 2.0 * 5.0 * (3.0 * 64.0 + 64.0 + 2.0 * 8.0 * 16.0) + 2.0 * (2.0 * 25.0 * 8.0);
        let cross = 2.0 * 5.0 * (64.0 + 64.0) + 2.0 * (2.0 * 35.0 * 8.0);
        assert_eq!(c.flops(5, 7), 3.0 * own + 2.0 * cross);
        assert_eq!(c.memory_flops(7), 2.0 * (2.0 * 7.0 * 6.0 * 16.0));
        assert_eq!(c.score_flops(5), 2.0 * 5.0 * 8.0 * 11.0);
        let bert = StackConfig { head: Some(LanguageHead::Transform), ..c.clone() };
        assert_eq!(bert.score_flops(5), 2.0 * 5.0 * (8.0 * 11.0 + 64.0));
        let coca = StackConfig { cross: CrossPlace::After, ..c.clone() };
        assert_eq!(coca.flops(5, 7), c.flops(5, 7) + 2.0 * (2.0 * 5.0 * 2.0 * 8.0 * 16.0));
        let alone = StackConfig { memory_width: None, head: None, ..c };
        assert_eq!([alone.flops(5, 7), alone.memory_flops(7), alone.score_flops(5)], [3.0 * own, 0.0, 0.0]);
    }

    /// Another count: every matrix that a stack has, by the rows that go through it, and attention's two products.
    #[test]
    fn operations_are_those_of_the_parameters() {
        let modern = |c: StackConfig| StackConfig {
            transformer: TransformerConfig { kv_heads: Some(2), gated: true, ..c.transformer.clone() },
            ..c
        };
        for c in [
            small(),
            modern(small()),
            modern(StackConfig { cross: CrossPlace::After, ..small() }),
            StackConfig { memory_width: None, ..small() },
        ] {
            let (t, s) = (5.0, 7.0);
            let root = Scope::root(1, Device::Cpu);
            Stack::new(&root, &c).unwrap();
            let (mut texts, mut memory) = (0.0, 0.0);
            for (name, param) in root.finish().iter().filter(|(n, _)| n.contains("blocks.")) {
                let numbers = 2.0 * param.tensor.numel() as f64;
                match param.tensor.dim() {
                    2 if name.ends_with("cross.kv.weight") => memory += numbers * s,
                    2 => texts += numbers * t,
                    _ => {}
                }
                texts += match name {
                    n if n.ends_with("cross.q.weight") => 4.0 * t * s * 8.0,
                    n if n.ends_with("attention.qkv.weight") => 4.0 * t * t * 8.0,
                    _ => 0.0,
                };
            }
            assert_eq!((c.flops(5, 7), c.memory_flops(7)), (texts, memory), "{c:?}");
        }
    }
}
