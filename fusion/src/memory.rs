//! From towers' tokens to the memory that texts attend to.

use crate::config::MemoryConfig;
use crate::entrance::Sequence;
use crate::{CrossKv, Error, FusionModel, Result};
use tch::{Kind, Tensor};
use unisono_encoders::clips::{Clips, joined};
use unisono_encoders::{Input, Modality, Pass};
use unisono_nn::Linear;

impl FusionModel {
    /// Tower tokens one after another as a memory `[N, S, M]`, with its mask `[N, S]` where not all of it is real.
    ///
    /// # Errors
    /// A modality that the model does not take, different numbers of items, too many frames, or libtorch's.
    pub fn memory(&self, sequences: &[Sequence]) -> Result<(Tensor, Option<Tensor>)> {
        let mut parts = Vec::with_capacity(sequences.len());
        for s in sequences {
            parts.push(match &self.config.memory {
                MemoryConfig::Tower { modality, skip } => {
                    if *modality != s.modality {
                        return Err(Error::Shape(format!(
                            "this model attends to {modality}, not to {}",
                            s.modality
                        )));
                    }
                    let n = s.tokens.size3()?.1;
                    if *skip >= n {
                        return Err(Error::Shape(format!(
                            "memory.skip: expected less than the {n} tokens, found {skip}"
                        )));
                    }
                    s.tokens.f_narrow(1, *skip, n - skip)?
                }
                MemoryConfig::Own { modalities, .. } => match &self.prefix {
                    Some(prefix) => self.enter_by_vector(s, prefix, modalities)?,
                    None => self.enter(s)?,
                },
            });
        }
        let masked = sequences.iter().any(|s| s.mask.is_some());
        let mask = if masked {
            let one = |(s, x): (&Sequence, &Tensor)| -> Result<Tensor> {
                let (n, t, _) = x.size3()?;
                match &s.mask {
                    // A vector is one place, of which several tokens are made.
                    Some(m) if self.prefix.is_some() => Ok(m.f_expand([n, t], false)?),
                    Some(m) => Ok(m.f_narrow(1, m.size2()?.1 - t, t)?),
                    None => Ok(Tensor::f_ones([n, t], (Kind::Bool, x.device()))?),
                }
            };
            let masks = sequences.iter().zip(&parts).map(one).collect::<Result<Vec<_>>>()?;
            Some(Tensor::f_cat(&masks, 1)?)
        } else {
            None
        };
        Ok((Tensor::f_cat(&parts, 1)?, mask))
    }

    /// Floating-point operations of [`memory`](Self::memory): what enters by a projection of its own.
    ///
    /// # Errors
    /// libtorch's.
    pub fn memory_flops(&self, sequences: &[Sequence]) -> Result<f64> {
        let MemoryConfig::Own { width, .. } = &self.config.memory else { return Ok(0.0) };
        let made =
            if let MemoryConfig::Own { prefix: made @ 1.., .. } = &self.config.memory { *made } else { 1 };
        let each = |s: &Sequence| {
            let (n, t, from) = s.tokens.size3()?;
            Ok(2.0 * (n * t * made) as f64 * (from * width) as f64)
        };
        sequences.iter().map(each).sum()
    }

    fn enter(&self, s: &Sequence) -> Result<Tensor> {
        let Some(entrance) = self.entrances.iter().find(|e| e.modality == s.modality) else {
            let takes: Vec<&str> = self.entrances.iter().map(|e| e.modality.name()).collect();
            return Err(Error::Shape(format!(
                "this model attends to {}, not to {}",
                takes.join(", "),
                s.modality
            )));
        };
        let entered = entrance.projection.forward(&s.tokens)?;
        Ok(match self.shift(s)? {
            Some(frame) => entered.f_add(&entrance.kind.f_add(&frame)?)?,
            None => entered.f_add(&entrance.kind)?,
        })
    }

    /// Vectors `[N, 1, D]` of the shared space, made tokens `[N, P, M]`.
    fn enter_by_vector(&self, s: &Sequence, prefix: &Linear, takes: &[Modality]) -> Result<Tensor> {
        let (n, t, d) = s.tokens.size3()?;
        if !takes.contains(&s.modality) {
            let takes: Vec<&str> = takes.iter().map(|m| m.name()).collect();
            let (takes, found) = (takes.join(", "), s.modality);
            return Err(Error::Shape(format!("this model attends to {takes}, not to {found}")));
        }
        let MemoryConfig::Own { width, prefix: made, .. } = &self.config.memory else {
            return Err(Error::Shape("a memory without a prefix".into()));
        };
        // The numbers of a unit vector are small: those that a layer expects are of about one.
        let of = s.tokens.f_mul_scalar((d as f64).sqrt())?;
        let entered = prefix.forward(&of)?.f_view([n, t * made, *width])?;
        Ok(match self.shift(s)? {
            Some(frame) => entered.f_add(&frame)?,
            None => entered,
        })
    }

