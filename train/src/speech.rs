//! The decoder behind an audio tower of a checkpoint, and what it is asked for.

use crate::recipe::SpeechTask;
use crate::{Error, Result};
use std::path::Path;
use tch::Device;
use unisono_encoders::BorrowedDecoder;
use unisono_encoders::config::SpeechDecoderConfig;
use unisono_fusion::FusionModel;

/// Tokens of a text at most: what is said in a few seconds, and an end to what goes round in circles.
const MOST: i64 = 24;

/// The decoder of the checkpoint in `dir`, for `task`; with its tokenizer where what it writes is `read`.
///
/// # Errors
/// A checkpoint without one, or one that knows no such task.
pub(crate) fn decoder(dir: &Path, task: SpeechTask, read: bool, device: Device) -> Result<BorrowedDecoder> {
    let wrong =
        |message: &str| Error::setting("tower.audio.decoder", format!("{}: {message}", dir.display()));
    let model = FusionModel::load(dir, device)?;
    let c = model.config();
    let (Some(stack), Some(speech)) = (&c.decoder, &c.speech) else {
        return Err(wrong("expected a model that transcribes speech, like Whisper: leave decoder out"));
    };
    let asked = match task {
        SpeechTask::Transcribe => speech.transcribe,
        SpeechTask::Translate => speech.translate,
    };
    let many = !speech.languages.is_empty();
    if asked.is_none() && (many || task == SpeechTask::Translate) {
        return Err(wrong("knows no such task: expected a multilingual model, or decoder = \"transcribe\""));
    }
    let Some(end) = c.tokens.end.first().copied() else {
        return Err(wrong("has no token that ends a text"));
    };
    let mut languages: Vec<i64> = speech.languages.values().copied().collect();
    languages.sort_unstable();
    languages.dedup();
    let prompt: Vec<i64> = asked.into_iter().filter(|_| many).chain([speech.no_timestamps]).collect();
    let before = 1 + i64::from(many) + i64::try_from(prompt.len()).unwrap_or(0);
    // Negative ids stand for no token at all.
    let known = |ids: &[i64]| ids.iter().copied().filter(|id| (0..stack.vocab_size).contains(id)).collect();
    let config = SpeechDecoderConfig {
        vocab_size: stack.vocab_size,
        context_length: stack.context_length,
        transformer: stack.transformer.clone(),
        start: c.tokens.start,
        languages,
        prompt,
        end,
        suppress: known(&c.generation.suppress),
        begin_suppress: known(&c.generation.begin_suppress),
        most: MOST.min(stack.context_length - before).max(1),
        reads: 0,
    };
    let weights = model.params().iter().filter(|(name, _)| name.starts_with("decoder."));
    let weights = weights.map(|(name, p)| (format!("audio.{name}"), p.tensor.shallow_clone())).collect();
    let read = match (read, model.text().ok()) {
        (false, _) => None,
        (true, Some(text)) => Some(text.clone()),
        (true, None) => {
            return Err(wrong("came without its tokenizer, so that nobody can read what it writes"));
        }
    };
    Ok(BorrowedDecoder { config, weights, read })
}
