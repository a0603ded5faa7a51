//! What is said in a sound: Whisper's sequential windows (Radford et al. 2023, section 3.8), with the rules for its times, as
//! transformers runs them.

use crate::config::SpeechConfig;
use crate::generate::{Generated, Generation, Generator, Rule};
use crate::model::{Ability, FusionModel, Sequence};
use crate::{Error, Mask, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;
use std::ops::ControlFlow;
use tch::{Kind, Tensor};
use unisono_encoders::{Modality, Mode};
use unisono_nn::CrossKv;

/// Language of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// That of what is said.
    #[default]
    Transcribe,
    /// English.
    Translate,
}

/// How speech is written down.
#[derive(Debug, Clone)]
pub struct Transcription {
    /// The code of the language that is spoken (`de`); absent: found in the first window.
    pub language: Option<String>,
    /// Language of what is written.
    pub task: Task,
    /// With times; without, each window is one segment.
    pub timestamps: bool,
    /// Text that comes before, whose spelling and names are followed.
    pub prompt: Vec<i64>,
    /// Each window sees what was written for those before it.
    pub condition: bool,
    /// Tried one after another while a window's text is bad; 0 takes the best token.
    pub temperatures: Vec<f64>,
    /// A text whose ids compress better than this repeats itself: bad.
    pub compression_ratio: Option<f64>,
    /// A text whose tokens have less log-probability in the mean: bad.
    pub log_probability: Option<f64>,
    /// A window that is bad so and has more probability of no speech than this: silence.
    pub no_speech: Option<f64>,
    /// Most new tokens of a window; absent: the model's own limit.
    pub most: Option<usize>,
    /// No end of a window's text before it has so many new tokens; absent: the generation's rule, which counts the prompt, too.
    pub least: Option<usize>,
    /// Rules, beams and seed of the generation.
    pub generation: Generation,
}

impl Transcription {
    /// The paper's settings over a model's own generation: times, and its five warmer temperatures where a text is bad.
    pub fn new(generation: Generation) -> Self {
        Self {
            language: None,
            task: Task::Transcribe,
            timestamps: true,
            prompt: Vec::new(),
            condition: false,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            compression_ratio: Some(2.4),
            log_probability: Some(-1.0),
            no_speech: Some(0.6),
            most: None,
            least: None,
            generation,
        }
    }
}

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Seconds from the beginning of the sound.
    pub start: f64,
    /// Seconds from the beginning of the sound.
    pub end: f64,
    /// Ids, those of times among them.
    pub ids: Vec<i64>,
}

/// What was found in one sound.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// The code of the language; absent for models of English only.
    pub language: Option<String>,
    /// In the order of time.
    pub segments: Vec<Segment>,
}

impl Transcript {
    /// No segment lies beyond the end of a sound of so many seconds: windows go on in silence, and times with them. What is said to begin
    /// there was said before: it ends the segment before it.
    pub fn end_at(&mut self, seconds: f64) {
        let mut kept: Vec<Segment> = Vec::with_capacity(self.segments.len());
        for mut segment in self.segments.drain(..) {
            segment.end = segment.end.clamp(segment.start.min(seconds), seconds);
            match kept.last_mut() {
                Some(last) if segment.start >= seconds => {
                    last.ids.append(&mut segment.ids);
                    last.end = segment.end;
                }
                _ => {
                    segment.start = if segment.start < seconds { segment.start } else { 0.0 };
                    kept.push(segment);
                }
            }
        }
        self.segments = kept;
    }
}

/// The rules that times obey.
#[derive(Debug)]
struct Times {
    /// The id that says that there are none; the first time's is the next.
    none: i64,
    end: i64,
    prompt: usize,
    most_initial: Option<i64>,
}

