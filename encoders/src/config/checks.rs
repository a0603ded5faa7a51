//! What of a configuration can be built; what cannot is told by its key.

use super::*;
use crate::{Error, Modality, Result};
use unisono_nn::config::probability;
use unisono_processors::Processors;

/// Bounds that keep a configuration from a stranger's file buildable: no tensor can outgrow memory by its numbers alone.
const MOST: i64 = 1 << 20;

impl ModelConfig {
    /// Checks every size before anything is allocated.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self) -> Result<()> {
        within("embed_dim", self.embed_dim, 1 << 16)?;
        if self.text.is_none() && self.image.is_none() && self.audio.is_none() {
            return Err(Error::config("model", "expected at least one of text, image, audio; found none"));
        }
        if let Some(t) = &self.text {
            within("text.vocab_size", t.vocab_size, 1 << 24)?;
            within("text.context_length", t.context_length, MOST)?;
            probability("text.token_dropout", t.token_dropout)?;
            t.transformer.validate("text.transformer")?;
            no_messages("text.transformer", &t.transformer)?;
            t.pooling.validate("text.pooling", 0)?;
            if let Pooling::End(id) = t.pooling {
                token_id("text.pooling.end", id)?;
            }
            if let Some(class) = t.class_token {
                token_id("text.class_token.pad", class.pad)?;
            }
            if t.class_token.is_some() && (t.pooling != Pooling::Last || !t.transformer.causal) {
                return Err(Error::config("text.class_token", "needs pooling \"last\" and causal blocks"));
            }
            if !t.positions && t.class_token.is_some() {
                return Err(Error::config("text.class_token", "needs positions"));
            }
            for (i, module) in t.modules.iter().enumerate() {
                module.validate(&format!("text.modules.{i}"))?;
            }
            t.projection.validate("text.projection", t.out_width(), self.embed_dim)?;
        }
        if let Some(m) = &self.matryoshka {
            m.validate(self.embed_dim)?;
        }
        if let Some(adapter) = &self.adapter {
            adapter.validate("adapter")?;
        }
        match &self.image {
            Some(ImageConfig::Transformer(v)) => v.validate(self.embed_dim)?,
            Some(ImageConfig::EfficientNet(e)) => {
                e.validate()?;
                e.projection.validate("image.projection", e.out_width(), self.embed_dim)?;
            }
            None => {}
        }
        match &self.audio {
            Some(AudioConfig::Transformer(a)) => a.validate(self.embed_dim)?,
            Some(AudioConfig::Htsat(h)) => {
                h.validate()?;
                h.projection.validate("audio.projection", h.out_width(), self.embed_dim)?;
            }
            None => {}
        }
        if let Some(classifier) = &self.classifier {
            classifier.validate(self)?;
        }
        if let Some(reading) = &self.reading {
            reading.validate(self)?;
        }
        match &self.video {
            Some(video) => video.validate(self),
            None => Ok(()),
        }
    }
}

impl VitConfig {
    fn validate(&self, embed_dim: i64) -> Result<()> {
        let i = self;
        within("image.size", i.size.sides[0], 1 << 14)?;
        within("image.size", i.size.sides[1], 1 << 14)?;
        i.stem.validate("image.stem", i.size.sides)?;
        i.transformer.validate("image.transformer")?;
        prefix("image.prefix", i.prefix)?;
        let t = &i.transformer;
        if t.messages
            && (i.prefix == 0
                || t.norm == NormPlace::Post
                || t.relative.is_some()
                || t.rotary.is_some()
                || t.causal)
        {
            return Err(Error::config(
                "image.transformer.messages",
                "needs a prefix token and plain pre-norm blocks: neither relative, rotary nor causal",
            ));
        }
        i.pooling.validate("image.pooling", i.prefix)?;
        no_ids("image.pooling", &i.pooling)?;
        if matches!(i.stem, StemConfig::Frames { .. }) {
            return Err(Error::config(
                "image.stem.kind",
                "frames are of audio files; expected patch or conv",
            ));
        }
        if i.flexible && !matches!(i.stem, StemConfig::Patch { stride: None, .. }) {
            return Err(Error::config("image.flexible", "needs a patch stem without overlap"));
        }
        i.projection.validate("image.projection", i.out_width(), embed_dim)
    }
}

