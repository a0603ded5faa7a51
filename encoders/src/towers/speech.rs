//! Behind an audio tower, what a decoder says of what was heard.

use crate::Result;
use crate::config::{SpeechDecoderConfig, TransformerConfig};
use tch::{Device, Kind, Tensor};
use unisono_nn::{Cache, CrossKv, Init, Linear, Mask, Norm, Pass, Positions, Precision, Scope, Transformer};

/// A decoder that writes the best token at a time.
#[derive(Debug)]
pub(crate) struct SpeechDecoder {
    config: SpeechDecoderConfig,
    embedding: Tensor,
    position: Positions,
    blocks: Transformer,
    norm: Norm,
    scores: Linear,
}

/// What is written so far of a batch.
struct Written {
    /// Those of the batch that are still written, `[n]` int64.
    rows: Tensor,
    /// `[n]` bool: which of them have ended.
    ended: Tensor,
    /// Sum `[B, W]`, maximum `[B, W]` and number `[B, 1]` of the states.
    sum: Tensor,
    most: Tensor,
    count: Tensor,
    /// The tokens `[B]` of each step.
    tokens: Vec<Tensor>,
}

impl SpeechDecoder {
    /// Under `scope`, behind a tower whose tokens are of width `width`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &SpeechDecoderConfig, width: i64) -> Result<Self> {
        let t: &TransformerConfig = &c.transformer;
        let shape = [c.vocab_size, t.width];
        let embedding = scope.child("embedding").param("weight", &shape, Init::Normal(0.02))?;
        Ok(Self {
            position: Positions::new(scope, t, c.context_length, 0.02)?,
            blocks: Transformer::decoder(scope, t, Some(&c.memory(width)))?,
            norm: Norm::of(&scope.child("norm"), t, t.width)?,
            scores: Linear::over(embedding.shallow_clone(), None),
            embedding,
            config: c.clone(),
        })
    }

    /// Packs the blocks' weights for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.blocks.prepare(precision)?;
        Ok(self.scores.prepare(precision)?)
    }

    /// Whether the text tower reads what is written.
    pub fn is_read(&self) -> bool {
        self.config.reads > 0
    }

    /// The tokens of a tower `[B, T, W]`, `mask` `[B, T]` bool (true = real; `None`: all) → mean and maximum of the states behind what is written of
    /// each `[B, 2W]`, and its ids `[B, n]`, the end's behind them; without a graph: what is written has no gradient.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, heard: &Tensor, mask: Option<&Tensor>, pass: &Pass) -> Result<(Tensor, Tensor)> {
        tch::no_grad(|| self.write(heard, mask, pass))
    }

    fn write(&self, heard: &Tensor, mask: Option<&Tensor>, pass: &Pass) -> Result<(Tensor, Tensor)> {
        let (c, device) = (&self.config, heard.device());
        let (b, _, _) = heard.size3()?;
        let mut memory = self.blocks.cross_kv(heard, mask, pass)?;
        let mut cache = self.blocks.cache(b, c.before() + c.most, device, pass)?;
        let mut behind = 0;
        let mut next = |ids: &Tensor, memory: &CrossKv, cache: &mut Cache| -> Result<Tensor> {
            let t = ids.size2()?.1;
            let x = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
            let x = self.position.forward(x, behind)?;
            let x = self.blocks.decode(x, &Mask::None, Some(memory), Some(cache), pass)?;
            behind += t;
            Ok(self.norm.forward(&x.f_select(1, t - 1)?)?)
        };
        let of_all = |id: i64| Tensor::f_full([b, 1], id, (Kind::Int64, device));
        let mut ids = of_all(c.start)?;
        let mut prompt = Vec::with_capacity(c.prompt.len() + 1);
        if !c.languages.is_empty() {
            let languages = Tensor::f_from_slice(&c.languages)?.f_to_device(device)?;
            let scores =
                self.scores.forward(&next(&ids, &memory, &mut cache)?)?.f_index_select(1, &languages)?;
            prompt.push(languages.f_index_select(0, &scores.f_argmax(1, false)?)?.f_unsqueeze(1)?);
        } else {
            prompt.push(ids);
        }
        for id in &c.prompt {
            prompt.push(of_all(*id)?);
        }
        ids = Tensor::f_cat(&prompt, 1)?;
        let (never, first) = (self.never(&c.suppress, device)?, self.never(&c.begin_suppress, device)?);
        let mut written = Written::new(b, c.transformer.width, device)?;
        for step in 0..c.most {
            let state = next(&ids, &memory, &mut cache)?;
            let mut scores = self.scores.forward(&state)?.f_masked_fill(&never, f64::NEG_INFINITY)?;
            if step == 0 {
                scores = scores.f_masked_fill(&first, f64::NEG_INFINITY)?;
            }
            let best = scores.f_argmax(1, false)?;
            written.push(&state, &best, c.end)?;
            ids = best.f_unsqueeze(1)?;
            let ended = i64::try_from(written.ended.f_sum(Kind::Int64)?)?;
            let n = written.ended.size1()?;
            if ended == n {
                break;
            }
            // What has ended costs as much as what is written.
            if ended * 3 >= n {
                let on = written.ended.f_logical_not()?.f_nonzero()?.f_view([-1])?;
                written.keep(&on)?;
                ids = ids.f_index_select(0, &on)?;
                memory = memory.select(&on)?;
                cache.reorder(&on, 0)?;
            }
        }
        written.pooled()
    }

    /// Tokens that are not written `[V]` bool: these, and all above the end.
    fn never(&self, ids: &[i64], device: Device) -> Result<Tensor> {
        let c = &self.config;
        let never = Tensor::f_arange(c.vocab_size, (Kind::Int64, Device::Cpu))?.f_gt(c.end)?;
        if !ids.is_empty() {
            let _ = never.shallow_clone().f_index_fill_(0, &Tensor::f_from_slice(ids)?, 1)?;
        }
        Ok(never.f_to_device(device)?)
    }
}

