//! A model that understands: towers, the fusion Transformer over their tokens, and its heads.

use crate::config::{FusionConfig, MemoryConfig};
use crate::generate::{Generated, Generation, Generator, Watch};
use crate::stack::Stack;
use crate::{Error, Mask, Result};
use std::fmt;
use std::path::Path;
use tch::{Device, Kind, Tensor};
use unisono_encoders::batch;
use unisono_encoders::clips::{Clips, joined};
use unisono_encoders::{LoadReport, Modality, Mode, Model, Params, Precision};
use unisono_nn::CrossKv;
use unisono_nn::{Init, Linear, Scope};
use unisono_processors::TextProcessor;

/// What a model can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// A sentence about a picture, sound or video.
    Caption,
    /// The probability that a text and a picture, sound or video belong together.
    Match,
    /// An answer to a question about one.
    Ask,
    /// What is said in a sound.
    Transcribe,
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Caption, Self::Match, Self::Ask, Self::Transcribe];

    /// `caption`, `match`, `ask`, `transcribe`: the commands' names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caption => "caption",
            Self::Match => "match",
            Self::Ask => "ask",
            Self::Transcribe => "transcribe",
        }
    }

    /// The head that it needs, in words.
    const fn head(self) -> &'static str {
        match self {
            Self::Caption => "captioning",
            Self::Match => "matching",
            Self::Ask => "answering",
            Self::Transcribe => "speech",
        }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tokens of one modality, a part of a memory.
#[derive(Debug)]
pub struct Sequence {
    /// Whose they are.
    pub modality: Modality,
    /// `[N, S, W]`.
    pub tokens: Tensor,
    /// `[N, S]` bool, true = real; `None`: all.
    pub mask: Option<Tensor>,
    /// Number of the frame, for the pictures of a video; 0 otherwise.
    pub frame: i64,
}

/// How tower tokens enter a memory of this project's own: projected to its width, told by modality and by frame.
#[derive(Debug)]
struct Entrance {
    modality: Modality,
    projection: Linear,
    /// `[W]`.
    kind: Tensor,
}

/// Towers, fusion Transformer and heads.
#[derive(Debug)]
pub struct FusionModel {
    config: FusionConfig,
    towers: Model,
    params: Params,
    encoder: Option<Stack>,
    decoder: Option<Stack>,
    matching: Option<Linear>,
    entrances: Vec<Entrance>,
    /// `[frames, W]`.
    frames: Option<Tensor>,
    text: Option<TextProcessor>,
}

impl FusionModel {
    /// A new fusion part over `towers`, every weight a function of (`seed`, its name).
    ///
    /// # Errors
    /// Impossible sizes, or a tower that is missing.
    pub fn new(config: FusionConfig, towers: Model, text: Option<TextProcessor>, seed: u64) -> Result<Self> {
        let device = towers.device();
        Self::build(config, towers, text, Scope::root(seed, device))
    }

    /// A model whose fusion weights are about to be copied in, of at most so many numbers.
    pub(crate) fn blank(
        config: FusionConfig,
        towers: Model,
        text: Option<TextProcessor>,
        most: u64,
    ) -> Result<Self> {
        let device = towers.device();
        Self::build(config, towers, text, Scope::blank(device, most))
    }

    fn build(config: FusionConfig, towers: Model, text: Option<TextProcessor>, root: Scope) -> Result<Self> {
        config.validate()?;
        if let Some(speech) = &config.speech {
            let most = towers.config().audio.as_ref().map_or(0, |a| a.max_frames);
            crate::config::range("speech.frames", i64::try_from(speech.frames).unwrap_or(i64::MAX), 1, most)?;
        }
        let stack =
            |name: &str, c: &Option<_>| c.as_ref().map(|c| Stack::new(&root.child(name), c)).transpose();
        let (encoder, decoder) = (stack("encoder", &config.encoder)?, stack("decoder", &config.decoder)?);
        let width = config.encoder.as_ref().or(config.decoder.as_ref()).map_or(0, |c| c.transformer.width);
        let matching = if config.matching {
            let std = (width as f64).powf(-0.5);
            Some(Linear::new(&root.child("match"), width, 2, true, std)?)
        } else {
            None
        };
        let (mut entrances, mut frames) = (Vec::new(), None);
        if let MemoryConfig::Own { width, modalities, frames: most } = &config.memory {
            let scope = root.child("memory");
            for modality in modalities {
                let from = tower_width(&towers, *modality)?;
                let scope = scope.child(modality);
                entrances.push(Entrance {
                    modality: *modality,
                    projection: Linear::new(&scope, from, *width, true, (from as f64).powf(-0.5))?,
                    kind: scope.param("kind", &[*width], Init::Normal(0.02))?,
                });
            }
            if *most > 1 {
                frames = Some(scope.param("frames", &[*most, *width], Init::Normal(0.02))?);
            }
        }
        let params = root.finish();
        Ok(Self { config, towers, params, encoder, decoder, matching, entrances, frames, text })
    }