impl ClassifierConfig {
    fn validate(&self, model: &ModelConfig) -> Result<()> {
        self.width(model)?;
        self.check("classifier", model)
    }

    /// What holds wherever it stands; messages say that it is `at`.
    pub(super) fn check(&self, at: &str, model: &ModelConfig) -> Result<()> {
        within(&format!("{at}.labels"), i64::try_from(self.labels.len()).unwrap_or(i64::MAX), 1 << 16)?;
        if self.pair.is_some() && self.modality != Modality::Text {
            let message = format!("expected a classifier of texts, this one is of {}", self.modality);
            return Err(Error::config(format!("{at}.pair"), message));
        }
        if self.input == ClassifierInput::FirstMean && model.prefix(self.modality) == 0 {
            let message = "first_mean needs a tower with a prefix token, this one has none";
            return Err(Error::config(format!("{at}.input"), message));
        }
        match self.norm_eps {
            Some(eps) if !(eps > 0.0 && eps <= 1.0) => {
                let message = format!("expected a number above 0 and at most 1, found {eps}");
                Err(Error::config(format!("{at}.norm_eps"), message))
            }
            _ => Ok(()),
        }
    }
}

impl ReadingConfig {
    fn validate(&self, model: &ModelConfig) -> Result<()> {
        const AT: &str = "reading";
        self.classifier.check(AT, model)?;
        if self.classifier.modality != Modality::Image || model.image.is_none() || model.text.is_none() {
            let message =
                "expected an image tower with its classifier, and a text tower that reads its labels";
            return Err(Error::config(AT, message));
        }
        if self.classifier.pair.is_some() || model.classifier.is_some() {
            let message = "expected a classifier of images, and no other beside it";
            return Err(Error::config(AT, message));
        }
        if model.image.as_ref().is_some_and(|image| image.projection() == ProjectionConfig::None) {
            let message = "what is read is added to what the image tower's projection gives: expected one";
            return Err(Error::config(AT, message));
        }
        if !(self.temperature > 0.0 && self.temperature <= 1000.0) {
            let message = format!("expected a number above 0 and at most 1000, found {}", self.temperature);
            return Err(Error::config(format!("{AT}.temperature"), message));
        }
        Ok(())
    }
}

impl SpectrogramConfig {
    fn validate(&self, embed_dim: i64) -> Result<()> {
        let a = self;
        within("audio.mels", a.mels, 4096)?;
        within("audio.max_frames", a.max_frames, MOST)?;
        a.stem.validate("audio.stem", [a.max_frames, a.mels])?;
        a.transformer.validate("audio.transformer")?;
        no_messages("audio.transformer", &a.transformer)?;
        prefix("audio.prefix", a.prefix)?;
        a.pooling.validate("audio.pooling", a.prefix)?;
        no_ids("audio.pooling", &a.pooling)?;
        if a.prefix > 0 && !a.grid {
            return Err(Error::config("audio.prefix", "needs grid = true"));
        }
        if a.grid && !matches!(a.stem, StemConfig::Patch { .. }) {
            return Err(Error::config("audio.grid", "needs a patch stem"));
        }
        if let Some(decoder) = &a.decoder {
            if a.grid {
                return Err(Error::config(
                    "audio.decoder",
                    "listens to frames one after another: needs grid = false",
                ));
            }
            decoder.validate(embed_dim)?;
        }
        a.projection.validate("audio.projection", a.out_width(), embed_dim)?;
        Ok(())
    }
}

fn no_messages(at: &str, t: &TransformerConfig) -> Result<()> {
    if t.messages {
        return Err(Error::config(format!("{at}.messages"), "belongs to an image tower"));
    }
    Ok(())
}

fn prefix(field: &str, value: i64) -> Result<()> {
    if (0..=4096).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected 0 to 4096, found {value}")))
}

/// Larger than any vocabulary is an id that no tokenizer gives.
fn token_id(field: &str, id: i64) -> Result<()> {
    if (-1..1 << 24).contains(&id) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected a token's id below 16777216, or -1 for none, found {id}")))
}

