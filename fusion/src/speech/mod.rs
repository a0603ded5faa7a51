//! What is said in an audio file: Whisper's sequential windows (Radford et al. 2023, section 3.8), with the rules for its times, as
//! transformers runs them.

mod doubt;
mod segments;
mod text;
mod times;
mod track;
mod transcript;
mod windows;

pub use transcript::{Segment, Task, Transcript, Transcription};
