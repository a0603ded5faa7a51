//! The three towers: text, image, audio. Each returns its tokens and one pooled vector; the projection is the model's.

use crate::config::{AudioConfig, ClassToken, ImageConfig, Pooling, StemConfig, TextConfig};
use crate::layers::{Attend, Linear, Transformer};
use crate::pool::Head;
use crate::precision::Precision;
use crate::stem::{Stem, length_mask};
use crate::{Error, Init, Mode, Result, Scope};
use tch::{Kind, Tensor};

/// What a tower makes of a batch.
#[derive(Debug)]
pub struct TowerOutput {
    /// `[B, T, W]`, after the final norm where that is over the tokens; prefix tokens first.
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
    class: Option<(Tensor, ClassToken)>,
    transformer: Transformer,
    head: Head,
    pooling: Pooling,
    causal: bool,
    token_dropout: f64,
}

impl TextTower {
    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.transformer.prepare(precision)
    }

    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &TextConfig) -> Result<Self> {
        let width = c.transformer.width;
        // The class token has the position after the last token's.
        let rows = c.context_length + i64::from(c.class_token.is_some());
        Ok(Self {
            // From random weights a table of the size of its own updates (0.02, as for large corpora) costs most of a short
            // training: words start alike and stay so. The ratio to the positions is kept.
            embedding: scope.param("embedding.weight", &[c.vocab_size, width], Init::Normal(0.5))?,
            position: scope.param("position.weight", &[rows, width], Init::Normal(0.1))?,
            class: match c.class_token {
                Some(token) => Some((scope.param("class", &[width], Init::Normal(0.1))?, token)),
                None => None,
            },
            transformer: Transformer::new(scope, &c.transformer)?,
            head: Head::new(scope, &c.transformer, c.pooling, 0, c.pooler)?,
            pooling: c.pooling,
            causal: c.transformer.causal,
            token_dropout: c.token_dropout,
        })
    }

    /// `ids` `[B, T]` int64, `mask` `[B, T]` bool with at least one real token a row, padding at its end; T ≤ context length.
    ///
    /// # Errors
    /// T beyond the context length, or libtorch's.
    pub fn forward(&self, ids: &Tensor, mask: &Tensor, mode: Mode) -> Result<TowerOutput> {
        let (_, t) = ids.size2()?;
        let context = self.position.size()[0] - i64::from(self.class.is_some());
        if t > context {
            return Err(Error::Input(format!("text of {t} tokens, the context length is {context}")));
        }
        if let Some((class, token)) = &self.class {
            return self.with_class(class, *token, ids, mode);
        }
        let x = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
        let x = x.f_add(&self.position.f_narrow(0, 0, t)?)?;
        let mask = self.thin(mask, mode)?;
        // Padding stands at the end, where no token before it looks; holes in the middle need the mask itself.
        let whole = mode == Mode::Eval || self.token_dropout == 0.0;
        let keys = if self.causal && whole { None } else { Some(&mask) };
        let x = self.transformer.forward(x, &self.transformer.attend(t, keys)?, mode)?;
        let at = match self.pooling {
            Pooling::Highest => Some(ids.f_argmax(1, false)?),
            Pooling::End(token) => Some(ids.f_eq(token)?.f_to_kind(Kind::Int)?.f_argmax(1, false)?),
            _ => None,
        };
        let (tokens, pooled) = self.head.forward(x, Some(&mask), at.as_ref())?;
        Ok(TowerOutput { tokens, mask: Some(mask), pooled })
    }

    /// Ids padded to the context length, the class token after them.
    fn with_class(&self, class: &Tensor, token: ClassToken, ids: &Tensor, mode: Mode) -> Result<TowerOutput> {
        let (b, t) = ids.size2()?;
        let context = self.position.size()[0] - 1;
        let ids = ids.f_constant_pad_nd([0, context - t])?;
        let padding = Tensor::f_arange(context, (Kind::Int64, ids.device()))?.f_ge(t)?.f_unsqueeze(0)?;
        let ids = ids.f_masked_fill(&padding, token.pad as f64)?;
        let x = Tensor::f_embedding(&self.embedding, &ids, -1, false, false)?;
        let class = class.f_view([1, 1, -1])?.f_expand([b, 1, class.size()[0]], false)?;
        let x = Tensor::f_cat(&[x, class], 1)?.f_add(&self.position)?;
        let real = ids.f_ne(token.pad)?; // [B, context]
        let seen = real.f_constant_pad_nd(if token.shifted { [1, 0] } else { [0, 1] })?;
        let alone = seen.f_narrow(1, if token.shifted { 0 } else { context }, 1)?;
        let _ = alone.shallow_clone().f_fill_(1)?;
        let n = context + 1;
        let before = Tensor::f_ones([n, n], (Kind::Bool, ids.device()))?.f_tril(0)?;
        let pairs = before.f_unsqueeze(0)?.f_repeat([b, 1, 1])?;
        pairs.f_select(1, context)?.f_copy_(&seen)?;
        let x = self.transformer.forward(x, &Attend::pairs(pairs.f_unsqueeze(1)?), mode)?;
        let (tokens, pooled) = self.head.forward(x, None, None)?;
        let own = Tensor::f_ones([b, 1], (Kind::Bool, ids.device()))?;
        Ok(TowerOutput { tokens, mask: Some(Tensor::f_cat(&[real, own], 1)?), pooled })
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
    prefix: Option<Tensor>,
    position: Tensor,
    transformer: Transformer,
    head: Head,
    size: [i64; 2],
    grid: [i64; 2],
    /// Height and width of a patch where pictures keep their shape.
    flexible: Option<[i64; 2]>,
    /// The frames of a clip hear each other.
    messages: bool,
}

