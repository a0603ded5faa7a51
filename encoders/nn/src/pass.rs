//! What a forward pass depends on besides weights and inputs.

use crate::{Draws, Mode, Result};
use std::fmt;
use tch::{Kind, Tensor};

/// Told the name and the value of what blocks give, `image.blocks.3` and `[B, T, W]`.
pub type Trace<'a> = &'a dyn Fn(&str, &Tensor) -> Result<()>;

/// How a forward pass runs. [`Pass::EVAL`] is what inference takes.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// Training or evaluation.
    pub mode: Mode,
    /// The kind in which the large products of blocks are made, and what layers hand each other within attention and feed-forward part:
    /// `Float` or `BFloat16`. Weights, norms, softmax sums and the residual stream are single precision whatever it is. Absent: what the
    /// model was prepared for ([`Precision::compute`](crate::Precision::compute)), `Float` for one that was not.
    pub compute: Option<Kind>,
    /// What is drawn while training (dropout, stochastic depth, dropped tokens) is a function of the seed and the sample: passes by the same
    /// seed draw alike for a sample, in whatever batch it is. Absent: libtorch's generator goes on from where it is.
    pub draws: Option<Draws<'a>>,
    /// Activation checkpointing (Chen et al. 2016): blocks keep only what goes into them, and are run again when the backward pass comes
    /// to them. The same numbers, for memory that hardly grows with depth and a forward pass more.
    pub checkpoint: bool,
    /// Share of an image's patches that its tower does not see while training (FLIP, Li et al. 2023): drawn for each image; one is always left.
    pub patch_dropout: f64,
    /// Parts of like length that texts and audio files go through in: less padding, more calls.
    pub parts: usize,
    /// Spectrograms are padded to a multiple of so many frames: fewer distinct shapes let libtorch reuse its prepared kernels.
    pub frames: usize,
    /// Is told what every block gives.
    pub trace: Option<Trace<'a>>,
}

impl<'a> Pass<'a> {
    /// Deterministic, without a graph's draws, everything of a modality at once.
    pub const EVAL: Self = Self {
        mode: Mode::Eval,
        compute: None,
        draws: None,
        checkpoint: false,
        patch_dropout: 0.0,
        parts: 1,
        frames: 1,
        trace: None,
    };
    /// A training step's, by libtorch's generator.
    pub const TRAIN: Self = Self { mode: Mode::Train, ..Self::EVAL };

    /// This pass over some rows of its batch.
    #[must_use]
    pub fn over<'b>(&self, rows: &'b [u64]) -> Pass<'b>
    where
        'a: 'b,
    {
        let pass: Pass<'b> = *self;
        Pass { draws: pass.draws.map(|draws| Draws { rows, ..draws }), ..pass }
    }

    /// What some rows of its batch are known by where draws are a function of the sample; otherwise nothing.
    pub fn known(&self, rows: &[usize]) -> Vec<u64> {
        self.draws.map_or_else(Vec::new, |draws| draws.of(rows))
    }

    /// Whether anything is drawn and batch statistics are taken.
    pub fn trains(&self) -> bool {
        self.mode == Mode::Train
    }

    /// How many of so many patches a tower sees.
    pub fn seen(&self, patches: i64) -> i64 {
        if !self.trains() || self.patch_dropout <= 0.0 {
            return patches;
        }
        ((patches as f64 * (1.0 - self.patch_dropout)) as i64).max(1)
    }

    /// What layers hand each other within attention and feed-forward part.
    pub fn kind(&self) -> Kind {
        self.compute.unwrap_or(Kind::Float)
    }

    /// This pass through a model that was prepared for `kind`, where nothing else is asked for.
    #[must_use]
    pub fn or_in(self, kind: Kind) -> Self {
        Self { compute: self.compute.or(Some(kind)), ..self }
    }
}

impl From<Mode> for Pass<'_> {
    fn from(mode: Mode) -> Self {
        Self { mode, ..Self::EVAL }
    }
}

impl<'a> From<&Pass<'a>> for Pass<'a> {
    fn from(pass: &Pass<'a>) -> Self {
        *pass
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("mode", &self.mode)
            .field("compute", &self.compute)
            .field("draws", &self.draws)
            .field("checkpoint", &self.checkpoint)
            .field("patch_dropout", &self.patch_dropout)
            .field("parts", &self.parts)
            .field("frames", &self.frames)
            .field("trace", &self.trace.is_some())
            .finish()
    }
}
