//! Options that bound what a media file may cost: the same for every command that reads media.

use crate::error::Error;
use unisono_media::MediaLimits;
use unisono_media::limits::{self, Spelling, Truncated};

/// What files may cost.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct LimitArgs {
    /// Largest image or frame, in pixels (200M is 200 megapixels); a larger JPEG is read at 1/2, 1/4 or 1/8 of its size, anything else
    /// skipped [default: 100M; frames of videos 35389440, which is 8K]
    #[arg(long, value_name = "PIXELS", value_parser = limits::count, help_heading = "Limits", hide_short_help = true)]
    max_pixels: Option<u64>,
    /// Longest audio or video (90, 45m, 2h) [default: audio files 1h, videos 12h; transcribe: 6h]
    #[arg(long, value_name = "TIME", value_parser = limits::seconds, help_heading = "Limits", hide_short_help = true)]
    max_seconds: Option<f64>,
    /// Largest image or audio file (200M, 2G, 256MiB; videos have no such limit) [default: 256MiB; transcribe: 2GiB]
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes, help_heading = "Limits", hide_short_help = true)]
    max_file_bytes: Option<u64>,
    /// Most frames of a video [default: 2M]
    #[arg(long, value_name = "N", value_parser = limits::count, help_heading = "Limits", hide_short_help = true)]
    max_frames: Option<u64>,
    /// Longest time in which a video's decoder gives nothing (90s, 5m) [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = limits::seconds, help_heading = "Limits", hide_short_help = true)]
    max_silence: Option<f64>,
    /// An image whose file is cut off: refuse it, or use what there is of it [default: refuse]
    #[arg(long, value_name = "refuse|use", value_parser = truncated, help_heading = "Limits", hide_short_help = true)]
    truncated: Option<Truncated>,
}

fn truncated(text: &str) -> Result<Truncated, String> {
    match text {
        "refuse" => Ok(Truncated::Refuse),
        "use" => Ok(Truncated::Use),
        _ => Err("expected refuse or use".into()),
    }
}

impl LimitArgs {
    /// The limits; from here on messages name these options.
    pub(crate) fn get(&self) -> MediaLimits {
        limits::spell(Spelling::Option);
        MediaLimits {
            max_file_bytes: self.max_file_bytes,
            max_pixels: self.max_pixels,
            max_seconds: self.max_seconds,
            max_frames: self.max_frames,
            max_silence: self.max_silence,
            truncated: self.truncated.unwrap_or_default(),
            ..MediaLimits::default()
        }
    }

    /// Refuses those that change nothing where only audio files are heard.
    pub(crate) fn only_heard(&self) -> Result<(), Error> {
        match self.given().find(|name| ["--max-frames", "--truncated"].contains(name)) {
            None => Ok(()),
            Some(name) => {
                Err(Error::Usage(format!("{name} is for images and frames, which are not looked at here")))
            }
        }
    }

    /// Refuses all of them where no file is read; `why` says when one is.
    pub(crate) fn none(&self, why: &str) -> Result<(), Error> {
        self.given().next().map_or(Ok(()), |name| Err(Error::Usage(format!("{name} goes with {why}"))))
    }

    fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("--max-pixels", self.max_pixels.is_some()),
            ("--max-seconds", self.max_seconds.is_some()),
            ("--max-file-bytes", self.max_file_bytes.is_some()),
            ("--max-frames", self.max_frames.is_some()),
            ("--max-silence", self.max_silence.is_some()),
            ("--truncated", self.truncated.is_some()),
        ];
        all.into_iter().filter_map(|(name, given)| given.then_some(name))
    }
}
