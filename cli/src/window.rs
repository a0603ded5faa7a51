//! The option that says how much is heard of a window that a sound does not fill.

use crate::error::Error;
use clap::ValueEnum;
use unisono_encoders::{AudioWindow, Model};

/// `--window`.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct WindowArg {
    /// What is heard of a window of 30 seconds: whole, with the silence that fills it behind a short sound, or auto, the sound and a second of
    /// silence: short sounds cost what they are worth [default: whole]
    #[arg(long, value_enum, value_name = "SIZE", hide_possible_values = true)]
    window: Option<Size>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Size {
    /// All of it
    Whole,
    /// The sound and a little silence
    Auto,
}

impl WindowArg {
    /// The window that is asked for.
    pub(crate) fn given(&self) -> Option<AudioWindow> {
        self.window.map(|size| match size {
            Size::Whole => AudioWindow::Whole,
            Size::Auto => AudioWindow::Auto,
        })
    }

    /// The window that is asked for, the whole one where nobody asks.
    pub(crate) fn get(&self) -> AudioWindow {
        self.given().unwrap_or_default()
    }

    /// Sets it in a model that embeds.
    pub(crate) fn set(&self, model: &mut Model) -> Result<(), unisono_encoders::Error> {
        model.set_audio_window(self.get())
    }

    /// Refuses it where nothing is heard; `why`.
    pub(crate) fn none(&self, why: &str) -> Result<(), Error> {
        match self.window {
            Some(_) => Err(Error::Usage(format!("--window: {why}"))),
            None => Ok(()),
        }
    }
}
