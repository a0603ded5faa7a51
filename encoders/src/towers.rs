//! The three towers: text, image, audio. Each returns its tokens and one pooled vector; the projection is the model's.

use crate::config::{AudioConfig, ImageConfig, TextConfig};
use crate::layers::{Linear, Transformer};
use crate::pool::Pool;
use crate::stem::{Stem, length_mask};
use crate::{Error, Init, Mode, Result, Scope};
use tch::{Kind, Tensor};

/// What a tower makes of a batch.
#[derive(Debug)]
pub struct TowerOutput {
    /// `[B, T, W]`, after the final norm.
    pub tokens: Tensor,
    /// `[B, T]` bool, true where a token is real; `None` when all are.
    pub mask: Option<Tensor>,
    /// `[B, W]`.
    pub pooled: Tensor,
}

/// Token ids → tokens.
#[derive(Debug)]
pub struct TextTower {
    embedding: Tensor,
    position: Tensor,
    transformer: Transformer,
    pool: Pool,
    token_dropout: f64,
}

impl TextTower {
    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &TextConfig) -> Result<Self> {
        let width = c.transformer.width;
        Ok(Self {
            // From random weights a table of the size of its own updates (0.02, as for large corpora) costs most of a short
            // training: words start alike and stay so. The ratio to the positions is kept.
            embedding: scope.param("embedding.weight", &[c.vocab_size, width], Init::Normal(0.5))?,
            position: scope.param("position.weight", &[c.context_length, width], Init::Normal(0.1))?,
            transformer: Transformer::new(scope, &c.transformer)?,
            pool: Pool::new(&scope.child("pool"), c.pooling, width, c.transformer.heads)?,
            token_dropout: c.token_dropout,
        })
    }

    /// `ids` `[B, T]` int64, `mask` `[B, T]` bool with at least one real token a row; T ≤ context length.
    ///
    /// # Errors
    /// T beyond the context length, or libtorch's.
    pub fn forward(&self, ids: &Tensor, mask: &Tensor, mode: Mode) -> Result<TowerOutput> {
        let (_, t) = ids.size2()?;
        let context = self.position.size()[0];
        if t > context {
            return Err(Error::Input(format!("text of {t} tokens, the context length is {context}")));
        }
        let x = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
        let x = x.f_add(&self.position.f_narrow(0, 0, t)?)?;
        let mask = self.thin(mask, mode)?;
        let tokens = self.transformer.forward(x, Some(&mask), mode)?;
        let pooled = self.pool.forward(&tokens, Some(&mask))?;
        Ok(TowerOutput { tokens, mask: Some(mask), pooled })
    }

    /// Drops tokens while training; a row never loses its first token, so none becomes empty.
    fn thin(&self, mask: &Tensor, mode: Mode) -> Result<Tensor> {
        if mode == Mode::Eval || self.token_dropout == 0.0 {
            return Ok(mask.shallow_clone());
        }
        let keep = Tensor::f_rand(mask.size(), (Kind::Float, mask.device()))?.f_ge(self.token_dropout)?;
        let _ = keep.f_narrow(1, 0, 1)?.f_fill_(1)?;
        Ok(mask.f_logical_and(&keep)?)
    }
}

/// Pixels → tokens.
#[derive(Debug)]
pub struct ImageTower {
    stem: Stem,
    embed: Option<Linear>,
    position: Tensor,
    transformer: Transformer,
    pool: Pool,
    size: i64,
}