impl Rule for Times {
    fn apply(&self, ids: &[i64], scores: &mut [f32]) {
        let never = f32::NEG_INFINITY;
        let begin = (self.none + 1).clamp(0, scores.len() as i64) as usize;
        let is_time = |id: &i64| *id > self.none;
        if let Some(none) = scores.get_mut(self.none as usize) {
            *none = never;
        }
        let new = ids.get(self.prompt..).unwrap_or(&[]);
        let last = new.last().is_some_and(is_time);
        let before = new.len() < 2 || is_time(&new[new.len() - 2]);
        // Times come in pairs, but for one before the end.
        if last && before {
            scores[begin..].fill(never);
        } else if last {
            let end = (self.end.max(0) as usize).min(scores.len());
            scores[..end].fill(never);
        }
        if let Some(time) = new.iter().rev().find(|id| is_time(id)) {
            // They never go back, and a segment has a length.
            let least = if last && !before { *time } else { time + 1 };
            let least = (least.max(0) as usize).clamp(begin, scores.len());
            scores[begin..least].fill(never);
        }
        if new.is_empty() {
            scores[..begin].fill(never);
            if let Some(most) = self.most_initial {
                let from = (begin + most.max(0) as usize + 1).min(scores.len());
                scores[from..].fill(never);
            }
        }
        // All times together more probable than any one word: a time.
        let (words, times) = scores.split_at_mut(begin);
        let most = |s: &[f32]| s.iter().copied().fold(never, f32::max);
        let (word, time) = (most(words), most(times));
        if time > never {
            let sum: f32 = times.iter().map(|s| (s - time).exp()).sum();
            if time + sum.ln() > word {
                words.fill(never);
            }
        }
    }
}

/// A sound on its way.
struct Track<'a> {
    /// `[T, M]`.
    mel: &'a [f32],
    frames: usize,
    /// The first frame that is not written yet.
    seek: usize,
    language: Option<i64>,
    /// What was written may be shown to the next window.
    reliable: bool,
    segments: Vec<Segment>,
}

/// Asked before each window and each token whether the work goes on.
type GoOn<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Windows that are written together.
struct Window {
    track: usize,
    frames: usize,
    prompt: Vec<i64>,
}

