//! What a model is asked for: captions, matches, answers.

use crate::entrance::Sequence;
use crate::generate::Rule;
use crate::generate::{Generated, Generator, Streamer};
use crate::{Ability, CrossKv, Error, FusionModel, Generation, Mask, Result};
use tch::{Device, Kind, Tensor};
use unisono_encoders::config::Score;
use unisono_encoders::{Mode, Pass, batch};
use unisono_processors::Pair;

impl FusionModel {
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
        streamer: Option<Streamer>,
    ) -> Result<Vec<Generated>> {
        self.require(Ability::Caption)?;
        let Some(stack) = &self.decoder else { return Ok(Vec::new()) };
        let prompts = vec![prompt.to_vec(); usize::try_from(memory.items()).unwrap_or(0)];
        let rule = self.lexicon.as_ref().map(|words| words as &dyn Rule);
        let generator = Generator { stack, memory: Some(memory), options, rule, first };
        generator.run(&prompts, streamer)
    }

    /// A generated text as a string, with its prompt.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn decode(&self, generated: &Generated) -> Result<String> {
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
    pub fn match_logits<'a>(
        &self,
        ids: &Tensor,
        real: &Tensor,
        memory: &CrossKv,
        pass: impl Into<Pass<'a>>,
    ) -> Result<Tensor> {
        self.require(Ability::Match)?;
        let (Some(stack), Some(head)) = (self.reader(), &self.matching) else {
            return Err(Error::Config("the model has no matching head".into()));
        };
        let hidden = stack.forward(ids, &Mask::keys(real)?, Some(memory), None, pass)?;
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
            let memory = reader.cross_kv(&memory, mask.as_ref(), Mode::Eval)?;
            let logits = self.match_logits(&ids, &real, &memory, Mode::Eval)?;
            let p = logits.f_softmax(-1, Kind::Float)?.f_select(1, 1)?.f_to_device(Device::Cpu)?;
            Ok(Vec::<f32>::try_from(&p)?)
        })
    }

    /// How well the texts of each pair go together, of a model that [compares texts](unisono_encoders::Model::compares_texts): probabilities, or the numbers as they are
    /// where the model says so.
    ///
    /// # Errors
    /// Another model, or libtorch's.
    pub fn compare(&self, pairs: &[Pair]) -> Result<Vec<f32>> {
        self.require(Ability::Match)?;
        let logits = self.towers.pair_logits(pairs)?;
        let scores = if self.gives_probabilities() { logits.f_sigmoid()? } else { logits };
        Ok(unisono_encoders::to_vec(&scores)?)
    }

    /// Whether a match is a probability; some models that compare texts give numbers without bounds.
    pub fn gives_probabilities(&self) -> bool {
        self.towers.classifier().is_none_or(|c| c.score != Score::Raw)
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
            let memory = reader.cross_kv(&memory, mask.as_ref(), Mode::Eval)?;
            let hidden = reader.forward(ids, &Mask::keys(real)?, Some(&memory), None, Mode::Eval)?;
            writer.cross_kv(&hidden, Some(real), Mode::Eval)
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
        streamer: Option<Streamer>,
    ) -> Result<Vec<Generated>> {
        self.require(Ability::Ask)?;
        let Some(stack) = &self.decoder else { return Ok(Vec::new()) };
        let prompts = vec![vec![self.config.tokens.start]; usize::try_from(considered.items()).unwrap_or(0)];
        let generator = Generator { stack, memory: Some(considered), options, rule: None, first };
        generator.run(&prompts, streamer)
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
