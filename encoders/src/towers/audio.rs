//! The audio tower over spectrograms of any length, or over a grid of their cells.

use crate::config::{SpectrogramConfig, StemConfig};
use crate::stem::Stem;
use crate::towers::output::TowerOutput;
use crate::towers::speech::SpeechDecoder;
use crate::towers::trunk::Trunk;
use crate::{Error, Result};
use tch::Tensor;
use unisono_nn::{Linear, Pass, Precision, Scope, length_mask};

/// Log-mel frames → tokens.
#[derive(Debug)]
pub struct AudioTower {
    stem: Stem,
    trunk: Trunk,
    mels: i64,
    /// The only number of frames that a tower over a grid takes.
    frames: Option<i64>,
    decoder: Option<Box<SpeechDecoder>>,
}

impl AudioTower {
    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.trunk.prepare(precision)?;
        self.decoder.as_mut().map_or(Ok(()), |decoder| decoder.prepare(precision))
    }

    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &SpectrogramConfig) -> Result<Self> {
        let width = c.transformer.width;
        let frames = matches!(c.stem, StemConfig::Frames { .. });
        let stem = Stem::new(&scope.child("stem"), &c.stem, if frames { c.mels } else { 1 }, width)?;
        let [t, bands] = c.stem.grid([c.max_frames, c.mels]);
        let folded = stem.channels() * bands;
        let embed = || Linear::new(&scope.child("embed"), folded, width, true, (folded as f64).powf(-0.5));
        let positions = if c.grid { t * bands } else { t };
        let embed = if c.grid || frames { None } else { Some(embed()?) };
        Ok(Self {
            stem,
            trunk: Trunk::new(scope, &c.transformer, positions, c.prefix, &c.pooling, embed)?,
            mels: c.mels,
            frames: if c.grid { Some(c.max_frames) } else { None },
            decoder: match &c.decoder {
                Some(decoder) => Some(Box::new(SpeechDecoder::new(&scope.child("decoder"), decoder, width)?)),
                None => None,
            },
        })
    }

    /// `mel` `[B, T, M]` fp32, `lengths` `[B]` int64 real frames (≥ 1) of each audio file.
    ///
    /// # Errors
    /// Another number of bands, more frames than the tower's most, or libtorch's.
    pub fn forward(&self, mel: &Tensor, lengths: &Tensor, pass: &Pass) -> Result<TowerOutput> {
        let (_, frames, m) = mel.size3()?;
        if m != self.mels {
            return Err(Error::Input(format!("spectrogram of {m} bands, this tower takes {}", self.mels)));
        }
        if let Some(exactly) = self.frames {
            if frames != exactly {
                return Err(Error::Input(format!("audio of {frames} frames, this tower takes {exactly}")));
            }
            let (x, _) = self.stem.forward(&mel.f_unsqueeze(1)?, None, pass.mode)?; // [B, W, T', M']
            let x = self.trunk.position.forward(x.f_permute([0, 3, 2, 1])?.f_flatten(1, 2)?, 0)?;
            return self.trunk.whole(x, 1, pass);
        }
        let (x, lengths) = self.stem.forward(&mel.f_unsqueeze(1)?, Some(lengths), pass.mode)?;
        let x = x.f_permute([0, 2, 1, 3])?.f_flatten(2, 3)?; // [B, T', C·M']
        let t = x.size()[1];
        let Trunk { position, transformer, head, .. } = &self.trunk;
        let most = position.places();
        if t > most {
            return Err(Error::Input(format!("audio of {t} tokens, this tower takes at most {most}")));
        }
        let x = position.forward(self.trunk.embed(x)?, 0)?;
        let mask = lengths.map(|l| length_mask(&l, t)).transpose()?;
        let x = transformer.forward(x, &transformer.mask(t, mask.as_ref())?, pass)?;
        let (tokens, pooled) = head.forward(x, mask.as_ref(), None)?;
        let Some(decoder) = &self.decoder else {
            return Ok(TowerOutput { tokens, mask, pooled, written: None });
        };
        let (states, written) = decoder.forward(&tokens, mask.as_ref(), pass)?;
        let pooled = Tensor::f_cat(&[pooled, states], -1)?;
        Ok(TowerOutput { tokens, mask, pooled, written: decoder.is_read().then_some(written) })
    }
}
