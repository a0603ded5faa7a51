//! Options that say what is put before texts, and what of an embedding is kept: the same for every command that embeds texts.

use crate::error::Error;
use crate::out;
use unisono_encoders::{Model, Prompt};

/// What is put before texts, and what of an embedding is kept.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct TextArgs {
    /// Put the model's prompt of this name before every text [default: the one that the model has for such texts]
    #[arg(long, value_name = "NAME", conflicts_with = "prompt")]
    prompt_name: Option<String>,
    /// Put these words before every text, as they stand here; "" puts nothing there
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Keep the first N numbers of an embedding, of length 1 again (Matryoshka) [default: all, or as many as the model's files say]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    dims: Option<u32>,
}

impl TextArgs {
    /// Sets in the model what is asked for.
    pub(crate) fn set(&self, model: &mut Model) -> Result<(), unisono_encoders::Error> {
        if let Some(dims) = self.dims.map(i64::from) {
            model.set_dims(dims)?;
            let known = model.config().matryoshka.clone().unwrap_or_default();
            let whole = model.config().embed_dim;
            if dims != whole && known.default != Some(dims) && !known.sizes.contains(&dims) {
                let sizes: Vec<String> = known.sizes.iter().map(i64::to_string).collect();
                out::note(&match sizes.is_empty() {
                    true => format!(
                        "note: --dims {dims}: nothing in the model's files says that its embeddings may be cut; they may find less"
                    ),
                    false => format!(
                        "note: --dims {dims}: the model was trained for {}; embeddings of another size may find less",
                        sizes.join(", ")
                    ),
                });
            }
        }
        self.set_prompt(model)
    }

    /// Sets the prompt that is asked for.
    pub(crate) fn set_prompt(&self, model: &mut Model) -> Result<(), unisono_encoders::Error> {
        match (&self.prompt_name, &self.prompt) {
            (Some(name), _) => model.set_prompt_named(name),
            (None, Some(text)) => model.set_prompt(Prompt { name: None, text: text.clone() }),
            (None, None) => Ok(()),
        }
    }

    /// The size that is asked for.
    pub(crate) fn dims(&self) -> Option<usize> {
        self.dims.and_then(|dims| usize::try_from(dims).ok())
    }

    /// What is to be said where a model has prompts and its texts, `what` they are, got none, though nobody asked for that.
    pub(crate) fn missing(&self, model: &Model, what: &str) -> Option<String> {
        let text = model.processors().text.as_ref()?;
        let names = text.prompts().names();
        let given = self.prompt.is_some() || self.prompt_name.is_some();
        (!given && !names.is_empty() && text.prompt().text.is_empty()).then(|| {
            let names = names.join(", ");
            format!(
                "note: the model has prompts ({names}), and none of them is put before {what}; choose with --prompt-name, or --prompt \"\" for none"
            )
        })
    }

    /// Says so.
    pub(crate) fn note(&self, model: &Model, what: &str) {
        if let Some(note) = self.missing(model, what) {
            out::note(&note);
        }
    }

    /// Refuses a prompt where there is no text to put it before; `why`.
    pub(crate) fn no_prompt(&self, why: &str) -> Result<(), Error> {
        let given =
            self.prompt_name.as_ref().map(|_| "--prompt-name").or(self.prompt.as_ref().map(|_| "--prompt"));
        match given {
            Some(option) => Err(Error::Usage(format!("{option}: {why}"))),
            None => Ok(()),
        }
    }
}