impl ImageTower {
    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &ImageConfig) -> Result<Self> {
        let width = c.transformer.width;
        let stem = Stem::new(&scope.child("stem"), &c.stem, 3, width)?;
        let [h, w] = c.stem.grid([c.size, c.size]);
        let std = (stem.channels() as f64).powf(-0.5);
        let embed = match c.stem {
            crate::config::StemConfig::Patch { .. } => None,
            crate::config::StemConfig::Conv { .. } => {
                Some(Linear::new(&scope.child("embed"), stem.channels(), width, true, std)?)
            }
        };
        Ok(Self {
            embed,
            stem,
            position: scope.param("position.weight", &[h * w, width], Init::Normal(0.02))?,
            transformer: Transformer::new(scope, &c.transformer)?,
            pool: Pool::new(&scope.child("pool"), c.pooling, width, c.transformer.heads)?,
            size: c.size,
        })
    }

    /// `pixels` `[B, 3, S, S]` fp32, normalised (channels-last strides are the fast ones).
    ///
    /// # Errors
    /// Another size, or libtorch's.
    pub fn forward(&self, pixels: &Tensor, mode: Mode) -> Result<TowerOutput> {
        let (_, c, h, w) = pixels.size4()?;
        if (c, h, w) != (3, self.size, self.size) {
            let s = self.size;
            return Err(Error::Input(format!("pictures of [{c}, {h}, {w}], this tower takes [3, {s}, {s}]")));
        }
        let (x, _) = self.stem.forward(pixels, None, mode)?;
        let x = x.f_flatten(2, 3)?.f_transpose(1, 2)?; // [B, H'W', C]
        let x = match &self.embed {
            Some(embed) => embed.forward(&x)?,
            None => x,
        };
        let tokens = self.transformer.forward(x.f_add(&self.position)?, None, mode)?;
        let pooled = self.pool.forward(&tokens, None)?;
        Ok(TowerOutput { tokens, mask: None, pooled })
    }
}

/// Log-mel frames → tokens.
#[derive(Debug)]
pub struct AudioTower {
    stem: Stem,
    embed: Linear,
    position: Tensor,
    transformer: Transformer,
    pool: Pool,
    mels: i64,
}

impl AudioTower {
    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &AudioConfig) -> Result<Self> {
        let width = c.transformer.width;
        let stem = Stem::new(&scope.child("stem"), &c.stem, 1, width)?;
        let [t, bands] = c.stem.grid([c.max_frames, c.mels]);
        let folded = stem.channels() * bands;
        Ok(Self {
            embed: Linear::new(&scope.child("embed"), folded, width, true, (folded as f64).powf(-0.5))?,
            stem,
            position: scope.param("position.weight", &[t, width], Init::Normal(0.02))?,
            transformer: Transformer::new(scope, &c.transformer)?,
            pool: Pool::new(&scope.child("pool"), c.pooling, width, c.transformer.heads)?,
            mels: c.mels,
        })
    }

    /// `mel` `[B, T, M]` fp32, `lengths` `[B]` int64 real frames (≥ 1) of each sound.
    ///
    /// # Errors
    /// Another number of bands, more frames than the tower's most, or libtorch's.
    pub fn forward(&self, mel: &Tensor, lengths: &Tensor, mode: Mode) -> Result<TowerOutput> {
        let (_, _, m) = mel.size3()?;
        if m != self.mels {
            return Err(Error::Input(format!("spectrogram of {m} bands, this tower takes {}", self.mels)));
        }
        let (x, lengths) = self.stem.forward(&mel.f_unsqueeze(1)?, Some(lengths), mode)?;
        let x = x.f_permute([0, 2, 1, 3])?.f_flatten(2, 3)?; // [B, T', C·M']
        let t = x.size()[1];
        let most = self.position.size()[0];
        if t > most {
            return Err(Error::Input(format!("sound of {t} tokens, this tower takes at most {most}")));
        }
        let x = self.embed.forward(&x)?.f_add(&self.position.f_narrow(0, 0, t)?)?;
        let mask = lengths.map(|l| length_mask(&l, t)).transpose()?;
        let tokens = self.transformer.forward(x, mask.as_ref(), mode)?;
        let pooled = self.pool.forward(&tokens, mask.as_ref())?;
        Ok(TowerOutput { tokens, mask, pooled })
    }
}
