//! The block: attention, cross-attention where there is a memory, and the feed-forward part, each a residual branch.

use crate::config::{CrossConfig, CrossPlace, NormPlace, TransformerConfig};
use crate::draws::place;
use crate::messages::Messages;
use crate::{
    Attention, AttentionConfig, Init, KeyValues, KvCache, Mask, Mlp, Norm, Pass, Precision, Result, Rotation,
    Scope, onednn,
};
use tch::{Kind, Tensor};

/// One block of a Transformer.
#[derive(Debug)]
pub struct Block {
    attention: Attention,
    mlp: Mlp,
    branches: [Branch; 2],
    messages: Option<Messages>,
    cross: Option<Cross>,
    rules: Rules,
}

/// What a residual branch has of its own besides its layers.
#[derive(Debug)]
struct Branch {
    norm: Norm,
    scale: Option<Tensor>,
    /// Where it draws.
    place: u64,
}

impl Branch {
    fn new(scope: &Scope, c: &TransformerConfig, norm: &str, scale: &str) -> Result<Self> {
        Ok(Self {
            norm: Norm::of(&scope.child(norm), c, c.width)?,
            scale: match c.layer_scale {
                Some(value) => Some(scope.param(scale, &[c.width], Init::Const(value))?),
                None => None,
            },
            place: place(&format!("{}.{norm}", scope.name())),
        })
    }
}

/// Attention to a memory.
#[derive(Debug)]
struct Cross {
    branch: Branch,
    attention: Attention,
    /// With a norm over the memory and a feed-forward part of its own.
    own: Option<(Norm, Branch, Mlp)>,
}

/// How a branch joins the stream.
#[derive(Debug)]
struct Rules {
    place: NormPlace,
    dropout: f64,
    drop_path: f64,
}

/// What the last layer of a branch adds to what it makes.
type Onto<'a> = Option<&'a Tensor>;

/// What a block's forward pass is given besides its tokens.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub mask: &'a Mask,
    pub rotation: Option<&'a Rotation>,
    /// Frames of a clip, one after another in the batch, for blocks with messages.
    pub frames: i64,
    /// Keys and values of a memory, and what of it is real.
    pub memory: Option<(&'a KeyValues, Option<&'a Tensor>)>,
    pub cache: Option<&'a mut KvCache>,
}

impl Block {
    /// Block `index` of a stack of `c`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &TransformerConfig, index: i64) -> Result<Self> {
        Self::build(scope, c, index, 2.0, None)
    }

    /// [`new`](Self::new) for a stack that may attend to a memory.
    ///
    /// # Errors
    /// The names are taken.
    pub(crate) fn with_memory(
        scope: &Scope,
        c: &TransformerConfig,
        index: i64,
        cross: Option<&CrossConfig>,
    ) -> Result<Self> {
        Self::build(scope, c, index, 3.0, cross.filter(|cross| index >= cross.first))
    }

    fn build(
        scope: &Scope,
        c: &TransformerConfig,
        index: i64,
        branches: f64,
        cross: Option<&CrossConfig>,
    ) -> Result<Self> {
        // Residual branches start small so that a deep stack starts near the identity (GPT-2's rule).
        let out_std = (c.width as f64).powf(-0.5) * (branches * c.depth as f64).powf(-0.5);
        let attention = AttentionConfig::of(c, out_std);
        Ok(Self {
            attention: Attention::new(&scope.child("attention"), &attention)?,
            mlp: Mlp::new(&scope.child("mlp"), c, out_std)?,
            branches: [Branch::new(scope, c, "norm1", "scale1")?, Branch::new(scope, c, "norm2", "scale2")?],
            messages: match c.messages {
                true => Some(Messages::new(&scope.child("message"), c)?),
                false => None,
            },
            cross: cross.map(|cross| Cross::new(&scope.child("cross"), c, cross, &attention)).transpose()?,
            rules: Rules {
                place: c.norm,
                dropout: c.dropout,
                drop_path: if c.depth > 1 {
                    c.drop_path * index as f64 / (c.depth - 1) as f64
                } else {
                    c.drop_path
                },
            },
        })
    }

    /// Packs the weights for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.attention.prepare(precision)?;
        self.mlp.prepare(precision)?;
        if let Some(cross) = &mut self.cross {
            cross.attention.prepare(precision)?;
            if let Some((_, _, mlp)) = &mut cross.own {
                mlp.prepare(precision)?;
            }
        }
        match &mut self.messages {
            Some(messages) => messages.prepare(precision),
            None => Ok(()),
        }
    }

    /// Its self-attention.
    pub(crate) fn attention(&self) -> &Attention {
        &self.attention
    }

    /// The keys and values of a memory; `None` for a block without cross-attention.
    pub(crate) fn cross_kv(&self, memory: &Tensor, pass: &Pass) -> Result<Option<KeyValues>> {
        let Some(cross) = &self.cross else { return Ok(None) };
        match &cross.own {
            Some((norm, _, _)) => cross.attention.cross_kv(&norm.forward(memory)?, pass).map(Some),
            None => cross.attention.cross_kv(memory, pass).map(Some),
        }
    }

    /// Whether it attends to a memory.
    pub(crate) fn has_cross(&self) -> bool {
        self.cross.is_some()
    }

    /// `[B, T, W]` → `[B, T, W]`.
    pub(crate) fn forward(&self, x: Tensor, given: Given, pass: &Pass) -> Result<Tensor> {
        let Given { mask, rotation, frames, memory, cache } = given;
        let attend =
            |x: &Tensor, onto: Onto| self.attention.forward_onto(x, mask, rotation, cache, onto, pass);
        let Some(messages) = &self.messages else {
            return self.run(x, memory, pass, attend);
        };
        let t = x.size()[1];
        let x = Tensor::f_cat(&[&x, &messages.forward(&x, frames, pass)?], 1)?;
        let x = self.rules.add(x, &self.branches[0], pass, attend)?.f_narrow(1, 0, t)?;
        self.rules.add(x, &self.branches[1], pass, |x, onto| self.mlp.forward_onto(x, onto, pass))
    }

    /// The block with another way to its attention: `attend` is given the block's attention and the normed tokens, and gives tokens of
    /// their shape (HTS-AT cuts them into windows first).
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward_by(
        &self,
        x: Tensor,
        pass: &Pass,
        attend: impl FnOnce(&Attention, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        self.run(x, None, pass, |x, onto| onednn::added(attend(&self.attention, x)?, onto))
    }

    fn run(
        &self,
        x: Tensor,
        memory: Option<(&KeyValues, Option<&Tensor>)>,
        pass: &Pass,
        attend: impl FnOnce(&Tensor, Onto) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let rules = &self.rules;
        let mut x = rules.add(x, &self.branches[0], pass, attend)?;
        let cross = self.cross.as_ref().zip(memory);
        let look = |cross: &Cross, x: Tensor, (kv, mask): (&KeyValues, Option<&Tensor>)| {
            rules.add(x, &cross.branch, pass, |x, onto| cross.attention.cross_onto(x, kv, mask, onto, pass))
        };
        if let Some((cross, memory)) = cross
            && cross.own.is_none()
        {
            x = look(cross, x, memory)?;
        }
        x = rules.add(x, &self.branches[1], pass, |x, onto| self.mlp.forward_onto(x, onto, pass))?;
        if let Some((cross, memory)) = cross
            && let Some((_, branch, mlp)) = &cross.own
        {
            x = look(cross, x, memory)?;
            x = rules.add(x, branch, pass, |x, onto| mlp.forward_onto(x, onto, pass))?;
        }
        Ok(x)
    }
}

