//! Windows of audio files, one after another.

use super::doubt::{self, Doubts};
use super::segments::cut;
use super::times::Times;
use super::track::{Track, Window};
use super::{Task, Transcript, Transcription};
use crate::config::{Generation, SpeechConfig};
use crate::generate::{Generated, Generator, Rule};
use crate::{Ability, CrossKv, Error, FusionModel, Mask, Result, Sequence};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use tch::{Kind, Tensor};
use unisono_encoders::{Modality, Mode};

/// Asked before each window and each token whether the work goes on.
pub(super) type GoOn<'a> = &'a mut dyn FnMut() -> Result<()>;

impl FusionModel {
    /// Speech in audio files: log-mel spectrograms `[T_i, M]` of any length, from the model's front end. `progress` is told how many of all
    /// frames are done, before each window and each token; `Break` ends the work with [`Error::Stopped`].
    ///
    /// # Errors
    /// [`Error::Stopped`], a model without a speech head, an unknown language, a task that it does not have, or libtorch's.
    pub fn transcribe<S: AsRef<[f32]>>(
        &self,
        mels: &[S],
        options: &Transcription,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<Transcript>> {
        self.require(Ability::Transcribe)?;
        let Some(speech) = &self.config().speech else { return Ok(Vec::new()) };
        let bands = self.bands()?;
        let mut tracks = Vec::with_capacity(mels.len());
        for mel in mels.iter().map(AsRef::as_ref) {
            if mel.is_empty() || mel.len() % bands != 0 {
                return Err(Error::Shape(format!(
                    "spectrogram of {} values, expected frames of {bands}",
                    mel.len()
                )));
            }
            tracks.push(Track::new(mel, bands));
        }
        let total = tracks.iter().map(|t| t.frames).sum();
        let done = |tracks: &[Track]| tracks.iter().map(|t| t.seek.min(t.frames)).sum();
        // Who said stop once is not asked again: the last token of a window is told where nothing is left to stop.
        let mut stopped = false;
        let mut go_on = |done| {
            stopped = stopped || progress(done, total).is_break();
            if stopped { Err(Error::Stopped) } else { Ok(()) }
        };
        self.languages(&mut tracks, speech, options, &mut || go_on(0))?;
        while tracks.iter().any(|t| t.seek < t.frames) {
            let mut groups: BTreeMap<_, Vec<Window>> = BTreeMap::new();
            for (i, track) in tracks.iter_mut().enumerate().filter(|(_, t)| t.seek < t.frames) {
                let prompt = self.prompt(track, speech, options)?;
                let window = track.window(i, prompt, speech, options);
                if window.heard == 0 {
                    // Nothing is left in it that could be written.
                    track.seek = track.frames;
                    continue;
                }
                // Windows of one size go together: a text does not depend on what is written beside it.
                groups.entry((window.prompt.len(), window.heard)).or_default().push(window);
            }
            let mut again: BTreeMap<usize, Vec<Window>> = BTreeMap::new();
            for windows in groups.into_values() {
                let now = done(&tracks);
                let bad = self.write(&mut tracks, windows, speech, options, &mut || go_on(now))?;
                for window in bad {
                    again.entry(window.prompt.len()).or_default().push(window);
                }
            }
            for windows in again.into_values() {
                let now = done(&tracks);
                self.write(&mut tracks, windows, speech, options, &mut || go_on(now))?;
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
        let bands = self.towers().config().audio.as_ref().map(|a| a.most()[1]);
        Ok(bands
            .and_then(|m| usize::try_from(m).ok())
            .ok_or_else(|| self.towers().no_tower(Modality::Audio))?)
    }

    /// Seconds of a spectrogram frame; Whisper's where the front end's file is missing.
    fn frame(&self) -> f64 {
        let c = self.towers().processors().audio.as_ref().map(|a| a.config());
        c.map_or(0.01, |c| c.hop as f64 / f64::from(c.sample_rate))
    }

    /// Windows of the tracks, from where each is, as a memory: all of them as much as the first one is heard.
    fn listen(&self, tracks: &[Track], windows: &[Window], speech: &SpeechConfig) -> Result<CrossKv> {
        let bands = self.bands()?;
        let frames = windows.first().map_or(0, |w| w.heard);
        let size = frames * bands;
        let mut data = vec![0f32; windows.len() * size];
        for (row, w) in data.chunks_mut(size.max(1)).zip(windows) {
            let track = &tracks[w.track];
            let n = w.frames.min(frames) * bands;
            let (heard, rest) = row.split_at_mut(n);
            heard.copy_from_slice(&track.mel[track.seek * bands..][..n]);
            if w.cut(speech) {
                // Whole windows are filled with zeros, which are louder, as transformers fills them.
                rest.fill(track.silence);
            }
        }
        let shape = [windows.len() as i64, frames as i64, bands as i64];
        let device = self.towers().device();
        let mel = Tensor::f_from_slice(&data)?.f_view(shape)?.f_to_device(device)?;
        let lengths = Tensor::f_full([shape[0]], shape[1], (Kind::Int64, device))?;
        let cut = windows.iter().any(|w| w.cut(speech));
        let out = tch::no_grad(|| match cut {
            true => self.towers().forward_cut_audio(&mel, Mode::Eval),
            false => self.towers().forward_audio(&mel, &lengths, Mode::Eval),
        })?;
        // Whisper attends to the silence that fills a window.
        self.cross_kv(&[Sequence { modality: Modality::Audio, tokens: out.tokens, mask: None, frame: 0 }])
    }

    /// Finds or takes the languages.
    pub(super) fn languages(
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
        let mut sizes: BTreeMap<usize, Vec<Window>> = BTreeMap::new();
        for (i, track) in tracks.iter().enumerate() {
            let mut window = track.window(i, vec![self.config().tokens.start], speech, o);
            if window.heard == 0 {
                // A language is found in silence, too.
                window.heard = speech.frames;
            }
            sizes.entry(window.heard).or_default().push(window);
        }
        for windows in sizes.values().flat_map(|of| of.chunks(8)) {
            go_on()?;
            let memory = self.listen(tracks, windows, speech)?;
            let scores = self.first_scores(windows, &memory, 0)?;
            let wanted = Tensor::f_from_slice(&ids)?.f_to_device(scores.device())?;
            let best = scores.f_index_select(1, &wanted)?.f_argmax(1, false)?;
            let best = Vec::<i64>::try_from(&best.f_to_device(tch::Device::Cpu)?)?;
            for (window, best) in windows.iter().zip(best) {
                tracks[window.track].language = ids.get(best as usize).copied();
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
    pub(super) fn prompt(&self, track: &Track, speech: &SpeechConfig, o: &Transcription) -> Result<Vec<i64>> {
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
            crate::bounds::range("speech.no_timestamps", speech.no_timestamps, 0, last)?;
            ids.push(speech.no_timestamps);
        }
        Ok(ids)
    }

    /// Writes one window of each of some tracks, all heard as much, and moves them on; gives back, to be heard whole, those that were cut and
    /// whose texts are not to be trusted.
    fn write(
        &self,
        tracks: &mut [Track],
        windows: Vec<Window>,
        speech: &SpeechConfig,
        o: &Transcription,
        go_on: GoOn,
    ) -> Result<Vec<Window>> {
        go_on()?;
        let writer = self.writer().ok_or_else(|| Error::Config("the model writes no texts".into()))?;
        let end = self.config().tokens.end.first().copied().unwrap_or(-1);
        let memory = self.listen(tracks, &windows, speech)?;
        let length = windows.first().map_or(0, |w| w.prompt.len());
        let silence = match o.no_speech {
            Some(_) => {
                let at =
                    windows[0].prompt.iter().position(|id| *id == self.config().tokens.start).unwrap_or(0);
                let p = self.first_scores(&windows, &memory, at)?.f_softmax(-1, Kind::Float)?;
                crate::bounds::range("speech.no_timestamps", speech.no_timestamps, 1, p.size2()?.1)?;
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
        // What is bad of a window that was cut is heard whole before it is drawn again.
        let was_cut = windows.iter().any(|w| w.cut(speech));
        let temperatures = if was_cut { &temperatures[..1] } else { temperatures };
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
            let mut progress = |_: &[(usize, i64)]| match go_on() {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            for (i, text) in open.iter().zip(generator.run(&prompts, Some(&mut progress))?) {
                let ids = &text.ids[text.prompt..];
                let doubts = Doubts::of(ids, writer.config().vocab_size, text.score, o);
                let silent = doubts.unsure && o.no_speech.is_some_and(|most| f64::from(silence[*i]) > most);
                if (doubts.repeats || doubts.unsure) && !silent {
                    again.push(*i);
                }
                results[*i] = Some((text, silent, *temperature));
            }
            open = again;
            if open.is_empty() {
                break;
            }
        }
        let mut doubted = Vec::new();
        for (mut w, result) in windows.into_iter().zip(results) {
            let track = &mut tracks[w.track];
            let Some((text, silent, temperature)) = result else { continue };
            let ids = text.text(&[end]);
            let ended = text.ids.len() > text.prompt + ids.len();
            let vocab = writer.config().vocab_size;
            if was_cut && (silent || doubt::of_a_cut(ids, speech.no_timestamps, ended, vocab, text.score, o))
            {
                w.heard = speech.frames;
                doubted.push(w);
                continue;
            }
            track.reliable = temperature < 0.5;
            if silent {
                track.seek += w.frames;
                continue;
            }
            let (segments, moved) = cut(ids, track.seek, w.frames, speech, self.frame());
            track.segments.extend(segments);
            // A window that ends where it began would be written for ever.
            track.seek += if moved == 0 { w.frames } else { moved };
        }
        Ok(doubted)
    }
}
