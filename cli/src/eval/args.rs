//! What is measured, with which protocol.

use crate::limits::LimitArgs;
use crate::source::LayoutArgs;
use crate::texts::TextArgs;
use std::path::PathBuf;
use unisono_encoders::Modality;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A model directory, or the directory of a run (its best checkpoint).
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// A source of records: a manifest, tar shards, Parquet, a table, a folder, or MSR-VTT's own JSON or CSV file with the videos beside it.
    #[arg(long, required = true, value_name = "PATH")]
    pub(super) data: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) layout: LayoutArgs,
    /// Its split.
    #[arg(long, default_value = "test")]
    pub(super) split: String,
    /// What asks: text, image, audio or video. Without --from and --to every pair that the split and the model have is measured.
    #[arg(long, requires = "to")]
    pub(super) from: Option<Modality>,
    /// What is found.
    #[arg(long, requires = "from")]
    pub(super) to: Option<Modality>,
    /// A split whose items join the gallery as distractors. May be repeated.
    #[arg(long, value_name = "SPLIT")]
    pub(super) distractors: Vec<String>,
    /// Only queries of this language. May be repeated.
    #[arg(long, value_name = "LANG")]
    pub(super) query_lang: Vec<String>,
    /// Only gallery items of this language. May be repeated.
    #[arg(long, value_name = "LANG")]
    pub(super) gallery_lang: Vec<String>,
    /// Each query meets only items of its own language; an image or video is of each language that it has records of.
    #[arg(long)]
    pub(super) same_lang: bool,
    /// Use every caption of a record, not only its first.
    #[arg(long, conflicts_with = "joined_captions")]
    pub(super) all_captions: bool,
    /// Use a record's captions joined into one: the name and all its tags.
    #[arg(long)]
    pub(super) joined_captions: bool,
    /// Beside speech results, what controls reach that see only the clip's duration, and that also know its language;
    /// fitted on this split.
    #[arg(long, value_name = "SPLIT")]
    pub(super) duration_control: Option<String>,
    /// Items embedded at once.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) batch: u32,
    /// auto, cpu, cuda, cuda:N.
    #[arg(long, default_value = "auto")]
    pub(super) device: String,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, the one on PATH, or set-up's].
    #[arg(long, value_name = "FILE")]
    pub(super) ffmpeg: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) texts: TextArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}
