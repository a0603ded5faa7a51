//! The text tower.

use crate::config::{ClassToken, Pooling, TextConfig};
use crate::modules::Modules;
use crate::pool::Head;
use crate::towers::TowerOutput;
use crate::{Error, Result};
use tch::{Kind, Tensor};
use unisono_nn::draws::place;
use unisono_nn::{Init, Mask, Pass, Positions, Precision, Scope, Transformer};

/// Token ids → tokens.
#[derive(Debug)]
pub struct TextTower {
    embedding: Tensor,
    position: Positions,
    class: Option<(Tensor, ClassToken)>,
    transformer: Transformer,
    head: Head,
    modules: Modules,
    pooling: Pooling,
    include_prompt: bool,
    causal: bool,
    token_dropout: f64,
}

impl TextTower {
    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.head.prepare(precision)?;
        self.modules.prepare(precision)?;
        Ok(self.transformer.prepare(precision)?)
    }

    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &TextConfig) -> Result<Self> {
        let width = c.transformer.width;
        // The class token has the position after the last token's.
        let rows = c.context_length + i64::from(c.class_token.is_some());
        Ok(Self {
            // From random weights a table of the size of its own updates (0.02, as for large corpora) costs most of a short
            // training: words start alike and stay so. The ratio to the positions is kept.
            embedding: scope.param("embedding.weight", &[c.vocab_size, width], Init::Normal(0.5))?,
            position: match c.positions {
                true => Positions::new(scope, &c.transformer, rows, 0.1)?,
                false => Positions::none(rows),
            },
            class: match c.class_token {
                Some(token) => Some((scope.param("class", &[width], Init::Normal(0.1))?, token)),
                None => None,
            },
            transformer: Transformer::new(scope, &c.transformer)?,
            head: Head::new(scope, &c.transformer, &c.pooling, 0, c.pooler)?,
            modules: Modules::new(&scope.child("modules"), &c.modules, c.pooling.out_width(width))?,
            pooling: c.pooling.clone(),
            include_prompt: c.include_prompt,
            causal: c.transformer.causal,
            token_dropout: c.token_dropout,
        })
    }

    /// Every text begins with a prompt of so many tokens from here on.
    pub(crate) fn set_prompt(&mut self, tokens: i64) {
        self.head.leave_out(if self.include_prompt { 0 } else { tokens });
    }

    /// `ids` `[B, T]` int64, `mask` `[B, T]` bool with at least one real token a row, padding at its end; T ≤ context length.
    ///
    /// # Errors
    /// T beyond the context length, or libtorch's.
    pub fn forward(&self, ids: &Tensor, mask: &Tensor, pass: &Pass) -> Result<TowerOutput> {
        self.forward_with(ids, mask, None, pass)
    }

    /// [`forward`](Self::forward); `more` `[B, T, W]` is added to the tokens' embeddings.
    pub(crate) fn forward_with(
        &self,
        ids: &Tensor,
        mask: &Tensor,
        more: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<TowerOutput> {
        let (_, t) = ids.size2()?;
        let context = self.position.places() - i64::from(self.class.is_some());
        if t > context {
            return Err(Error::Input(format!("text of {t} tokens, the context length is {context}")));
        }
        if let Some((class, token)) = &self.class {
            return self.with_class(class, *token, ids, pass);
        }
        let x = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
        let x = match more {
            Some(more) => x.f_add(more)?,
            None => x,
        };
        let x = self.position.forward(x, 0)?;
        let mask = self.thin(mask, pass)?;
        // Padding stands at the end, where no token before it looks; holes in the middle need the mask itself.
        let whole = !pass.trains() || self.token_dropout == 0.0;
        let keys = if self.causal && whole { None } else { Some(&mask) };
        let x = self.transformer.forward(x, &self.transformer.mask(t, keys)?, pass)?;
        let at = match self.pooling {
            Pooling::Highest => Some(ids.f_argmax(1, false)?),
            Pooling::End(token) => Some(ids.f_eq(token)?.f_to_kind(Kind::Int)?.f_argmax(1, false)?),
            _ => None,
        };
        let (tokens, pooled) = self.head.forward(x, Some(&mask), at.as_ref())?;
        Ok(TowerOutput { tokens, mask: Some(mask), pooled: self.modules.forward(pooled)?, written: None })
    }

    /// Ids padded to the context length, the class token after them.
    fn with_class(
        &self,
        class: &Tensor,
        token: ClassToken,
        ids: &Tensor,
        pass: &Pass,
    ) -> Result<TowerOutput> {
        let (b, t) = ids.size2()?;
        let context = self.position.places() - 1;
        let ids = ids.f_constant_pad_nd([0, context - t])?;
        let padding = Tensor::f_arange(context, (Kind::Int64, ids.device()))?.f_ge(t)?.f_unsqueeze(0)?;
        let ids = ids.f_masked_fill(&padding, token.pad as f64)?;
        let x = Tensor::f_embedding(&self.embedding, &ids, -1, false, false)?;
        let class = class.f_view([1, 1, -1])?.f_expand([b, 1, class.size()[0]], false)?;
        let x = self.position.forward(Tensor::f_cat(&[x, class], 1)?, 0)?;
        let real = ids.f_ne(token.pad)?; // [B, context]
        let seen = real.f_constant_pad_nd(if token.shifted { [1, 0] } else { [0, 1] })?;
        let alone = seen.f_narrow(1, if token.shifted { 0 } else { context }, 1)?;
        let _ = alone.shallow_clone().f_fill_(1)?;
        let n = context + 1;
        let before = Tensor::f_ones([n, n], (Kind::Bool, ids.device()))?.f_tril(0)?;
        let pairs = before.f_unsqueeze(0)?.f_repeat([b, 1, 1])?;
        pairs.f_select(1, context)?.f_copy_(&seen)?;
        let x = self.transformer.forward(x, &Mask::Pairs(pairs.f_unsqueeze(1)?), pass)?;
        let (tokens, pooled) = self.head.forward(x, None, None)?;
        let pooled = self.modules.forward(pooled)?;
        let own = Tensor::f_ones([b, 1], (Kind::Bool, ids.device()))?;
        Ok(TowerOutput { tokens, mask: Some(Tensor::f_cat(&[real, own], 1)?), pooled, written: None })
    }

    /// Drops tokens while training; a row never loses its first token, so none becomes empty.
    fn thin(&self, mask: &Tensor, pass: &Pass) -> Result<Tensor> {
        if !pass.trains() || self.token_dropout == 0.0 {
            return Ok(mask.shallow_clone());
        }
        let keep = match pass.draws {
            Some(draws) => {
                draws.kept(place("tokens"), &mask.size(), self.token_dropout, mask.device())?.f_gt(0.0)?
            }
            None => Tensor::f_rand(mask.size(), (Kind::Float, mask.device()))?.f_ge(self.token_dropout)?,
        };
        let _ = keep.f_narrow(1, 0, 1)?.f_fill_(1)?;
        Ok(mask.f_logical_and(&keep)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RotaryConfig, TransformerConfig};
    use tch::Device;

    fn tower(rotary: Option<RotaryConfig>, class: bool) -> (TextTower, Vec<String>) {
        let config = TextConfig {
            class_token: class.then_some(ClassToken { pad: 0, shifted: false }),
            ..TextConfig::new(11, 6, TransformerConfig { rotary, ..TransformerConfig::new(8, 2, 2) })
        };
        let root = Scope::root(2, Device::Cpu);
        let tower = TextTower::new(&root, &config).unwrap();
        (tower, root.finish().iter().map(|(n, _)| n.to_owned()).collect())
    }

    fn run(tower: &TextTower, ids: &[i64]) -> Result<Tensor> {
        let ids = Tensor::from_slice(ids).unsqueeze(0);
        let mask = ids.ones_like().to_kind(Kind::Bool);
        tch::no_grad(|| Ok(tower.forward(&ids, &mask, &Pass::EVAL)?.pooled))
    }

    #[test]
    fn rotary_towers_learn_no_positions_unless_they_say_so() {
        let learned = RotaryConfig { learned: true, ..RotaryConfig::default() };
        for class in [false, true] {
            for (rotary, has) in [(None, true), (Some(RotaryConfig::default()), false), (Some(learned), true)]
            {
                let (tower, names) = tower(rotary, class);
                assert_eq!(names.iter().any(|n| n == "position.weight"), has, "{rotary:?}");
                // Places count all the same: a mean over tokens that see no places would not know their order.
                let (a, b) = (run(&tower, &[3, 5, 7, 2]).unwrap(), run(&tower, &[7, 5, 3, 2]).unwrap());
                assert!((a - b).abs().max().double_value(&[]) > 1e-4, "{rotary:?}");
                let e = run(&tower, &[1; 7]).unwrap_err().to_string();
                assert!(e.contains("text of 7 tokens, the context length is 6"), "{e}");
            }
        }
    }
}
