//! What is put before a model's texts.

use crate::towers::Tower;
use crate::{Model, Prompt, Result, Role};

impl Model {
    /// Puts `prompt` before every text from here on. Where the model leaves a prompt's tokens out of the pooling, that is done.
    ///
    /// # Errors
    /// No text tower, no tokenizer, a prompt that leaves no room for a text.
    pub fn set_prompt(&mut self, prompt: Prompt) -> Result<()> {
        let processor = self.text_processor()?.clone().with_prompt(prompt);
        let tokens = i64::try_from(processor.prompt_tokens()?).unwrap_or(i64::MAX);
        let (processors, tower) = self.texts();
        processors.text = Some(processor);
        if let Some(Tower::Text(tower)) = tower {
            tower.set_prompt(tokens);
        }
        Ok(())
    }

    /// Puts the prompt of this name before every text from here on.
    ///
    /// # Errors
    /// No prompt of this name; as [`set_prompt`](Self::set_prompt).
    pub fn set_prompt_named(&mut self, name: &str) -> Result<()> {
        let prompt = self.text_processor()?.prompts().named(name)?;
        self.set_prompt(prompt)
    }

    /// Puts the prompt that serves `role` before every text, if there is one; without a role the default's. A model without texts has none.
    ///
    /// # Errors
    /// As [`set_prompt`](Self::set_prompt).
    pub fn set_role(&mut self, role: Option<Role>) -> Result<()> {
        match &self.processors().text {
            Some(processor) => self.set_prompt(processor.prompts().of(role)),
            None => Ok(()),
        }
    }
}