impl FusionModel {
    /// Speech in sounds: log-mel spectrograms `[T_i, M]` of any length, from the model's front end. `watch` is told how many of all
    /// frames are done, before each window and each token; `Break` ends the work with [`Error::Stopped`].
    ///
    /// # Errors
    /// [`Error::Stopped`], a model without a speech head, an unknown language, a task that it does not have, or libtorch's.
    pub fn transcribe(
        &self,
        mels: &[Vec<f32>],
        options: &Transcription,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<Transcript>> {
        self.require(Ability::Transcribe)?;
        let Some(speech) = &self.config().speech else { return Ok(Vec::new()) };
        let bands = self.bands()?;
        let mut tracks = Vec::with_capacity(mels.len());
        for mel in mels {
            if mel.is_empty() || mel.len() % bands != 0 {
                return Err(Error::Shape(format!(
                    "spectrogram of {} values, expected frames of {bands}",
                    mel.len()
                )));
            }
            let frames = mel.len() / bands;
            tracks.push(Track {
                mel,
                frames,
                seek: 0,
                language: None,
                reliable: false,
                segments: Vec::new(),
            });
        }
        let total = tracks.iter().map(|t| t.frames).sum();
        let done = |tracks: &[Track]| tracks.iter().map(|t| t.seek.min(t.frames)).sum();
        // Who said stop once is not asked again: the last token of a window is told where nothing is left to stop.
        let mut stopped = false;
        let mut go_on = |done| {
            stopped = stopped || watch(done, total).is_break();
            if stopped { Err(Error::Stopped) } else { Ok(()) }
        };
        self.languages(&mut tracks, speech, options, &mut || go_on(0))?;
        while tracks.iter().any(|t| t.seek < t.frames) {
            let mut groups: std::collections::BTreeMap<usize, Vec<Window>> =
                std::collections::BTreeMap::new();
            for (i, track) in tracks.iter().enumerate().filter(|(_, t)| t.seek < t.frames) {
                let prompt = self.prompt(track, speech, options)?;
                let frames = (track.frames - track.seek).min(speech.frames);
                groups.entry(prompt.len()).or_default().push(Window { track: i, frames, prompt });
            }
            for windows in groups.into_values() {
                let now = done(&tracks);
                self.write(&mut tracks, &windows, speech, options, &mut || go_on(now))?;
            }
        }
        // Nothing is left that could be stopped.
        let _ = go_on(total);
        let code = |id: i64| speech.languages.iter().find(|(_, v)| **v == id).map(|(k, _)| k.clone());
        let made = tracks
            .into_iter()
            .map(|t| Transcript { language: t.language.and_then(code), segments: t.segments });
        Ok(made.collect())
    }

    fn bands(&self) -> Result<usize> {
        let bands = self.towers().config().audio.as_ref().map(|a| a.mels);
        Ok(bands
            .and_then(|m| usize::try_from(m).ok())
            .ok_or_else(|| self.towers().no_tower(Modality::Audio))?)
    }

    /// Seconds of a spectrogram frame; Whisper's where the front end's file is missing.
    fn frame(&self) -> f64 {
        let c = self.towers().processors().audio.as_ref().map(|a| a.config());
        c.map_or(0.01, |c| c.hop as f64 / f64::from(c.sample_rate))
    }

    /// Windows of the tracks, from where each is, as a memory.
    fn listen(&self, tracks: &[Track], windows: &[Window], speech: &SpeechConfig) -> Result<CrossKv> {
        let bands = self.bands()?;
        let size = speech.frames * bands;
        let mut data = vec![0f32; windows.len() * size];
        for (row, w) in data.chunks_mut(size).zip(windows) {
            let track = &tracks[w.track];
            let n = w.frames * bands;
            row[..n].copy_from_slice(&track.mel[track.seek * bands..][..n]);
        }
        let shape = [windows.len() as i64, speech.frames as i64, bands as i64];
        let device = self.towers().device();
        let mel = Tensor::f_from_slice(&data)?.f_view(shape)?.f_to_device(device)?;
        let lengths = Tensor::f_full([shape[0]], shape[1], (Kind::Int64, device))?;
        let out = tch::no_grad(|| self.towers().forward_audio(&mel, &lengths, Mode::Eval))?;
        // Whisper attends to the silence that fills a window.
        self.cross_kv(&[Sequence { modality: Modality::Audio, tokens: out.tokens, mask: None, frame: 0 }])
    }

    /// Finds or takes the languages.
    fn languages(
        &self,
        tracks: &mut [Track],
        speech: &SpeechConfig,
        o: &Transcription,
        go_on: GoOn,
    ) -> Result<()> {
        if let Some(code) = &o.language {
            if speech.languages.is_empty() {
                return if code == "en" {
                    Ok(())
                } else {
                    Err(Error::Config(format!("language {code:?}: this model knows English only")))
                };
            }
            let id = speech.languages.get(code).copied().ok_or_else(|| {
                let known: Vec<&str> = speech.languages.keys().map(String::as_str).collect();
                Error::Config(format!("language {code:?}: expected one of {}", known.join(", ")))
            })?;
            tracks.iter_mut().for_each(|t| t.language = Some(id));
            return Ok(());
        }
        if speech.languages.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = speech.languages.values().copied().collect();
        for at in (0..tracks.len()).step_by(8) {
            let part = at..(at + 8).min(tracks.len());
            let window = |i: usize| Window {
                track: i,
                frames: tracks[i].frames.min(speech.frames),
                prompt: vec![self.config().tokens.start],
            };
            let windows: Vec<Window> = part.clone().map(window).collect();
            go_on()?;
            let memory = self.listen(tracks, &windows, speech)?;
            let scores = self.first_scores(&windows, &memory, 0)?;
            let wanted = Tensor::f_from_slice(&ids)?.f_to_device(scores.device())?;
            let best = scores.f_index_select(1, &wanted)?.f_argmax(1, false)?;
            let best = Vec::<i64>::try_from(&best.f_to_device(tch::Device::Cpu)?)?;
            for (i, best) in part.zip(best) {
                tracks[i].language = ids.get(best as usize).copied();
            }
        }
        Ok(())
    }

    /// Scores `[B, V]` of what follows token `at` of the windows' prompts.
    fn first_scores(&self, windows: &[Window], memory: &CrossKv, at: usize) -> Result<Tensor> {
        let writer = self.writer().ok_or_else(|| Error::Config("the model writes no texts".into()))?;
        let ids: Vec<i64> = windows.iter().flat_map(|w| w.prompt[..=at].iter().copied()).collect();
        let ids = Tensor::f_from_slice(&ids)?.f_view([windows.len() as i64, at as i64 + 1])?;
        tch::no_grad(|| {
            let ids = ids.f_to_device(writer.device())?;
            let hidden = writer.forward(&ids, &Mask::Causal, Some(memory), None, Mode::Eval)?;
            writer.scores(&hidden.f_select(1, at as i64)?)
        })
    }

    /// What the next window of a track is written after.
    fn prompt(&self, track: &Track, speech: &SpeechConfig, o: &Transcription) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        let history = o.condition && track.reliable && !track.segments.is_empty();
        if let Some(previous) = speech.previous
            && (history || !o.prompt.is_empty())
        {
            let mut before = o.prompt.clone();
            if history {
                for segment in &track.segments {
                    // A segment that ends with two times ends with one and begins the next with the other.
                    let n = segment.ids.len();
                    let doubled = n > 2 && segment.ids[n - 2] > speech.no_timestamps;
                    before.extend(&segment.ids[..n - usize::from(doubled)]);
                }
            }
            let context = self.writer().map_or(0, |w| w.config().context_length);
            let room = usize::try_from(context / 2 - 1).unwrap_or(0);
            ids.push(previous);
            ids.extend(&before[before.len().saturating_sub(room)..]);
        }
        ids.push(self.config().tokens.start);
        if let Some(language) = track.language {
            ids.push(language);
        }
        match (o.task, speech.transcribe, speech.translate) {
            (Task::Transcribe, Some(id), _) | (Task::Translate, _, Some(id)) => ids.push(id),
            (Task::Transcribe, None, _) => {}
            (Task::Translate, _, None) => {
                return Err(Error::Config("this model does not translate: it knows English only".into()));
            }
        }
        if !o.timestamps {
            let last = self.writer().map_or(0, |w| w.config().vocab_size - 1);
            crate::config::range("speech.no_timestamps", speech.no_timestamps, 0, last)?;
            ids.push(speech.no_timestamps);
        }
        Ok(ids)
    }

