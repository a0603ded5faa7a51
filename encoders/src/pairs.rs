//! Pairs of texts → how well they go together.

use crate::towers::Tower;
use crate::{Error, Modality, Model, Pass, Result, batch};
use tch::{Kind, Tensor};
use unisono_processors::Pair;

impl Model {
    /// Whether it compares texts with texts, and embeds none.
    pub fn compares_texts(&self) -> bool {
        self.classifier().is_some_and(|c| c.pair.is_some())
    }

    /// What a model that compares texts makes of pairs of them, in their order → `[N, K]`, without a graph.
    ///
    /// # Errors
    /// It compares none, no pair at all, a pair beyond the context length, or libtorch's.
    pub fn pair_logits(&self, pairs: &[Pair]) -> Result<Tensor> {
        let (config, head) = self.head()?;
        let Some(Tower::Text(tower)) = self.towers.get(&Modality::Text).filter(|_| config.pair.is_some())
        else {
            return Err(Error::Input("this model compares no texts: its head looks at single inputs".into()));
        };
        if pairs.is_empty() {
            return Err(Error::Input("no pair of texts to compare".into()));
        }
        let lists: Vec<&[i64]> = pairs.iter().map(|pair| pair.ids.as_slice()).collect();
        tch::no_grad(|| {
            let (ids, mask) = batch::token_ids(self.text_processor()?, &lists, self.device())?;
            let more = head.second().map(|vector| segments(pairs, vector, &ids)).transpose()?;
            let out = tower.forward_with(&ids, &mask, more.as_ref(), &self.pass(Pass::EVAL))?;
            self.class_logits_of(&out)
        })
    }
}

/// `vector` `[W]` where a token is of the second segment → `[B, T, W]`.
fn segments(pairs: &[Pair], vector: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let (_, t) = ids.size2()?;
    let mut second = Vec::with_capacity(ids.numel());
    for pair in pairs {
        let end = second.len() + usize::try_from(t).unwrap_or(0);
        second.extend(pair.second.iter().map(|second| f32::from(u8::from(*second))));
        second.resize(end, 0.0);
    }
    let second = Tensor::f_from_slice(&second)?.f_view([-1, t, 1])?.f_to_device(ids.device())?;
    Ok(second.f_to_kind(Kind::Float)?.f_mul(vector)?)
}
