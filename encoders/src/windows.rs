//! How much a model's audio tower hears of a window that a sound does not fill.

use crate::config::{AudioConfig, Pooling};
use crate::{Error, Model, Pass, Result, TowerOutput};
use tch::{Kind, Tensor};
use unisono_processors::{AudioWindow, Fill};

impl Model {
    /// Whether windows can be cut: silence fills them behind short sounds, and the audio tower takes any length and pools the mean of a
    /// window's tokens (Whisper's).
    pub fn cuts_windows(&self) -> bool {
        let Some(AudioConfig::Transformer(c)) = &self.config().audio else { return false };
        let Some(mel) = self.processors().audio.as_ref().map(|a| a.config()) else { return false };
        let plain = !c.grid && c.prefix == 0 && c.pooling == Pooling::Mean && c.decoder.is_none();
        let filled = mel.frontend.as_ref().is_some_and(|f| f.fill == Fill::Pad && !f.fusion);
        plain && filled && usize::try_from(c.max_frames).is_ok_and(|most| most == mel.max_frames)
    }

    /// How much of windows is heard where audio files are embedded.
    pub fn audio_window(&self) -> AudioWindow {
        self.processors().audio.as_ref().map_or(AudioWindow::Whole, |a| a.window())
    }

    /// Says how much of windows is heard from here on. Embeddings depend on it: those of one space are made with one window.
    ///
    /// # Errors
    /// Windows that cannot be cut.
    pub fn set_audio_window(&mut self, window: AudioWindow) -> Result<()> {
        if !window.is_whole() && !self.cuts_windows() {
            let message = "this model's windows cannot be cut: expected an audio tower like Whisper's, whose windows silence fills behind short sounds";
            return Err(Error::Input(message.into()));
        }
        if let Some(audio) = &mut self.texts().0.audio {
            audio.set_window(window);
        }
        Ok(())
    }

    /// Windows that are cut behind their sounds, `mel` `[B, T, M]` fp32, through the audio tower: its tokens for what is there, and behind them
    /// those that it makes of digital silence at these places. A decoder then finds a memory of the length that it was trained with, and the mean
    /// is one over all of the window.
    ///
    /// # Errors
    /// As [`forward_audio`](Self::forward_audio), and a model without its audio processor.
    pub fn forward_cut_audio<'a>(&self, mel: &Tensor, pass: impl Into<Pass<'a>>) -> Result<TowerOutput> {
        let pass = pass.into();
        let silence = self.silence(&pass)?;
        let heard = self.forward_whole(mel, &pass)?;
        let ((b, t, w), n) = (heard.size3()?, silence.size3()?.1);
        let rest = silence.f_narrow(1, t, n - t)?.f_expand([b, n - t, w], false)?;
        let tokens = Tensor::f_cat(&[heard, rest], 1)?;
        let pooled = tokens.f_mean_dim(1i64, false, Kind::Float)?.f_to_kind(tokens.kind())?;
        Ok(TowerOutput { tokens, mask: None, pooled, written: None })
    }

    /// The audio tower's tokens of spectrograms `[B, T, M]`, all of whose frames are real.
    fn forward_whole(&self, mel: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (b, t, _) = mel.size3()?;
        let lengths = Tensor::f_full([b], t, (Kind::Int64, mel.device()))?;
        Ok(self.forward_audio(mel, &lengths, *pass)?.tokens)
    }

    /// The audio tower's tokens of a window of digital silence `[1, N, W]`. A model that was prepared, whose weights do not change, hears it
    /// once.
    fn silence(&self, pass: &Pass) -> Result<Tensor> {
        if let Some(known) = self.silence.get() {
            return Ok(known.shallow_clone());
        }
        let processor = self.audio_processor()?;
        let mel = processor.whole(&[0.0])?;
        let bands = processor.config().mels;
        let shape = [1, (mel.len() / bands) as i64, bands as i64];
        let mel = Tensor::f_from_slice(&mel)?.f_view(shape)?.f_to_device(self.device())?;
        // Silence is no sample of the batch.
        let tokens = self.forward_whole(&mel, &pass.over(&[u64::MAX]))?;
        if self.prepared {
            // Nobody else sets it: a model is not shared by threads.
            let _ = self.silence.set(tokens.shallow_clone());
        }
        Ok(tokens)
    }
}