    /// Writes one window of each of some tracks and moves them on.
    fn write(
        &self,
        tracks: &mut [Track],
        windows: &[Window],
        speech: &SpeechConfig,
        o: &Transcription,
        go_on: GoOn,
    ) -> Result<()> {
        go_on()?;
        let writer = self.writer().ok_or_else(|| Error::Config("the model writes no texts".into()))?;
        let end = self.config().tokens.end.first().copied().unwrap_or(-1);
        let memory = self.listen(tracks, windows, speech)?;
        let length = windows.first().map_or(0, |w| w.prompt.len());
        let silence = match o.no_speech {
            Some(_) => {
                let at =
                    windows[0].prompt.iter().position(|id| *id == self.config().tokens.start).unwrap_or(0);
                let p = self.first_scores(windows, &memory, at)?.f_softmax(-1, Kind::Float)?;
                crate::config::range("speech.no_timestamps", speech.no_timestamps, 1, p.size2()?.1)?;
                let p = p.f_select(1, speech.no_timestamps - 1)?.f_to_device(tch::Device::Cpu)?;
                Vec::<f32>::try_from(&p)?
            }
            None => vec![0.0; windows.len()],
        };
        let times = Times {
            none: speech.no_timestamps,
            end,
            prompt: length,
            most_initial: speech.max_initial_timestamp,
        };
        let rule: Option<&dyn Rule> = if o.timestamps { Some(&times) } else { None };
        let mut results: Vec<Option<(Generated, bool, f64)>> = windows.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..windows.len()).collect();
        let temperatures: &[f64] = if o.temperatures.is_empty() { &[0.0] } else { &o.temperatures };
        for temperature in temperatures {
            let context = usize::try_from(writer.config().context_length).unwrap_or(0);
            let longest = o.most.map_or(o.generation.max_length + length, |m| m + length);
            let generation = Generation {
                temperature: *temperature,
                beams: if *temperature > 0.0 { 1 } else { o.generation.beams },
                max_length: longest.min(context),
                min_length: o.least.map_or(o.generation.min_length, |least| least + length),
                ..o.generation.clone()
            };
            let rows: Vec<i64> = open.iter().map(|i| *i as i64).collect();
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(writer.device())?;
            let part = tch::no_grad(|| memory.select(&rows))?;
            let prompts: Vec<Vec<i64>> = open.iter().map(|i| windows[*i].prompt.clone()).collect();
            let first = tracks[windows[0].track].seek as u64;
            let generator =
                Generator { stack: writer, memory: Some(&part), options: &generation, rule, first };
            let mut again = Vec::new();
            let mut watch = |_: &[(usize, i64)]| match go_on() {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            for (i, text) in open.iter().zip(generator.run(&prompts, Some(&mut watch))?) {
                let ids = &text.ids[text.prompt..];
                let vocab = writer.config().vocab_size;
                let repeats = o.compression_ratio.is_some_and(|most| compression(ids, vocab) > most);
                let unsure = o.log_probability.is_some_and(|least| text.score < least);
                let silent = unsure && o.no_speech.is_some_and(|most| f64::from(silence[*i]) > most);
                if (repeats || unsure) && !silent {
                    again.push(*i);
                }
                results[*i] = Some((text, silent, *temperature));
            }
            open = again;
            if open.is_empty() {
                break;
            }
        }
        for (w, result) in windows.iter().zip(results) {
            let track = &mut tracks[w.track];
            let Some((text, silent, temperature)) = result else { continue };
            track.reliable = temperature < 0.5;
            if silent {
                track.seek += w.frames;
                continue;
            }
            let ids = text.text(&[end]);
            let (segments, moved) = cut(ids, track.seek, w.frames, speech, self.frame());
            track.segments.extend(segments);
            // A window that ends where it began would be written for ever.
            track.seek += if moved == 0 { w.frames } else { moved };
        }
        Ok(())
    }
}

