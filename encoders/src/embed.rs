//! Strings, images, audio files and videos in memory → vectors in the shared space.

use crate::clips::unit;
use crate::{Input, Modality, Model, Result};
use image::RgbImage;
use tch::{Kind, Tensor};

/// `[N, D]` unit vectors against `[M, D]` → `[N, M]` cosine similarities.
///
/// # Errors
/// Another D on one side.
pub fn similarity(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(a.f_matmul(&b.f_transpose(0, 1)?)?)
}

/// `[N, D]` → its numbers, row-major, fp32.
///
/// # Errors
/// libtorch's.
pub fn to_vec(vectors: &Tensor) -> Result<Vec<f32>> {
    let flat = vectors.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?;
    Ok(Vec::<f32>::try_from(&flat)?)
}

impl Model {
    /// Pooled vectors `[N, W]` of one modality ([`pooled`](Self::pooled)) → what [`embed`](Self::embed) makes of their inputs.
    ///
    /// # Errors
    /// No such tower, or libtorch's.
    pub fn embed_pooled(&self, modality: Modality, pooled: &Tensor, normalize: bool) -> Result<Tensor> {
        let cut = self.project_raw(modality, pooled)?.f_narrow(-1, 0, self.dims())?;
        if normalize { unit(&cut) } else { Ok(cut) }
    }

    /// Strings → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No text tower, or libtorch's.
    pub fn embed_text<S: AsRef<str>>(&self, texts: &[S]) -> Result<Tensor> {
        let processor = self.text_processor()?;
        let ids: Vec<Vec<i64>> =
            texts.iter().map(|t| processor.encode(t.as_ref())).collect::<Result<_, _>>()?;
        self.embed(ids.iter().map(|ids| Input::Text(ids)), true)
    }

    /// Images of any size → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No image tower, or libtorch's.
    pub fn embed_images(&self, images: &[RgbImage]) -> Result<Tensor> {
        let processor = self.image_processor()?;
        let prepared: Vec<RgbImage> = images.iter().map(|p| processor.prepare(p)).collect();
        self.embed(prepared.iter().map(Input::Image), true)
    }

    /// Mono audio files at the audio processor's sample rate → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No audio tower, an audio file without samples or with NaN, or libtorch's.
    pub fn embed_audios<S: AsRef<[f32]>>(&self, audios: &[S]) -> Result<Tensor> {
        let processor = self.audio_processor()?;
        let mels: Vec<Vec<f32>> =
            audios.iter().map(|s| processor.process(s.as_ref())).collect::<Result<_, _>>()?;
        self.embed(mels.iter().map(|mel| Input::Audio(mel)), true)
    }

    /// Videos as frames of any size → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No image tower, a video without a frame or with more than the tower takes, or libtorch's.
    pub fn embed_videos(&self, videos: &[Vec<RgbImage>]) -> Result<Tensor> {
        let processor = self.image_processor()?;
        let prepare = |frames: &Vec<RgbImage>| frames.iter().map(|f| processor.prepare(f)).collect();
        let prepared: Vec<Vec<RgbImage>> = videos.iter().map(prepare).collect();
        self.embed(prepared.iter().map(|frames| Input::Video(frames, None)), true)
    }
}
