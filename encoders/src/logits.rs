//! Texts against videos, as a model classifies videos by texts.

use crate::clips::{Clips, unit};
use crate::features::{AT_ONCE, parts};
use crate::gather::Gathered;
use crate::{Error, Modality, Model, Pass, Result};
use image::RgbImage;
use tch::Tensor;

impl Model {
    /// How well each text fits each video, before the softmax over texts: `texts` `[K, D]` projected, not of length 1, and frames from the
    /// image processor → `[N, K]`, without a graph. Scaled cosines; in a model with prompts (X-CLIP) each text has looked at the video
    /// first, so these are the scores that it classifies with, and not the cosines of the shared space.
    ///
    /// # Errors
    /// As [`embed_videos`](Self::embed_videos), and no text tower.
    pub fn video_logits(&self, texts: &Tensor, videos: &[Vec<RgbImage>]) -> Result<Tensor> {
        let mut logits = Vec::new();
        for part in parts(videos, AT_ONCE) {
            let part: Vec<&[RgbImage]> = part.iter().map(Vec::as_slice).collect();
            logits.push(tch::no_grad(|| {
                let (seen, clips) = self.encode_frames(&part, &Pass::EVAL, true)?;
                self.logits_of_frames(texts, &seen, &clips)
            })?);
        }
        Ok(Tensor::f_cat(&logits, 0)?)
    }

    /// [`video_logits`](Self::video_logits) of what the image tower made of all frames of `clips`, with its tokens.
    ///
    /// # Errors
    /// As [`video_logits`](Self::video_logits).
    pub fn logits_of_frames(&self, texts: &Tensor, seen: &Gathered, clips: &Clips) -> Result<Tensor> {
        let scale = self.logit_scale(Modality::Text, Modality::Video);
        let scale = scale.ok_or_else(|| self.no_tower(Modality::Text))?.f_exp()?;
        let videos = unit(&self.forward_video(&seen.pooled, clips, None, Pass::EVAL)?)?;
        let cosines = match (self.video_tower()?.prompts(), &seen.tokens) {
            (Some(prompts), Some((tokens, _))) => {
                let prefix = self.config().image.as_ref().map_or(0, |i| i.prefix());
                let patches = tokens.f_narrow(1, prefix, tokens.size()[1] - prefix)?;
                let texts = unit(&prompts.forward(texts, &prompts.clip_patches(&patches, clips)?)?)?;
                texts.f_matmul(&videos.f_unsqueeze(2)?)?.f_squeeze_dim(2)?
            }
            (Some(_), None) => return Err(Error::Input("texts look at tokens of frames, found none".into())),
            (None, _) => videos.f_matmul(&unit(texts)?.f_transpose(0, 1)?)?,
        };
        let logits = cosines.f_mul(&scale)?;
        Ok(match self.logit_bias(Modality::Text, Modality::Video) {
            Some(bias) => logits.f_add(bias)?,
            None => logits,
        })
    }
}