impl ImageTower {
    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.transformer.prepare(precision)
    }

    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &ImageConfig) -> Result<Self> {
        let width = c.transformer.width;
        let stem = Stem::new(&scope.child("stem"), &c.stem, 3, width)?;
        let grid = c.stem.grid(c.size.sides);
        let std = (stem.channels() as f64).powf(-0.5);
        let embed = match c.stem {
            StemConfig::Conv { .. } => {
                Some(Linear::new(&scope.child("embed"), stem.channels(), width, true, std)?)
            }
            _ => None,
        };
        let flexible = match c.stem {
            StemConfig::Patch { size, .. } if c.flexible => Some(size),
            _ => None,
        };
        Ok(Self {
            embed,
            stem,
            prefix: prefix(scope, c.prefix, width)?,
            position: scope.param("position.weight", &[grid[0] * grid[1], width], Init::Normal(0.02))?,
            transformer: Transformer::new(scope, &c.transformer)?,
            head: Head::new(scope, &c.transformer, c.pooling, c.prefix, false)?,
            size: c.size.sides,
            grid,
            flexible,
            messages: c.transformer.messages,
        })
    }

    /// Whether a frame's tokens depend on the other frames of its clip.
    pub(crate) fn mixes_frames(&self) -> bool {
        self.messages
    }

    /// `pixels` `[B, 3, H, W]` fp32, normalised (channels-last strides are the fast ones), of the configured size; a flexible
    /// tower takes any multiple of its patch with at most as many patches as that size has.
    ///
    /// # Errors
    /// Another size, or libtorch's.
    pub fn forward(&self, pixels: &Tensor, mode: Mode) -> Result<TowerOutput> {
        self.forward_clips(pixels, 1, mode)
    }

    /// [`forward`](Self::forward) over the frames of clips, `frames` of each one after another.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and a number of pictures that `frames` does not divide.
    pub fn forward_clips(&self, pixels: &Tensor, frames: i64, mode: Mode) -> Result<TowerOutput> {
        let (b, c, h, w) = pixels.size4()?;
        if frames < 1 || b % frames != 0 {
            return Err(Error::Input(format!("{b} pictures are no clips of {frames} frames")));
        }
        let position = match self.flexible {
            Some([ph, pw]) => {
                let most = self.grid[0] * self.grid[1];
                if c != 3 || h % ph != 0 || w % pw != 0 || (h / ph) * (w / pw) > most || h * w == 0 {
                    return Err(Error::Input(format!(
                        "pictures of [{c}, {h}, {w}], this tower takes 3 channels and at most {most} patches of {ph} x {pw}"
                    )));
                }
                self.positions([h / ph, w / pw])?
            }
            None => {
                if (c, [h, w]) != (3, self.size) {
                    let [sh, sw] = self.size;
                    return Err(Error::Input(format!(
                        "pictures of [{c}, {h}, {w}], this tower takes [3, {sh}, {sw}]"
                    )));
                }
                self.position.shallow_clone()
            }
        };
        let (x, _) = self.stem.forward(pixels, None, mode)?;
        let x = x.f_flatten(2, 3)?.f_transpose(1, 2)?; // [B, H'W', C]
        let x = match &self.embed {
            Some(embed) => embed.forward(&x)?,
            None => x,
        };
        let x = with_prefix(self.prefix.as_ref(), x.f_add(&position)?, b)?;
        let attend = self.transformer.attend(x.size()[1], None)?;
        let x = self.transformer.forward_clips(x, &attend, frames, mode)?;
        let (tokens, pooled) = self.head.forward(x, None, None)?;
        Ok(TowerOutput { tokens, mask: None, pooled })
    }

    /// The position embeddings resized to another grid.
    fn positions(&self, grid: [i64; 2]) -> Result<Tensor> {
        if grid == self.grid {
            return Ok(self.position.shallow_clone());
        }
        let width = self.position.size()[1];
        let x = self.position.f_view([1, self.grid[0], self.grid[1], width])?.f_permute([0, 3, 1, 2])?;
        let x = x.f_internal_upsample_bilinear2d_aa(grid, false, None, None)?;
        Ok(x.f_flatten(2, 3)?.f_squeeze_dim(0)?.f_transpose(0, 1)?)
    }
}

