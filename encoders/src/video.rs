//! The video tower: the vectors of a clip's frames, and of its audio, become one vector of the shared space.

use crate::clips::{Clips, unit};
use crate::config::{AudioRule, FinalNorm, FramePooling, ModelConfig, TransformerConfig, VideoConfig};
use crate::prompts::Prompts;
use crate::{Error, Result};
use tch::{Kind, Tensor};
use unisono_nn::{Init, Linear, Norm, Pass, Positions, Precision, Scope, Transformer};

/// What is seen of some clips.
#[derive(Debug)]
pub struct ClipFrames<'a> {
    /// `[N, W]` pooled vectors of all frames.
    pub pooled: &'a Tensor,
    /// `[N, D]` projected vectors of all frames, of the length that the projection gives.
    pub vectors: &'a Tensor,
    /// Which frame is whose.
    pub clips: &'a Clips,
}

/// What is heard of those clips that have audio.
#[derive(Debug)]
pub struct ClipAudio {
    /// `[m, W]` pooled vectors of the audio files.
    pub pooled: Tensor,
    /// `[m, D]` unit vectors of the audio files.
    pub vectors: Tensor,
    /// The clip that each belongs to, ascending.
    pub rows: Vec<usize>,
}

/// Frames' vectors → one vector a clip.
#[derive(Debug)]
pub struct VideoTower {
    pooling: Pool,
    audio: Option<AudioRule>,
    prompts: Option<Prompts>,
}

#[derive(Debug)]
enum Pool {
    Mean,
    Temporal(Box<Temporal>),
    Integration { position: Positions, blocks: Blocks },
}

/// Blocks and the norm after them.
#[derive(Debug)]
struct Blocks {
    transformer: Transformer,
    norm: Option<Norm>,
}

impl Blocks {
    fn new(scope: &Scope, c: &TransformerConfig) -> Result<Self> {
        let norm = || Norm::of(&scope.child("norm"), c, c.width);
        Ok(Self {
            transformer: Transformer::new(scope, c)?,
            norm: if c.final_norm == FinalNorm::None { None } else { Some(norm()?) },
        })
    }

    /// `[n, T, W]`, `real` `[n, T]` bool.
    fn forward(&self, x: Tensor, real: Option<&Tensor>, pass: &Pass) -> Result<Tensor> {
        let mask = self.transformer.mask(x.size()[1], real)?;
        let x = self.transformer.forward(x, &mask, pass)?;
        match &self.norm {
            Some(norm) => Ok(norm.forward(&x)?),
            None => Ok(x),
        }
    }
}

#[derive(Debug)]
struct Temporal {
    embed: Linear,
    position: Positions,
    blocks: Blocks,
    out: Linear,
    /// The audio's way in, and what tells it from frames.
    audio: Option<(Linear, Tensor)>,
}