impl Cross {
    fn new(
        scope: &Scope,
        c: &TransformerConfig,
        cross: &CrossConfig,
        attention: &AttentionConfig,
    ) -> Result<Self> {
        Ok(Self {
            branch: Branch::new(scope, c, "norm", "scale1")?,
            attention: Attention::cross(scope, attention, cross.width)?,
            own: match cross.place {
                CrossPlace::Inside => None,
                CrossPlace::After => Some((
                    Norm::of(&scope.child("memory_norm"), c, cross.width)?,
                    Branch::new(scope, c, "norm2", "scale2")?,
                    Mlp::new(&scope.child("mlp"), c, attention.out_std)?,
                )),
            },
        })
    }
}

impl Rules {
    /// `x` and a branch over it, joined: scaled, and regularised while training. `layers` add what they are given to what they make.
    fn add(
        &self,
        x: Tensor,
        branch: &Branch,
        pass: &Pass,
        layers: impl FnOnce(&Tensor, Onto) -> Result<Tensor>,
    ) -> Result<Tensor> {
        // Where nothing is done to the branch, its last layer adds the sum.
        let onto = Some(&x).filter(|_| branch.scale.is_none() && !pass.trains());
        let y = match self.place {
            NormPlace::Pre => layers(&branch.norm.forward(&x)?, onto)?,
            NormPlace::Post => layers(&x, onto)?,
        };
        let y = match &branch.scale {
            Some(scale) => y.f_mul(scale)?,
            None => y,
        };
        let y = match onto {
            Some(_) => y,
            None => onednn::added(self.drop(y, branch.place, pass)?, Some(&x))?,
        };
        match self.place {
            NormPlace::Pre => Ok(y),
            NormPlace::Post => branch.norm.forward(&y),
        }
    }

    fn drop(&self, branch: Tensor, place: u64, pass: &Pass) -> Result<Tensor> {
        let mut branch = branch;
        if !pass.trains() {
            return Ok(branch);
        }
        if self.dropout > 0.0 {
            branch = match pass.draws {
                Some(draws) => {
                    branch.f_mul(&draws.kept(place, &branch.size(), self.dropout, branch.device())?)?
                }
                None => unisono_torch_ext::dropout(&branch, self.dropout)?,
            };
        }
        if self.drop_path > 0.0 {
            let (keep, each) = (1.0 - self.drop_path, [branch.size()[0], 1, 1]);
            let kept = match pass.draws {
                Some(draws) => draws.kept(!place, &each, self.drop_path, branch.device())?,
                None => {
                    let samples = Tensor::f_rand(each, (Kind::Float, branch.device()))?;
                    samples.f_lt(keep)?.f_to_kind(Kind::Float)?.f_div_scalar(keep)?
                }
            };
            branch = branch.f_mul(&kept)?;
        }
        Ok(branch)
    }
}