/// Learned tokens before the others.
fn prefix(scope: &Scope, n: i64, width: i64) -> Result<Option<Tensor>> {
    if n == 0 {
        return Ok(None);
    }
    Ok(Some(scope.param("prefix", &[n, width], Init::Normal(0.02))?))
}

fn with_prefix(prefix: Option<&Tensor>, x: Tensor, b: i64) -> Result<Tensor> {
    let Some(prefix) = prefix else { return Ok(x) };
    let (n, w) = prefix.size2()?;
    Ok(Tensor::f_cat(&[prefix.f_unsqueeze(0)?.f_expand([b, n, w], false)?, x], 1)?)
}

/// Log-mel frames → tokens.
#[derive(Debug)]
pub struct AudioTower {
    stem: Stem,
    embed: Option<Linear>,
    prefix: Option<Tensor>,
    position: Tensor,
    transformer: Transformer,
    head: Head,
    mels: i64,
    /// The only number of frames that a tower over a grid takes.
    frames: Option<i64>,
}

impl AudioTower {
    /// Packs the blocks' weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.transformer.prepare(precision)
    }

    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &AudioConfig) -> Result<Self> {
        let width = c.transformer.width;
        let frames = matches!(c.stem, StemConfig::Frames { .. });
        let stem = Stem::new(&scope.child("stem"), &c.stem, if frames { c.mels } else { 1 }, width)?;
        let [t, bands] = c.stem.grid([c.max_frames, c.mels]);
        let folded = stem.channels() * bands;
        let embed = || Linear::new(&scope.child("embed"), folded, width, true, (folded as f64).powf(-0.5));
        let positions = if c.grid { t * bands } else { t };
        Ok(Self {
            embed: if c.grid || frames { None } else { Some(embed()?) },
            stem,
            prefix: prefix(scope, c.prefix, width)?,
            position: scope.param("position.weight", &[positions, width], Init::Normal(0.02))?,
            transformer: Transformer::new(scope, &c.transformer)?,
            head: Head::new(scope, &c.transformer, c.pooling, c.prefix, false)?,
            mels: c.mels,
            frames: if c.grid { Some(c.max_frames) } else { None },
        })
    }

    /// `mel` `[B, T, M]` fp32, `lengths` `[B]` int64 real frames (≥ 1) of each sound.
    ///
    /// # Errors
    /// Another number of bands, more frames than the tower's most, or libtorch's.
    pub fn forward(&self, mel: &Tensor, lengths: &Tensor, mode: Mode) -> Result<TowerOutput> {
        let (b, frames, m) = mel.size3()?;
        if m != self.mels {
            return Err(Error::Input(format!("spectrogram of {m} bands, this tower takes {}", self.mels)));
        }
        if let Some(exactly) = self.frames {
            if frames != exactly {
                return Err(Error::Input(format!("sound of {frames} frames, this tower takes {exactly}")));
            }
            let (x, _) = self.stem.forward(&mel.f_unsqueeze(1)?, None, mode)?; // [B, W, T', M']
            let x = x.f_permute([0, 3, 2, 1])?.f_flatten(1, 2)?.f_add(&self.position)?;
            let x = with_prefix(self.prefix.as_ref(), x, b)?;
            let attend = self.transformer.attend(x.size()[1], None)?;
            let x = self.transformer.forward(x, &attend, mode)?;
            let (tokens, pooled) = self.head.forward(x, None, None)?;
            return Ok(TowerOutput { tokens, mask: None, pooled });
        }
        let (x, lengths) = self.stem.forward(&mel.f_unsqueeze(1)?, Some(lengths), mode)?;
        let x = x.f_permute([0, 2, 1, 3])?.f_flatten(2, 3)?; // [B, T', C·M']
        let t = x.size()[1];
        let most = self.position.size()[0];
        if t > most {
            return Err(Error::Input(format!("sound of {t} tokens, this tower takes at most {most}")));
        }
        let x = match &self.embed {
            Some(embed) => embed.forward(&x)?,
            None => x,
        };
        let x = x.f_add(&self.position.f_narrow(0, 0, t)?)?;
        let mask = lengths.map(|l| length_mask(&l, t)).transpose()?;
        let x = self.transformer.forward(x, &self.transformer.attend(t, mask.as_ref())?, mode)?;
        let (tokens, pooled) = self.head.forward(x, mask.as_ref(), None)?;
        Ok(TowerOutput { tokens, mask, pooled })
    }
}