/// How much smaller the ids become when they are compressed: text that repeats itself becomes much smaller.
fn compression(ids: &[i64], vocab: i64) -> f64 {
    let each = ((vocab.max(2) as f64).log2() / 8.0) as usize + 1;
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes().into_iter().take(each)).collect();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    packed.map_or(0.0, |p| bytes.len() as f64 / p.len().max(1) as f64)
}

/// The segments of a window's ids, and by how many frames the sound moves on. `frame`: seconds of a spectrogram frame.
fn cut(ids: &[i64], seek: usize, frames: usize, speech: &SpeechConfig, frame: f64) -> (Vec<Segment>, usize) {
    let begin = speech.no_timestamps + 1;
    let step = frame * speech.stride as f64;
    let offset = seek as f64 * step / speech.stride as f64;
    let is_time = |id: i64| id >= begin;
    let time = |id: i64| offset + (id - begin) as f64 * step;
    let n = ids.len();
    // The window ends inside a segment's text or with one time: nothing of it is left.
    let single = n >= 2 && is_time(ids[n - 1]) && !is_time(ids[n - 2]);
    let mut slices: Vec<usize> =
        (0..n.saturating_sub(1)).filter(|i| is_time(ids[*i]) && is_time(ids[i + 1])).map(|i| i + 1).collect();
    if slices.is_empty() {
        let mut last = (frames as f64 * frame / step).floor();
        if let Some(at) = ids.iter().rev().find(|id| is_time(**id))
            && *at != begin
        {
            last = (at - begin) as f64;
        }
        let segment = Segment { start: offset, end: offset + last * step, ids: ids.to_vec() };
        return (vec![segment], frames);
    }
    if single {
        slices.push(n);
    } else if let Some(last) = slices.last_mut() {
        *last += 1;
    }
    let mut segments = Vec::with_capacity(slices.len());
    let mut from = 0;
    let count = slices.len();
    for (i, to) in slices.into_iter().enumerate() {
        let part = &ids[from..to];
        let back = if i + 1 < count || single { 1 } else { 2 };
        let (first, last) = (part.first().copied(), part.len().checked_sub(back).map(|at| part[at]));
        if let (Some(first), Some(last)) = (first, last) {
            segments.push(Segment { start: time(first), end: time(last), ids: part.to_vec() });
        }
        from = to;
    }
    if single {
        return (segments, frames);
    }
    let last = ids[from - 2] - begin;
    (segments, usize::try_from(last).unwrap_or(0) * speech.stride)
}

