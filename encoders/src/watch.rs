//! A model on videos: from frames, and sound where it listens, to vectors of the shared space.

use crate::clips::{Clips, unit};
use crate::model::inference;
use crate::towers::TowerOutput;
use crate::video::{Heard, Seen, VideoConfig};
use crate::{Error, Modality, Model, Pass, Result};
use image::RgbImage;
use std::borrow::Borrow;
use tch::Tensor;
use unisono_nn::Scope;
use unisono_processors::Contract;
use unisono_processors::prepare::Clip;

/// Frames that go through the image tower at once: memory does not grow with the number of videos.
const AT_ONCE: usize = 64;

impl Model {
    /// Frames of a clip that this model looks at; a clip with fewer shows all it has.
    pub fn frames(&self) -> usize {
        let frames = self.config().video.as_ref().map_or(VideoConfig::default().frames, |v| v.frames);
        usize::try_from(frames).unwrap_or(1).max(1)
    }

    /// Whether a clip's sound is a part of its vector.
    pub fn listens(&self) -> bool {
        self.config().video.as_ref().is_some_and(|v| v.sound.is_some())
    }

    /// How this model is fed, with the usual limits.
    pub fn contract(&self) -> Contract<'_> {
        Contract { frames: self.frames(), listens: self.listens(), ..Contract::new(self.processors()) }
    }

    /// Whether the tokens of a frame depend on the other frames of its clip: such frames go through
    /// [`forward_frames`](Self::forward_frames) together.
    pub fn mixes_frames(&self) -> bool {
        self.image_tower().is_ok_and(crate::towers::ImageTower::mixes_frames)
    }

    /// Videos as frames of any size → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No image tower, a video without a frame or with more than the tower takes, or libtorch's.
    pub fn embed_videos(&self, videos: &[Vec<RgbImage>]) -> Result<Tensor> {
        let processor = self.image_processor()?;
        let prepare = |frames: &Vec<RgbImage>| frames.iter().map(|f| processor.prepare(f)).collect();
        let prepared: Vec<Vec<RgbImage>> = videos.iter().map(prepare).collect();
        inference(|| self.project(Modality::Video, &self.pool_videos(&prepared)?))
    }

    /// Frames from the image processor → `[N, D]`, not of length 1, without a graph. No sound is heard.
    ///
    /// # Errors
    /// As [`embed_videos`](Self::embed_videos).
    pub fn pool_videos(&self, prepared: &[Vec<RgbImage>]) -> Result<Tensor> {
        let clips: Vec<Borrowed> = prepared.iter().map(|frames| (frames.as_slice(), None)).collect();
        self.pool(&clips)
    }

    /// Clips, with their sound where the model listens and they have any → `[N, D]`, not of length 1, without a graph.
    ///
    /// # Errors
    /// As [`embed_videos`](Self::embed_videos).
    pub fn pool_clips<C: Borrow<Clip>>(&self, clips: &[C]) -> Result<Tensor> {
        let clips: Vec<Borrowed> =
            clips.iter().map(Borrow::borrow).map(|c| (c.frames.as_slice(), c.sound.as_deref())).collect();
        self.pool(&clips)
    }

    fn pool(&self, all: &[Borrowed]) -> Result<Tensor> {
        let mut pooled = Vec::new();
        for part in parts(all) {
            let counts: Vec<usize> = part.iter().map(|(frames, _)| frames.len()).collect();
            let clips = Clips::new(&counts, self.device())?;
            let flat: Vec<RgbImage> = part.iter().flat_map(|(frames, _)| frames.iter().cloned()).collect();
            let heard = if self.listens() { self.hear(part)? } else { None };
            pooled.push(inference(|| {
                let frames = match self.mixes_frames() {
                    true => {
                        let pixels = crate::batch::images(self.image_processor()?, &flat, self.device())?;
                        self.forward_frames(&pixels, &clips, Pass::EVAL)?.pooled
                    }
                    false => self.pool_images(&flat)?,
                };
                self.forward_video(&frames, &clips, heard.as_ref(), Pass::EVAL)
            })?);
        }
        match pooled.len() {
            0 => Err(Error::Input("no video".into())),
            1 => Ok(pooled.swap_remove(0)),
            _ => Ok(Tensor::f_cat(&pooled, 0)?),
        }
    }

    fn hear(&self, clips: &[Borrowed]) -> Result<Option<Heard>> {
        let (mut rows, mut mels) = (Vec::new(), Vec::new());
        for (row, (_, sound)) in clips.iter().enumerate() {
            if let Some(mel) = sound {
                rows.push(row);
                mels.push(*mel);
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let pooled = self.pool_spectrograms(&mels)?;
        let vectors = inference(|| self.project(Modality::Audio, &pooled))?;
        Ok(Some(Heard { pooled, vectors, rows }))
    }

    /// `pixels` `[N, 3, H, W]`, the frames of `clips` one after another, through the image tower. Most towers see each frame by itself;
    /// where a clip's frames hear each other, clips of one length go through together.
    ///
    /// # Errors
    /// No image tower, another size, or libtorch's.
    pub fn forward_frames<'a>(
        &self,
        pixels: &Tensor,
        clips: &Clips,
        pass: impl Into<Pass<'a>>,
    ) -> Result<TowerOutput> {
        let (tower, pass) = (self.image_tower()?, &pass.into());
        if !tower.mixes_frames() {
            return tower.forward(pixels, pass);
        }
        let groups = clips.by_length();
        if let (1, Some(frames)) = (groups.len(), groups.keys().next()) {
            return tower.forward_clips(pixels, *frames as i64, pass);
        }
        let (mut tokens, mut pooled, mut order) = (Vec::new(), Vec::new(), Vec::new());
        for (frames, rows) in groups {
            let at = Tensor::f_from_slice(&rows)?.f_to_device(self.device())?;
            let out = tower.forward_clips(&pixels.f_index_select(0, &at)?, frames as i64, pass)?;
            tokens.push(out.tokens);
            pooled.push(out.pooled);
            order.extend(rows);
        }
        let back = Tensor::f_from_slice(&order)?.f_argsort(0, false)?.f_to_device(self.device())?;
        let all = |parts: &[Tensor]| Tensor::f_cat(parts, 0)?.f_index_select(0, &back);
        Ok(TowerOutput { tokens: all(&tokens)?, mask: None, pooled: all(&pooled)? })
    }

    /// The pooled vectors `[N, W]` of all frames of `clips`, and what is heard of them → one vector a clip `[n, D]`, not of length 1.
    ///
    /// # Errors
    /// No image tower, more frames than the tower takes, or libtorch's.
    pub fn forward_video<'a>(
        &self,
        pooled: &Tensor,
        clips: &Clips,
        heard: Option<&Heard>,
        pass: impl Into<Pass<'a>>,
    ) -> Result<Tensor> {
        let vectors = self.project_raw(Modality::Image, pooled)?;
        self.video_tower()?.forward(&Seen { pooled, vectors: &vectors, clips }, heard, &pass.into())
    }

    /// How well each text fits each video, before the softmax over texts: `texts` `[K, D]` projected, not of length 1, and frames from the
    /// image processor → `[N, K]`, without a graph. Scaled cosines; in a model with prompts (X-CLIP) each text has looked at the video
    /// first, so these are the scores that it classifies with, and not the cosines of the shared space.
    ///
    /// # Errors
    /// As [`embed_videos`](Self::embed_videos), and no text tower.
    pub fn video_logits(&self, texts: &Tensor, videos: &[Vec<RgbImage>]) -> Result<Tensor> {
        let clips: Vec<Borrowed> = videos.iter().map(|frames| (frames.as_slice(), None)).collect();
        let mut logits = Vec::new();
        for part in parts(&clips) {
            let counts: Vec<usize> = part.iter().map(|(frames, _)| frames.len()).collect();
            let flat: Vec<RgbImage> = part.iter().flat_map(|(frames, _)| frames.iter().cloned()).collect();
            let pixels = crate::batch::images(self.image_processor()?, &flat, self.device())?;
            let clips = Clips::new(&counts, self.device())?;
            logits.push(inference(|| self.logits_of_frames(texts, &pixels, &clips))?);
        }
        Ok(Tensor::f_cat(&logits, 0)?)
    }

    /// [`video_logits`](Self::video_logits) of `pixels` `[N, 3, H, W]`, the frames of `clips` one after another.
    ///
    /// # Errors
    /// As [`video_logits`](Self::video_logits).
    pub fn logits_of_frames(&self, texts: &Tensor, pixels: &Tensor, clips: &Clips) -> Result<Tensor> {
        let scale = self.logit_scale(Modality::Text, Modality::Video);
        let scale = scale.ok_or_else(|| self.no_tower(Modality::Text))?.f_exp()?;
        let seen = self.forward_frames(pixels, clips, Pass::EVAL)?;
        let videos = unit(&self.forward_video(&seen.pooled, clips, None, Pass::EVAL)?)?;
        let cosines = match self.video_tower()?.prompts() {
            Some(prompts) => {
                let prefix = self.config().image.as_ref().map_or(0, |i| i.prefix);
                let patches = seen.tokens.f_narrow(1, prefix, seen.tokens.size()[1] - prefix)?;
                let texts = unit(&prompts.forward(texts, &prompts.see(&patches, clips)?)?)?;
                texts.f_matmul(&videos.f_unsqueeze(2)?)?.f_squeeze_dim(2)?
            }
            None => videos.f_matmul(&unit(texts)?.f_transpose(0, 1)?)?,
        };
        let logits = cosines.f_mul(&scale)?;
        Ok(match self.logit_bias(Modality::Text, Modality::Video) {
            Some(bias) => logits.f_add(bias)?,
            None => logits,
        })
    }

    /// The same towers with another way from frames to a vector, its new weights a function of (`seed`, their names): how a video tower
    /// is put over a model that was trained on pictures. A video tower of the same pooling keeps its weights where their shapes are kept.
    ///
    /// # Errors
    /// No image tower, or impossible sizes.
    pub fn with_video(self, video: VideoConfig, seed: u64) -> Result<Self> {
        let same = self.config().video.as_ref().is_some_and(|old| old.pooling == video.pooling);
        let config = crate::ModelConfig { video: Some(video), ..self.config().clone() };
        let (processors, device) = (self.processors().clone(), self.device());
        let model = Self::build(config, processors, Scope::root(seed, device), device)?;
        tch::no_grad(|| {
            for (name, param) in model.params().iter().filter(|(n, _)| same || !n.starts_with("video.")) {
                if let Some(old) = self.params().get(name)
                    && old.tensor.size() == param.tensor.size()
                {
                    param.tensor.shallow_clone().f_copy_(&old.tensor)?;
                }
            }
            Ok(model)
        })
    }
}

/// A clip's frames and sound.
type Borrowed<'a> = (&'a [RgbImage], Option<&'a [f32]>);

/// Clips in parts of at most [`AT_ONCE`] frames, at least one clip each.
fn parts<'a, 'b>(clips: &'a [Borrowed<'b>]) -> Vec<&'a [Borrowed<'b>]> {
    let (mut parts, mut start, mut frames) = (Vec::new(), 0, 0);
    for (i, (clip, _)) in clips.iter().enumerate() {
        if i > start && frames + clip.len() > AT_ONCE {
            parts.push(&clips[start..i]);
            (start, frames) = (i, 0);
        }
        frames += clip.len();
    }
    if start < clips.len() {
        parts.push(&clips[start..]);
    }
    parts
}