fn no_ids(field: &str, pooling: &Pooling) -> Result<()> {
    if pooling.each().iter().any(|pooling| matches!(pooling, Pooling::Highest | Pooling::End(_))) {
        return Err(Error::config(field, "pools by token ids, which only texts have"));
    }
    Ok(())
}

impl Pooling {
    /// Those of a [`Concat`](Self::Concat), or the one that it is.
    pub(crate) fn each(&self) -> &[Self] {
        if let Self::Concat(all) = self { all } else { std::slice::from_ref(self) }
    }

    pub(super) fn validate(&self, at: &str, prefix: i64) -> Result<()> {
        if *self == Self::Prefix && prefix == 0 {
            return Err(Error::config(at, "the mean of the prefix tokens, of which there are none"));
        }
        if let Self::Concat(all) = self {
            within(at, self.out_width(1), 64)?;
            // Each of them is a vector of the tokens as they are, without a part of its own.
            let plain = |p: &&Self| {
                !matches!(p, Self::Attention | Self::Map | Self::Queries { .. } | Self::Concat(_))
            };
            if let Some(other) = all.iter().find(|p| !plain(p)) {
                return Err(Error::config(
                    at,
                    format!("expected poolings without parameters, found {other:?}"),
                ));
            }
            return all.iter().try_for_each(|each| each.validate(at, prefix));
        }
        if let Self::Queries { width, heads, count } = *self {
            within(&format!("{at}.width"), width, 1 << 16)?;
            within(&format!("{at}.heads"), heads, 1 << 12)?;
            within(&format!("{at}.count"), count, 1 << 16)?;
            if width % heads != 0 {
                return Err(Error::config(
                    format!("{at}.heads"),
                    format!("{heads} does not divide width {width}"),
                ));
            }
        }
        Ok(())
    }
}

impl ProjectionConfig {
    fn validate(self, at: &str, width: i64, embed_dim: i64) -> Result<()> {
        match self {
            Self::None if width != embed_dim => Err(Error::config(
                at,
                format!("none, but the tower's width {width} is not embed_dim {embed_dim}"),
            )),
            Self::Mlp { hidden, input_dropout, dropout, .. } => {
                for (key, share) in [("input_dropout", input_dropout), ("dropout", dropout)] {
                    if !(0.0..1.0).contains(&share) {
                        let message = format!("expected 0 to below 1, found {share}");
                        return Err(Error::config(format!("{at}.{key}"), message));
                    }
                }
                Ok(within(&format!("{at}.hidden"), hidden, 1 << 16)?)
            }
            _ => Ok(()),
        }
    }
}

impl ImageConfig {
    /// A flexible tower resizes its positions to any grid of its patches: the processor may allow more of them than were trained, or fewer.
    fn takes_other_numbers_of_patches(&self, patch: Option<u32>) -> bool {
        let own = self.flexible().filter(|[h, w]| h == w).and_then(|[h, _]| u32::try_from(h).ok());
        own.is_some() && own == patch
    }
}

impl ModelConfig {
    /// The processors must show the towers what their sizes expect.
    pub(crate) fn fits(&self, processors: &Processors) -> Result<()> {
        if let (Some(c), Some(p)) = (&self.image, &processors.image)
            && p.size != c.size()
            && !c.takes_other_numbers_of_patches(p.patch)
        {
            let (p, c) = (p.size, c.size());
            return Err(Error::config(
                "image.size",
                format!("the processor makes {p} pixels, the tower takes {c}"),
            ));
        }
        if self.reads(Modality::Audio) > 0 && (self.text.is_none() || processors.speech.is_none()) {
            let message = "expected a text tower, and the tokenizer in whose tokens the decoder writes";
            return Err(Error::config("audio.decoder.reads", message));
        }
        if let (Some(c), Some(p)) = (&self.audio, &processors.audio) {
            let (p, [frames, mels]) = (p.config(), c.most());
            if p.mels as i64 != mels || p.max_frames as i64 > frames {
                let found = format!("{} bands and {} frames", p.mels, p.max_frames);
                let takes = format!("{mels} bands and at most {frames} frames");
                return Err(Error::config(
                    "audio",
                    format!("the processor makes {found}, the tower takes {takes}"),
                ));
            }
        }
        Ok(())
    }
}