impl VideoTower {
    /// Builds the tower under `scope` for a model whose image and audio towers pool to vectors of these widths.
    ///
    /// # Errors
    /// The names are taken.
    pub(crate) fn new(scope: &Scope, c: &VideoConfig, model: &ModelConfig) -> Result<Self> {
        let std = |n: i64| (n as f64).powf(-0.5);
        let (dim, image) = (model.embed_dim, model.image_width());
        let pooling = match &c.pooling {
            FramePooling::Mean => Pool::Mean,
            FramePooling::Temporal { transformer: t } => Pool::Temporal(Box::new(Temporal {
                embed: Linear::new(&scope.child("embed"), image, t.width, true, std(image))?,
                position: Positions::new(scope, t, c.frames, 0.02)?,
                blocks: Blocks::new(scope, t)?,
                // Zero: an untrained tower is the mean.
                out: Linear::new(&scope.child("out"), t.width, dim, true, 0.0)?,
                audio: match c.audio {
                    Some(AudioRule::Token) => {
                        let scope = scope.child("audio");
                        let width = model.audio.as_ref().map_or(0, |a| a.out_width());
                        let embed = Linear::new(&scope.child("embed"), width, t.width, true, std(width))?;
                        Some((embed, scope.param("position", &[t.width], Init::Normal(0.02))?))
                    }
                    _ => None,
                },
            })),
            FramePooling::Integration { transformer: t } => Pool::Integration {
                position: Positions::new(scope, t, c.frames, 0.02)?,
                blocks: Blocks::new(scope, t)?,
            },
        };
        let prompts = c.prompts.as_ref().map(|p| Prompts::new(&scope.child("prompts"), p, image, dim));
        Ok(Self { pooling, audio: c.audio, prompts: prompts.transpose()? })
    }

    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        match &mut self.pooling {
            Pool::Mean => Ok(()),
            Pool::Temporal(t) => {
                let audio = t.audio.as_mut().map(|(embed, _)| embed);
                for layer in [&mut t.embed, &mut t.out].into_iter().chain(audio) {
                    layer.prepare_beside(precision)?;
                }
                Ok(t.blocks.transformer.prepare(precision)?)
            }
            Pool::Integration { blocks, .. } => Ok(blocks.transformer.prepare(precision)?),
        }
    }

    /// What lets texts look at a video, if the model has it.
    pub(crate) fn prompts(&self) -> Option<&Prompts> {
        self.prompts.as_ref()
    }

    /// One vector `[n, D]` a clip, of length 1 or less where the frames' vectors were.
    ///
    /// # Errors
    /// More frames than the tower has positions for, or libtorch's.
    pub fn forward(&self, seen: &ClipFrames, heard: Option<&ClipAudio>, pass: &Pass) -> Result<Tensor> {
        let clips = seen.clips;
        let (n, f) = clips.sizes();
        let placed = |positions: &Positions, x: Tensor| {
            let most = positions.places();
            if f > most {
                return Err(Error::Input(format!("a video of {f} frames, this tower takes at most {most}")));
            }
            Ok(positions.forward(x, 0)?)
        };
        let pooled = match &self.pooling {
            Pool::Mean => clips.mean(&clips.rows(&unit(seen.vectors)?)?)?,
            Pool::Temporal(t) => {
                let mut x = placed(&t.position, clips.rows(&t.embed.forward(seen.pooled)?)?)?;
                let mut real = clips.real().map(Tensor::shallow_clone);
                if let (Some((embed, position)), Some(heard)) = (&t.audio, heard) {
                    let token = embed.forward(&heard.pooled)?.f_add(position)?;
                    let at = index(&heard.rows, x.device())?;
                    let tokens = x.f_new_zeros([n, token.size()[1]], (token.kind(), x.device()))?;
                    x = Tensor::f_cat(&[x, tokens.f_index_copy(0, &at, &token)?.f_unsqueeze(1)?], 1)?;
                    if heard.rows.len() < n as usize || real.is_some() {
                        let frames = match real {
                            Some(real) => real,
                            None => Tensor::f_ones([n, f], (Kind::Bool, x.device()))?,
                        };
                        let has =
                            Tensor::f_zeros([n, 1], (Kind::Bool, x.device()))?.f_index_fill(0, &at, 1)?;
                        real = Some(Tensor::f_cat(&[frames, has], 1)?);
                    }
                }
                let said = t.out.forward(&t.blocks.forward(x, real.as_ref(), pass)?.f_narrow(1, 0, f)?)?;
                clips.mean(&unit(&clips.rows(&unit(seen.vectors)?)?.f_add(&said)?)?)?
            }
            Pool::Integration { position, blocks } => {
                let x = clips.rows(seen.vectors)?;
                let said = blocks.forward(placed(position, x.shallow_clone())?, clips.real(), pass)?;
                clips.mean(&said.f_add(&x)?)?
            }
        };
        let Some(AudioRule::Mean { weight }) = self.audio else { return Ok(pooled) };
        let seen = unit(&pooled)?;
        let Some(heard) = heard.filter(|h| !h.rows.is_empty()) else { return Ok(seen) };
        let at = index(&heard.rows, seen.device())?;
        let both = seen.f_index_select(0, &at)?.f_mul_scalar(1.0 - weight)?;
        let both = both.f_add(&heard.vectors.f_mul_scalar(weight)?)?;
        Ok(seen.f_index_copy(0, &at, &both)?)
    }
}

fn index(rows: &[usize], device: tch::Device) -> Result<Tensor> {
    let rows: Vec<i64> = rows.iter().map(|r| *r as i64).collect();
    Ok(Tensor::f_from_slice(&rows)?.f_to_device(device)?)
}