impl Written {
    fn new(b: i64, width: i64, device: Device) -> Result<Self> {
        Ok(Self {
            rows: Tensor::f_arange(b, (Kind::Int64, device))?,
            ended: Tensor::f_zeros([b], (Kind::Bool, device))?,
            sum: Tensor::f_zeros([b, width], (Kind::Float, device))?,
            most: Tensor::f_full([b, width], f64::NEG_INFINITY, (Kind::Float, device))?,
            count: Tensor::f_zeros([b, 1], (Kind::Float, device))?,
            tokens: Vec::new(),
        })
    }

    /// The states `[B, W]` that the tokens `[B]` were written from, where the text had not ended before; that of the end counts.
    fn push(&mut self, states: &Tensor, tokens: &Tensor, end: i64) -> Result<()> {
        let ended = self.ended.f_unsqueeze(1)?;
        let states = states.f_to_kind(Kind::Float)?;
        let rows = &self.rows;
        self.sum = self.sum.f_index_add(0, rows, &states.f_masked_fill(&ended, 0.0)?)?;
        let most = self.most.f_index_select(0, rows)?;
        let most = most.f_maximum(&states.f_masked_fill(&ended, f64::NEG_INFINITY)?)?;
        self.most = self.most.f_index_copy(0, rows, &most)?;
        self.count = self.count.f_index_add(0, rows, &ended.f_logical_not()?.f_to_kind(Kind::Float)?)?;
        let all = Tensor::f_full([self.count.size()[0]], end, (Kind::Int64, rows.device()))?;
        self.tokens.push(all.f_index_copy(0, rows, &tokens.f_masked_fill(&self.ended, end)?)?);
        self.ended = self.ended.f_logical_or(&tokens.f_eq(end)?)?;
        Ok(())
    }

    /// Only the rows `on` `[m]` int64 of those still written are written on.
    fn keep(&mut self, on: &Tensor) -> Result<()> {
        self.rows = self.rows.f_index_select(0, on)?;
        self.ended = self.ended.f_index_select(0, on)?;
        Ok(())
    }

    fn pooled(self) -> Result<(Tensor, Tensor)> {
        let states = Tensor::f_cat(&[self.sum.f_div(&self.count)?, self.most], -1)?;
        Ok((states, Tensor::f_stack(&self.tokens, 1)?))
    }
}