    /// What tells a frame of a video from the others, `[W]`; `None`: there are only images.
    fn shift(&self, s: &Sequence) -> Result<Option<Tensor>> {
        let Some(frames) = &self.frames else { return Ok(None) };
        let most = frames.size()[0];
        if s.frame >= most {
            return Err(Error::Shape(format!("frame {} of a video, this model takes {most}", s.frame + 1)));
        }
        Ok(Some(frames.f_select(0, s.frame)?))
    }

    /// Images from the image processor → the sequence of their tokens, without a graph; those of several shapes are padded and masked.
    ///
    /// # Errors
    /// No image tower, another size, or libtorch's.
    pub fn encode_images(&self, prepared: &[image::RgbImage]) -> Result<Sequence> {
        self.tokens(prepared.iter().map(Input::Image))
    }

    /// The tokens of inputs of one modality that is no video, without a graph.
    fn tokens<'a>(&self, inputs: impl Iterator<Item = Input<'a>>) -> Result<Sequence> {
        if self.prefix.is_some() {
            let inputs: Vec<Input> = inputs.collect();
            let modality = inputs.first().map(Input::modality);
            let modality = modality.ok_or_else(|| Error::Shape("nothing to attend to".into()))?;
            let tokens = self.towers.embed(inputs, true)?.f_unsqueeze(1)?;
            return Ok(Sequence { modality, tokens, mask: None, frame: 0 });
        }
        let features = tch::no_grad(|| self.towers.features(inputs, &Pass::EVAL))?;
        let of = features.towers.into_iter().next();
        let found = of.and_then(|(modality, of)| Some((modality, of.tokens.into_iter().next()?)));
        let (modality, (tokens, mask)) = found.ok_or_else(|| Error::Shape("nothing to attend to".into()))?;
        Ok(Sequence { modality, tokens, mask, frame: 0 })
    }

    /// Most frames of a video that its memory tells apart; a memory of a tower's own tokens has no such bound, and takes up to 64.
    pub fn most_frames(&self) -> usize {
        match &self.config.memory {
            MemoryConfig::Tower { .. } => 64,
            MemoryConfig::Own { frames, .. } => usize::try_from(*frames).unwrap_or(1).max(1),
        }
    }

    /// Frames of videos from the image processor → a sequence of tokens for each frame, without a graph. Where a video has fewer frames
    /// than another, its places are masked.
    ///
    /// # Errors
    /// A video without a frame, no image tower, another size, or libtorch's.
    pub fn encode_videos(&self, videos: &[Vec<image::RgbImage>]) -> Result<Vec<Sequence>> {
        if videos.is_empty() || videos.iter().any(Vec::is_empty) {
            return Err(Error::Shape("a video without a frame".into()));
        }
        let mut seen = Vec::new();
        // One at a time: memory does not grow with their number.
        for video in videos {
            let whole = self.prefix.is_none();
            let (frames, _) =
                tch::no_grad(|| self.towers.encode_frames(&[video.as_slice()], &Pass::EVAL, whole))?;
            if whole {
                seen.extend(frames.tokens);
            } else {
                let vectors = tch::no_grad(|| self.towers.project(Modality::Image, &frames.pooled))?;
                seen.push((vectors.f_unsqueeze(1)?, None));
            }
        }
        let (tokens, mask) = joined(&seen)?;
        let counts: Vec<usize> = videos.iter().map(Vec::len).collect();
        let frames = Clips::new(&counts, tokens.device())?.tokens(&tokens, mask.as_ref())?;
        let one = |(frame, (tokens, mask))| Sequence {
            modality: Modality::Image,
            tokens,
            mask,
            frame: frame as i64,
        };
        Ok((0usize..).zip(frames).map(one).collect())
    }

    /// Log-mel spectrograms `[T_i, M]` from the audio processor → the sequence of their tokens, without a graph.
    ///
    /// # Errors
    /// No audio tower, or libtorch's.
    pub fn encode_audio<S: AsRef<[f32]>>(&self, mels: &[S]) -> Result<Sequence> {
        self.tokens(mels.iter().map(|mel| Input::Audio(mel.as_ref())))
    }

    /// A memory as the writer sees it, without a graph.
    ///
    /// # Errors
    /// As [`memory`](Self::memory), or no stack that writes.
    pub fn cross_kv(&self, sequences: &[Sequence]) -> Result<CrossKv> {
        let writer =
            self.decoder.as_ref().ok_or_else(|| Error::Config("the model writes no texts".into()))?;
        tch::no_grad(|| {
            let (memory, mask) = self.memory(sequences)?;
            writer.cross_kv(&memory, mask.as_ref(), Pass::EVAL)
        })
    }
}