impl FusionModel {
    /// The text of a segment.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn segment_text(&self, segment: &Segment) -> Result<String> {
        let Some(speech) = &self.config().speech else { return Ok(String::new()) };
        let words = segment.ids.iter().filter(|id| **id < speech.no_timestamps);
        let ids: Vec<u32> = words.filter_map(|id| u32::try_from(*id).ok()).collect();
        let text = self.text()?.tokenizer().decode(&ids, true);
        Ok(text.map_err(|e| unisono_processors::Error::Tokenizer(e.to_string()))?)
    }
}

impl FusionModel {
    /// The ids of text that comes before what is said.
    ///
    /// # Errors
    /// The tokenizer's, or a model that takes no such text.
    pub fn speech_prompt(&self, text: &str) -> Result<Vec<i64>> {
        let Some(speech) = &self.config().speech else { return Ok(Vec::new()) };
        if speech.previous.is_none() {
            return Err(Error::Config("this model takes no prompt: it has no token for earlier text".into()));
        }
        let encoding = self.text()?.tokenizer().encode_fast(format!(" {}", text.trim()), false);
        let encoding = encoding.map_err(|e| unisono_processors::Error::Tokenizer(e.to_string()))?;
        Ok(encoding.get_ids().iter().map(|i| i64::from(*i)).collect())
    }

    /// Refuses a language or task that the model does not have, and a model without its tokenizer, before any sound is read.
    ///
    /// # Errors
    /// Says what there is.
    pub fn check_speech(&self, options: &Transcription) -> Result<()> {
        self.require(Ability::Transcribe)?;
        self.text()?;
        let Some(speech) = &self.config().speech else { return Ok(()) };
        self.languages(
            &mut [Track::empty()],
            speech,
            &Transcription {
                language: Some(options.language.clone().unwrap_or_else(|| {
                    speech.languages.keys().next().cloned().unwrap_or_else(|| "en".into())
                })),
                ..options.clone()
            },
            &mut || Ok(()),
        )?;
        self.prompt(&Track::empty(), speech, options).map(|_| ())
    }
}

impl Track<'_> {
    fn empty() -> Self {
        Self { mel: &[], frames: 0, seek: 0, language: None, reliable: false, segments: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_after_the_end() {
        let segment = |start, end, id| Segment { start, end, ids: vec![id] };
        let ended = |segments: &[Segment], at| {
            let mut transcript = Transcript { language: None, segments: segments.to_vec() };
            transcript.end_at(at);
            transcript.segments
        };
        let said = [segment(0.0, 2.0, 1), segment(2.0, 5.5, 2), segment(5.5, 6.0, 3)];
        assert_eq!(ended(&said, 6.0), said);
        assert_eq!(ended(&said, 5.8)[2], segment(5.5, 5.8, 3));
        // Words that would begin after it end the segment before: a cue that lasts no time is not shown.
        let joined = Segment { start: 2.0, end: 5.2, ids: vec![2, 3] };
        assert_eq!(ended(&said, 5.2), [said[0].clone(), joined.clone()]);
        assert_eq!(ended(&said[1..], 5.2), [joined]);
        assert_eq!(ended(&said[2..], 5.2), [Segment { start: 0.0, end: 5.2, ids: vec![3] }]);
        assert_eq!(ended(&[], 5.2), []);
    }
}
