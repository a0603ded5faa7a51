//! Every failure of the command: one line on stderr and an exit code.

use unisono_datasets::Error as DataError;
use unisono_eval::Error as EvalError;
use unisono_jobs::Error as JobError;
use unisono_media::Error as MediaError;
use unisono_scenes::Error as SceneError;
use unisono_serve::Error as ServeError;
use unisono_torch_ext::Error as TorchError;
use unisono_train::Error as TrainError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Jobs(JobError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error(transparent)]
    Eval(#[from] EvalError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The command line is impossible in a way that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// Something was found wrong and said already; the line sums it up.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C; the text says what is left and how to go on.
    #[error("interrupted; {0}")]
    Interrupted(&'static str),
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(std::io::Error),
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Interrupted => Self::Interrupted(crate::interrupt::left()),
            other => Self::Jobs(other),
        }
    }
}

impl From<ServeError> for Error {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Jobs(e) => e.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Error {
    /// What `main` returns.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Torch(TorchError::Device { .. }) => 2,
            _ if matches!(self.data(), Some(DataError::ToolMissing { .. })) => 3,
            _ if matches!(
                self.media(),
                Some(MediaError::ToolMissing { .. } | MediaError::NeedsFfmpeg { .. })
            ) =>
            {
                3
            }
            Self::Interrupted(_) => 130,
            // The reader of a pipe has seen enough: that is no failure.
            Self::Output(e) if e.kind() == std::io::ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }

    /// What went wrong with data, whichever crate it came through.
    fn data(&self) -> Option<&DataError> {
        match self {
            Self::Data(e)
            | Self::Jobs(JobError::Datasets(e) | JobError::Eval(EvalError::Datasets(e)))
            | Self::Eval(EvalError::Datasets(e))
            | Self::Train(TrainError::Datasets(e)) => Some(e),
            _ => None,
        }
    }

    /// What went wrong with a medium.
    fn media(&self) -> Option<&MediaError> {
        match self {
            Self::Media(e)
            | Self::Jobs(
                JobError::Media(e)
                | JobError::Eval(EvalError::Media(e))
                | JobError::Scenes(SceneError::Media(e)),
            )
            | Self::Eval(EvalError::Media(e))
            | Self::Train(TrainError::Media(e)) => Some(e),
            _ => match self.data()? {
                DataError::Media(e) => Some(e),
                _ => None,
            },
        }
    }

    /// The line for stderr; none when a pipe's reader has gone.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Output(_) if self.code() == 0 => None,
            error => Some(format!("error: {}", one_line(&error.to_string()))),
        }
    }
}

/// One line; libtorch's messages bring their C++ stack along, which helps nobody here.
pub(crate) fn one_line(text: &str) -> String {
    let text = text.split("Exception raised from").next().unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_lines() {
        let pipe = Error::Output(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!((pipe.code(), pipe.line()), (0, None));
        let full = Error::Output(std::io::ErrorKind::StorageFull.into());
        assert!(full.code() == 1 && full.line().is_some());
        assert_eq!(Error::from(JobError::Interrupted).code(), 130);
        let torch = Error::Failed("shape mismatch\n\nException raised from meta at x.cpp:1\nframe #0".into());
        assert_eq!(torch.line().unwrap(), "error: shape mismatch");
        let tool = || DataError::ToolMissing { tool: "npm".into(), what: "fetch".into() };
        assert_eq!(Error::from(tool()).code(), 3);
        // Wherever it was looked for.
        assert_eq!(Error::from(JobError::from(tool())).code(), 3);
        let decoder = || MediaError::ToolMissing { tool: "ffmpeg".into(), what: "decode".into() };
        assert_eq!(Error::from(JobError::from(EvalError::from(decoder()))).code(), 3);
        assert_eq!(Error::from(DataError::from(decoder())).code(), 3);
        assert_eq!(Error::from(TorchError::Device { name: "gpu".into() }).code(), 2);
    }
}
