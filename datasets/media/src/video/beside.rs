//! The audio that comes beside frames, from one decoding.

use super::audio::{Form, Kept, filters, track};
use super::audio_run;
use super::audio_seek::Sought;
use super::process::Process;
use super::{Span, Video, VideoLimits};
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::sync::Arc;

/// Which audio.
#[derive(Debug)]
pub(super) enum Beside {
    /// Decoded from the start of the film.
    Cut(Span),
    /// Decoded from where its frames are.
    Sought(Sought),
}

impl Beside {
    /// The options of its outputs, but for where they go: the samples, and where they are sought, a line of each frame's length besides. (The
    /// log is no place for it: lines of the frames of images stand there, which are said in pieces.)
    pub(super) fn outputs(&self, video: &Video) -> Vec<Vec<String>> {
        let (form, track) = (Form::of(video), track(video));
        let samples = form.words();
        let lines = [&samples[..6], &["-f", "framecrc"]].concat();
        let output = |filters: &str, form: &[&str]| -> Vec<String> {
            let words = ["-map", &track, "-af", filters].into_iter().chain(form.iter().copied());
            words.map(str::to_owned).collect()
        };
        match self {
            Self::Cut(span) => vec![output(&filters(span), &samples)],
            Self::Sought(sought) => {
                let filters = sought.filters(None);
                vec![output(&filters, &samples), output(&filters, &lines)]
            }
        }
    }

    /// The audio, of what came; `None` where that does not say what it is.
    pub(super) fn found(&self, came: &Came) -> Option<Vec<f32>> {
        match self {
            Self::Sought(sought) => sought.find(&came.samples, &came.lengths),
            Self::Cut(_) => {
                let samples = came.samples.iter().map(|s| s.clamp(-1.0, 1.0)).collect();
                Some(samples).filter(|samples: &Vec<f32>| !samples.is_empty())
            }
        }
    }
}

/// What came of the audio.
#[derive(Debug, Default)]
pub(super) struct Came {
    samples: Vec<f32>,
    /// Samples of each frame, where they were asked for.
    lengths: Vec<u32>,
}

/// Where it comes: samples of four bytes, and lines. It is read to its end, on a thread of its own.
#[derive(Debug)]
pub(super) struct AudioPipe {
    samples: Option<PipeReader>,
    lengths: Option<PipeReader>,
    process: Arc<Process>,
}

impl AudioPipe {
    /// The reading ends, as [`Beside::outputs`] has them.
    pub(super) fn new(pipes: Vec<PipeReader>, process: &Arc<Process>) -> Self {
        let mut pipes = pipes.into_iter();
        Self { samples: pipes.next(), lengths: pipes.next(), process: Arc::clone(process) }
    }

    /// All that comes; `None` of what is no number, or too much.
    pub(super) fn all(mut self, video: &Video, limits: &VideoLimits) -> Option<Came> {
        let (mut kept, mut samples) = (Kept::new(video, limits), Vec::new());
        let lengths = self.lengths.take();
        std::thread::scope(|scope| {
            let lengths = lengths.map(|pipe| scope.spawn(|| lengths_of(pipe)));
            let read = audio_run::samples(&mut self, Vec::new(), &mut |block| {
                // The decoder waits for whoever does not read on.
                if kept.take(block) {
                    samples.extend_from_slice(block);
                }
                true
            });
            let lengths = lengths.and_then(|thread| thread.join().ok()).unwrap_or_default();
            (read.is_ok() && !kept.over() && !kept.broken).then_some(Came { samples, lengths })
        })
    }
}

/// Samples of each frame, by lines of `framecrc`: stream, decoding time, time, length, ….
fn lengths_of(pipe: PipeReader) -> Vec<u32> {
    let lines = BufReader::new(pipe).lines().map_while(std::io::Result::ok);
    let lengths = lines.filter_map(|line| line.split(',').nth(3)?.trim().parse().ok());
    lengths.collect()
}

impl Read for AudioPipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(samples) = &mut self.samples else { return Ok(0) };
        self.process.waiting(|| samples.read(buffer))
    }
}

impl Drop for AudioPipe {
    fn drop(&mut self) {
        self.process.leave();
    }
}