    /// Reads a model with a fusion part: this project's own, or a checkpoint of BLIP, CoCa or Whisper.
    ///
    /// # Errors
    /// No such part, missing or broken files, weights that do not fit.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        crate::import::load(dir, device).map(|found| found.model)
    }

    /// Packs all weights for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.towers.prepare(precision)?;
        for stack in [&mut self.encoder, &mut self.decoder].into_iter().flatten() {
            stack.prepare(precision)?;
        }
        Ok(())
    }

    /// The configuration of the fusion part.
    pub fn config(&self) -> &FusionConfig {
        &self.config
    }

    /// The towers.
    pub fn towers(&self) -> &Model {
        &self.towers
    }

    /// The parameters of the fusion part.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The stack that reads texts in both directions; the writing one where there is no other.
    pub fn reader(&self) -> Option<&Stack> {
        self.encoder.as_ref().or(self.decoder.as_ref())
    }

    /// The stack that writes texts.
    pub fn writer(&self) -> Option<&Stack> {
        self.decoder.as_ref()
    }

    /// Turns texts into ids and back.
    ///
    /// # Errors
    /// The model came without its tokenizer's files.
    pub fn text(&self) -> Result<&TextProcessor> {
        self.text.as_ref().ok_or_else(|| {
            Error::Config(
                "the model came without a tokenizer: expected tokenizer.json or its older files".into(),
            )
        })
    }

    /// What it can be asked for.
    pub fn abilities(&self) -> Vec<Ability> {
        let c = &self.config;
        let has = |a: &Ability| match a {
            Ability::Caption => c.decoder.is_some() && !c.answers && c.speech.is_none(),
            Ability::Match => c.matching,
            Ability::Ask => c.answers && c.decoder.is_some(),
            Ability::Transcribe => c.speech.is_some(),
        };
        Ability::ALL.into_iter().filter(has).collect()
    }

    /// Refuses what the model has no head for.
    ///
    /// # Errors
    /// Says which abilities there are.
    pub fn require(&self, ability: Ability) -> Result<()> {
        let has = self.abilities();
        if has.contains(&ability) {
            return Ok(());
        }
        let names: Vec<&str> = has.iter().map(|a| a.name()).collect();
        Err(Error::Config(format!(
            "this model has no {} head; it has: {}",
            ability.head(),
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        )))
    }

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
                MemoryConfig::Own { .. } => self.enter(s)?,
            });
        }
        let masked = sequences.iter().any(|s| s.mask.is_some());
        let mask = if masked {
            let one = |(s, x): (&Sequence, &Tensor)| -> Result<Tensor> {
                let (n, t, _) = x.size3()?;
                match &s.mask {
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

    fn enter(&self, s: &Sequence) -> Result<Tensor> {
        let Some(entrance) = self.entrances.iter().find(|e| e.modality == s.modality) else {
            let takes: Vec<&str> = self.entrances.iter().map(|e| e.modality.name()).collect();
            return Err(Error::Shape(format!(
                "this model attends to {}, not to {}",
                takes.join(", "),
                s.modality
            )));
        };
        let mut shift = entrance.kind.shallow_clone();
        if let Some(frames) = &self.frames {
            let most = frames.size()[0];
            if s.frame >= most {
                return Err(Error::Shape(format!(
                    "frame {} of a video, this model takes {most}",
                    s.frame + 1
                )));
            }
            shift = shift.f_add(&frames.f_select(0, s.frame)?)?;
        }
        Ok(entrance.projection.forward(&s.tokens)?.f_add(&shift)?)
    }

    /// Pictures from the image processor → the sequence of their tokens, without a graph.
    ///
    /// # Errors
    /// No image tower, another size, or libtorch's.
    pub fn see(&self, prepared: &[image::RgbImage]) -> Result<Sequence> {
        let out = tch::no_grad(|| self.towers.forward_pictures(prepared, Mode::Eval))?;
        Ok(Sequence { modality: Modality::Image, tokens: out.tokens, mask: out.mask, frame: 0 })
    }

    /// [`see`](Self::see) for the frames of one clip, which hear each other in the image tower.
    fn see_clip(&self, frames: &[image::RgbImage]) -> Result<Sequence> {
        let (towers, device) = (&self.towers, self.towers.device());
        let pixels = batch::images(towers.image_processor()?, frames, device)?;
        let clip = Clips::new(&[frames.len()], device)?;
        let out = tch::no_grad(|| towers.forward_frames(&pixels, &clip, Mode::Eval))?;
        Ok(Sequence { modality: Modality::Image, tokens: out.tokens, mask: out.mask, frame: 0 })
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
    pub fn watch(&self, videos: &[Vec<image::RgbImage>]) -> Result<Vec<Sequence>> {
        if videos.is_empty() || videos.iter().any(Vec::is_empty) {
            return Err(Error::Shape("a video without a frame".into()));
        }
        let seen = if self.towers.mixes_frames() {
            videos.iter().map(|video| self.see_clip(video)).collect::<Result<Vec<_>>>()?
        } else {
            // As many pictures at once as there are videos: memory does not grow with their frames.
            let pictures: Vec<_> = videos.iter().flatten().cloned().collect();
            pictures.chunks(videos.len()).map(|part| self.see(part)).collect::<Result<Vec<_>>>()?
        };
        let seen: Vec<_> = seen.into_iter().map(|s| (s.tokens, s.mask)).collect();
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
    pub fn hear<S: AsRef<[f32]>>(&self, mels: &[S]) -> Result<Sequence> {
        let rows: Vec<&[f32]> = mels.iter().map(AsRef::as_ref).collect();
        let (mel, lengths) =
            batch::spectrograms(self.towers.audio_processor()?, &rows, 1, self.towers.device())?;
        let out = tch::no_grad(|| self.towers.forward_audio(&mel, &lengths, Mode::Eval))?;
        Ok(Sequence { modality: Modality::Audio, tokens: out.tokens, mask: out.mask, frame: 0 })
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
            writer.cross_kv(&memory, mask.as_ref())
        })
    }

    /// The prompt of a caption that begins with `text`.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn caption_prompt(&self, text: &str) -> Result<Vec<i64>> {
        let mut ids = vec![self.config.tokens.start];
        if !text.is_empty() {
            ids.extend(self.bare(text)?);
        }
        Ok(ids)
    }

    /// Refuses a text that the stacks have no positions for: cutting a question would change it.
    ///
    /// # Errors
    /// Says how many tokens it has and how many there may be.
    pub fn fits(&self, what: &str, text: &str) -> Result<()> {
        let Some(most) = self.reader().map(|s| s.config().context_length) else { return Ok(()) };
        let found = self.text()?.count(text)?;
        if found as i64 > most {
            return Err(Error::Config(format!(
                "{what} of {found} tokens: this model takes at most {most}; shorten it"
            )));
        }
        Ok(())
    }

    /// The ids of a text without the tokens that a tokenizer puts around it.
    fn bare(&self, text: &str) -> Result<Vec<i64>> {
        let processor = self.text()?;
        let t = &self.config.tokens;
        let mut ids = processor.encode(text)?;
        if ids.last().is_some_and(|i| t.end.contains(i)) {
            ids.pop();
        }
        if ids.first() == t.first.as_ref() {
            ids.remove(0);
        }
        Ok(ids)
    }

    /// Texts about the items of a memory, all with the same prompt.
    ///
    /// # Errors
    /// As [`Generator::run`].
    pub fn caption(
        &self,
        memory: &CrossKv,
        prompt: &[i64],
        options: &Generation,
        first: u64,
        watch: Option<Watch>,
    ) -> Result<Vec<Generated>> {
        self.require(Ability::Caption)?;
        let Some(stack) = &self.decoder else { return Ok(Vec::new()) };
        let prompts = vec![prompt.to_vec(); usize::try_from(memory.items()).unwrap_or(0)];
        let generator = Generator { stack, memory: Some(memory), options, rule: None, first };
        generator.run(&prompts, watch)
    }

    /// A generated text as a string, with its prompt.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn say(&self, generated: &Generated) -> Result<String> {
        let ids: Vec<u32> = generated.ids.iter().filter_map(|i| u32::try_from(*i).ok()).collect();
        let special = [self.config.tokens.start].into_iter().chain(self.config.tokens.end.iter().copied());
        let special: Vec<i64> = special.chain(self.config.tokens.first).collect();
        let ids: Vec<u32> = ids.into_iter().filter(|i| !special.contains(&i64::from(*i))).collect();
        let text = self.text()?.tokenizer().decode(&ids, true);
        let text = text.map_err(|e| unisono_processors::Error::Tokenizer(e.to_string()))?;
        // CLIP's vocabulary ends its words so.
        Ok(text.replace("</w>", " ").trim().to_owned())
    }

    /// Logits `[B, 2]` that text and memory do not and do belong together; `ids` and `real` `[B, T]` from the text processor, B a
    /// multiple of the memory's items `[N, S, M]`, those of one item one after another.
    ///
    /// # Errors
    /// No matching head, too many tokens, or libtorch's.
    pub fn match_logits(&self, ids: &Tensor, real: &Tensor, memory: &CrossKv, mode: Mode) -> Result<Tensor> {
        self.require(Ability::Match)?;
        let (Some(stack), Some(head)) = (self.reader(), &self.matching) else {
            return Err(Error::Config("the model has no matching head".into()));
        };
        let hidden = stack.forward(ids, &Mask::keys(real)?, Some(memory), None, mode)?;
        let at = if self.config.last_token {
            let last = real.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Int64)?.f_sub_scalar(1)?;
            let (b, _, w) = hidden.size3()?;
            let index = last.f_view([b, 1, 1])?.f_expand([b, 1, w], false)?;
            hidden.f_gather(1, &index, false)?.f_squeeze_dim(1)?
        } else {
            hidden.f_select(1, 0)?
        };
        Ok(head.forward(&at)?)
    }

    /// Probabilities `[texts]` that each text belongs to the item of the memory of the same number, without a graph.
    ///
    /// # Errors
    /// As [`match_logits`](Self::match_logits).
    pub fn matches<S: AsRef<str>>(&self, texts: &[S], sequences: &[Sequence]) -> Result<Vec<f32>> {
        self.require(Ability::Match)?;
        let (ids, real) = self.batch(texts)?;
        let Some(reader) = self.reader() else { return Ok(Vec::new()) };
        tch::no_grad(|| {
            let (memory, mask) = self.memory(sequences)?;
            let memory = reader.cross_kv(&memory, mask.as_ref())?;
            let logits = self.match_logits(&ids, &real, &memory, Mode::Eval)?;
            let p = logits.f_softmax(-1, Kind::Float)?.f_select(1, 1)?.f_to_device(Device::Cpu)?;
            Ok(Vec::<f32>::try_from(&p)?)
        })
    }

    /// Texts → ids `[B, T]` and what of them is real.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn batch<S: AsRef<str>>(&self, texts: &[S]) -> Result<(Tensor, Tensor)> {
        let processor = self.text()?;
        let mut ids = Vec::with_capacity(texts.len());
        for text in texts {
            ids.push(processor.encode(text.as_ref())?);
        }
        Ok(batch::token_ids(processor, &ids, self.towers.device())?)
    }

    /// What the reader makes of questions about the items of a memory: the memory of their answers.
    ///
    /// # Errors
    /// No answering head, too many tokens, or libtorch's.
    pub fn consider(&self, ids: &Tensor, real: &Tensor, sequences: &[Sequence]) -> Result<CrossKv> {
        self.require(Ability::Ask)?;
        let (Some(reader), Some(writer)) = (&self.encoder, &self.decoder) else {
            return Err(Error::Config("the model has no answering head".into()));
        };
        tch::no_grad(|| {
            let (memory, mask) = self.memory(sequences)?;
            let memory = reader.cross_kv(&memory, mask.as_ref())?;
            let hidden = reader.forward(ids, &Mask::keys(real)?, Some(&memory), None, Mode::Eval)?;
            writer.cross_kv(&hidden, Some(real))
        })
    }

    /// Answers to what was considered.
    ///
    /// # Errors
    /// As [`Generator::run`].
    pub fn answer(
        &self,
        considered: &CrossKv,
        options: &Generation,
        first: u64,
        watch: Option<Watch>,
    ) -> Result<Vec<Generated>> {
        self.require(Ability::Ask)?;
        let Some(stack) = &self.decoder else { return Ok(Vec::new()) };
        let prompts = vec![vec![self.config.tokens.start]; usize::try_from(considered.items()).unwrap_or(0)];
        let generator = Generator { stack, memory: Some(considered), options, rule: None, first };
        generator.run(&prompts, watch)
    }

    /// Log-probabilities `[N, A]` of each of the given answers, to what was considered.
    ///
    /// # Errors
    /// The tokenizer's, or libtorch's.
    pub fn rank<S: AsRef<str>>(&self, considered: &CrossKv, answers: &[S]) -> Result<Vec<Vec<f64>>> {
        self.require(Ability::Ask)?;
        let Some(writer) = &self.decoder else { return Ok(Vec::new()) };
        let t = &self.config.tokens;
        let end = t.end.first().copied().unwrap_or(t.pad);
        let mut rows = Vec::with_capacity(answers.len());
        for answer in answers {
            let mut ids = vec![t.start];
            ids.extend(self.bare(answer.as_ref())?);
            ids.push(end);
            rows.push(ids);
        }
        let items = considered.items();
        let longest = rows.iter().map(Vec::len).max().unwrap_or(1);
        let (mut input, mut target) = (Vec::new(), Vec::new());
        for row in (0..items).flat_map(|_| &rows) {
            for at in 0..longest - 1 {
                input.push(row.get(at).copied().unwrap_or(t.pad));
                target.push(row.get(at + 1).copied().unwrap_or(-100));
            }
        }
        let shape = [items * rows.len() as i64, longest as i64 - 1];
        let device = self.towers.device();
        tch::no_grad(|| {
            let input = Tensor::f_from_slice(&input)?.f_view(shape)?.f_to_device(device)?;
            let target = Tensor::f_from_slice(&target)?.f_view(shape)?.f_to_device(device)?;
            let hidden = writer.forward(&input, &Mask::Causal, Some(considered), None, Mode::Eval)?;
            let log = writer.scores(&hidden)?.f_log_softmax(-1, Kind::Float)?;
            let real = target.f_ge(0)?;
            let picked =
                log.f_gather(2, &target.f_clamp_min(0)?.f_unsqueeze(-1)?, false)?.f_squeeze_dim(2)?;
            let sums = picked.f_mul(&real)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
            let sums = sums.f_view([items, rows.len() as i64])?.f_to_kind(Kind::Double)?;
            Ok(Vec::<Vec<f64>>::try_from(&sums.f_to_device(Device::Cpu)?)?)
        })
    }
}

/// The width of a tower's tokens.
pub(crate) fn tower_width(towers: &Model, modality: Modality) -> Result<i64> {
    let c = towers.config();
    let width = match modality {
        Modality::Text => c.text.as_ref().map(|t| t.transformer.width),
        Modality::Image => c.image.as_ref().map(unisono_encoders::config::ImageConfig::out_width),
        Modality::Audio => {
            let audio = c.audio.as_ref().map(unisono_encoders::config::AudioConfig::out_width);
            audio.or(c.htsat.as_ref().map(unisono_encoders::htsat::HtsatConfig::out_width))
        }
        // What is attended to of a video are its frames' tokens, the image tower's.
        Modality::Video => None,
    };
    Ok(width.ok_or_else(|| towers.no_tower(modality))?)
}

/// What reading a model found.
#[derive(Debug)]
pub struct Imported {
    /// What wrote it: `unisono`, `blip`, `open_clip`, `whisper`.
    pub family: String,
    /// The model.
    pub model: FusionModel,
    /// What was taken from the weights for the fusion part.
    pub report: LoadReport,
}
