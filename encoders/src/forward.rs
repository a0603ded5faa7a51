//! Tensors through single towers: what [`Model::features`] is made of.

use crate::clips::Clips;
use crate::clips::unit;
use crate::towers::{Tower, TowerOutput};
use crate::video::{ClipAudio, ClipFrames};
use crate::{Error, Modality, Model, Pass, Result};
use tch::{Device, Tensor};
use unisono_nn::Mode;

impl Model {
    /// `ids` `[B, T]` int64 and `mask` `[B, T]` bool through the text tower.
    ///
    /// # Errors
    /// No text tower, too many tokens, or libtorch's.
    pub fn forward_text<'a>(
        &self,
        ids: &Tensor,
        mask: &Tensor,
        pass: impl Into<Pass<'a>>,
    ) -> Result<TowerOutput> {
        match self.towers.get(&Modality::Text) {
            Some(Tower::Text(tower)) => tower.forward(ids, mask, &self.pass(pass)),
            _ => Err(self.no_tower(Modality::Text)),
        }
    }

    /// `pixels` `[B, 3, S, S]` through the image tower.
    ///
    /// # Errors
    /// No image tower, another size, or libtorch's.
    pub fn forward_image<'a>(&self, pixels: &Tensor, pass: impl Into<Pass<'a>>) -> Result<TowerOutput> {
        self.forward_frames(pixels, 1, pass)
    }

    /// [`forward_image`](Self::forward_image) of the frames of clips, `frames` of each one after another, which may hear each other.
    ///
    /// # Errors
    /// As [`forward_image`](Self::forward_image), and a number of images that `frames` does not divide.
    pub fn forward_frames<'a>(
        &self,
        pixels: &Tensor,
        frames: i64,
        pass: impl Into<Pass<'a>>,
    ) -> Result<TowerOutput> {
        let out = self.image_tower()?.forward_clips(pixels, frames, &self.pass(pass))?;
        match &self.reading {
            Some(reading) => reading.read(out),
            None => Ok(out),
        }
    }

    /// `mel` `[B, T, M]` and `lengths` `[B]` int64 through the audio tower.
    ///
    /// # Errors
    /// No audio tower, too many frames, or libtorch's.
    pub fn forward_audio<'a>(
        &self,
        mel: &Tensor,
        lengths: &Tensor,
        pass: impl Into<Pass<'a>>,
    ) -> Result<TowerOutput> {
        match self.towers.get(&Modality::Audio) {
            Some(Tower::Audio(tower)) => {
                let pass = self.pass(pass);
                self.read(tower.forward(mel, lengths, &pass)?, &pass)
            }
            Some(Tower::Htsat(tower)) => tower.forward(mel, lengths, &self.pass(pass)),
            _ => Err(self.no_tower(Modality::Audio)),
        }
    }

    /// What the audio tower's decoder has written through the text tower: its unit vectors behind the pooled ones.
    fn read(&self, out: TowerOutput, pass: &Pass) -> Result<TowerOutput> {
        let Some(written) = &out.written else { return Ok(out) };
        let lacks = || Error::config("audio.decoder.reads", "the model came without the decoder's tokenizer");
        let (speech, text) = (self.processors().speech.as_ref().ok_or_else(lacks)?, self.text_processor()?);
        let (b, n) = written.size2()?;
        let ids = Vec::<i64>::try_from(written.f_to_device(Device::Cpu)?.f_contiguous()?.f_view([b * n])?)?;
        let mut texts = Vec::new();
        for row in ids.chunks(usize::try_from(n).unwrap_or(1).max(1)) {
            let row: Vec<u32> = row.iter().filter_map(|id| u32::try_from(*id).ok()).collect();
            let said = speech.tokenizer().decode(&row, true);
            let said = said.map_err(|e| unisono_processors::Error::Tokenizer(e.to_string()))?;
            texts.push(text.encode(said.trim())?);
        }
        let plain = Pass { mode: Mode::Eval, draws: None, ..pass.over(&[]) };
        let pooled = tch::no_grad(|| {
            let read = self.encode_texts(&texts, &plain, false)?.pooled;
            let read = unit(&self.project_raw(Modality::Text, &read)?)?;
            Ok::<_, Error>(Tensor::f_cat(&[&out.pooled, &read.f_to_kind(out.pooled.kind())?], -1)?)
        })?;
        Ok(TowerOutput { pooled, ..out })
    }

    /// The pooled vectors `[N, W]` of all frames of `clips`, and what is heard of them → one vector a clip `[n, D]`, not of length 1.
    ///
    /// # Errors
    /// No image tower, more frames than the tower takes, or libtorch's.
    pub fn forward_video<'a>(
        &self,
        pooled: &Tensor,
        clips: &Clips,
        heard: Option<&ClipAudio>,
        pass: impl Into<Pass<'a>>,
    ) -> Result<Tensor> {
        let vectors = self.project_raw(Modality::Image, pooled)?;
        self.video_tower()?.forward(&ClipFrames { pooled, vectors: &vectors, clips }, heard, &self.pass(pass))
    }
}
