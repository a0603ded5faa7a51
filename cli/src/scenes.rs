//! `unisono scenes`: where each scene of a video begins, and what is in it.

mod bar;
mod check;
mod models;

use crate::error::Error;
use crate::inputs::name_skipped;
use crate::limits::LimitArgs;
use crate::{interrupt, out, style};
use bar::Bar;
use clap::ValueEnum;
use models::ModelArgs;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use unisono_jobs::Error as JobError;
use unisono_jobs::scenes::{FRAMES, SceneJob, SceneReport, Shard, list, scenes};
use unisono_media::MediaLimits;
use unisono_media::limits::count;
use unisono_scenes::labels::write_shipped;
use unisono_scenes::settings::DetectorName;
use unisono_scenes::write::{Cut, Output};

/// Find the scenes of videos: where each begins, what is shown and said in it
///
/// Every video gets a folder below OUT with its shots, events and scenes as JSON, CSV, EDL, OpenTimelineIO and FFmpeg chapters, and a page.
/// The same command goes on where a stopped one was, and does new files only.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Videos, animations (GIF, WebP, PNG), folders of videos, and folders of images that are frames
    #[arg(value_name = "FILE", required_unless_present_any = ["print_settings", "write_labels"])]
    files: Vec<PathBuf>,
    /// The folder for everything that is found
    #[arg(long, value_name = "DIR", required_unless_present_any = ["print_settings", "write_labels"])]
    out: Option<PathBuf>,
    /// Who says where shots begin: content, adaptive, threshold, histogram, hash (as PySceneDetect does), transnet (a network); may be
    /// given several times [default: adaptive]
    #[arg(long = "detector", value_name = "NAME")]
    detectors: Vec<DetectorName>,
    /// A file of settings; --print-settings shows all with their defaults
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// One setting, over the file's: content.threshold=30; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Print every setting as it would be used, as a file that explains each, and end
    #[arg(long, conflicts_with_all = ["write_labels", "files", "out", "model", "caption_model", "speech_model", "language", "transnet",
        "precision", "audio_track", "formats", "clips", "shard", "workers", "rate", "max_skip", "fresh"])]
    print_settings: bool,
    /// Write the shipped label sets into a folder, for editing, and end
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "out", "detectors", "settings", "set", "model", "caption_model",
        "speech_model", "language", "labels", "transnet", "precision", "audio_track", "formats", "clips", "shard", "workers", "rate", "max_skip", "fresh"])]
    write_labels: Option<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
    /// Files besides the JSON; may be given several times [default: all]
    #[arg(long = "format", value_enum, value_name = "FORMAT")]
    formats: Vec<Format>,
    /// Also cut a clip of each scene: exact (encoded again) or copy (quick, begins at a key frame)
    #[arg(long, value_enum, value_name = "HOW")]
    clips: Option<Clips>,
    /// Do only the i-th of n parts of the videos, as 2/8 [default: the launcher's RANK and WORLD_SIZE, or all]
    #[arg(long, value_name = "i/n")]
    shard: Option<Shard>,
    /// Videos at a time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Frames a second of folders of images [default: 25]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: Option<u32>,
    /// Videos that may be unusable; one more ends the command
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_skip: usize,
    /// Do again what lies in OUT
    #[arg(long)]
    fresh: bool,
    /// The ffmpeg program that decodes videos [default: UNISONO_FFMPEG, or the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
    /// All frames of one GIF, WebP or PNG together, in pixels [default: 8G]
    #[arg(long, value_name = "PIXELS", value_parser = count, help_heading = "Limits", hide_short_help = true)]
    max_total_pixels: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// scenes.csv, shots.csv
    Csv,
    /// scores.csv: every score of every frame
    Scores,
    /// scenes.edl (CMX 3600)
    Edl,
    /// scenes.otio (OpenTimelineIO)
    Otio,
    /// chapters.ffmeta (FFmpeg metadata)
    Chapters,
    /// report.html
    Report,
    /// Nothing but the JSON
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clips {
    /// Exactly the scene's frames, encoded again
    Exact,
    /// Copied as they are, from the key frame before
    Copy,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    args.check_ending()?;
    if args.print_settings {
        let settings = args.settings()?;
        return match args.json {
            true => out::json(&settings),
            false => out::print(&settings.documented().map_err(JobError::from)?),
        };
    }
    if let Some(dir) = &args.write_labels {
        let written = write_shipped(dir).map_err(JobError::from)?;
        if args.json {
            return out::json(&json!({ "folder": dir.display().to_string(), "written": written }));
        }
        let what = if written.is_empty() { "nothing: they lie there".into() } else { written.join(", ") };
        return out::print(&format!("{}: {what}\n", dir.display()));
    }
    let Some(place) = &args.out else { return Err(Error::Usage("--out DIR is missing".into())) };
    interrupt::install();
    interrupt::keeps(interrupt::Kept::If(place.join("videos")));
    let settings = args.settings()?;
    args.check(&settings)?;
    let shard = match args.shard {
        Some(shard) => shard,
        None => Shard::of_launcher().map_err(Error::Usage)?,
    };
    let device = args.models.device.get()?;
    let (sources, unlisted) = list(&args.files)?;
    args.check_sources(&sources)?;
    let mut models = args.models.load(&settings, device)?;
    if args.models.audio_track.is_some() && !models.listen() {
        return Err(Error::Usage(
            "--audio-track is for a --speech-model, or a --model that hears, and there is none".into(),
        ));
    }
    models.stop_when(interrupt::wanted);
    for (set, warning) in models.warnings() {
        out::note(&format!("label set {set}: {warning}"));
    }
    let left_out = models.left_out(&settings.labels);
    if !left_out.is_empty() && !args.models.labels.is_empty() {
        out::note(&format!("label sets that the model cannot use are left out: {}", left_out.join(", ")));
    }
    let outputs = outputs(&args.formats);
    let job = SceneJob {
        out: place,
        settings: &settings,
        outputs: &outputs,
        clips: args.clips.map(|how| match how {
            Clips::Exact => Cut::default(),
            Clips::Copy => Cut::Copy,
        }),
        rate: args.rate.unwrap_or(FRAMES),
        workers: args.workers.map(usize::from),
        max_skip: args.max_skip,
        fresh: args.fresh,
        ffmpeg: args.ffmpeg.as_deref(),
        audio_track: args.models.audio_track,
        transnet: args.models.transnet.as_deref(),
        limits: MediaLimits { max_total_pixels: args.max_total_pixels, ..args.limits.get() },
    };
    let mut bar = Bar::new();
    let begun = Instant::now();
    let found = scenes(&job, &models, &sources, shard, &mut |p| bar.show(p));
    bar.clear();
    let mut report = found?;
    report.skipped.splice(0..0, unlisted);
    if args.json {
        return out::json(
            &json!({ "out": place.display().to_string(), "videos": report.videos, "skipped": report.skipped, "gathered": report.gathered }),
        );
    }
    for skip in &mut report.skipped {
        skip.id = shown(Path::new(&skip.id));
    }
    name_skipped(&report.skipped);
    for video in report.videos.iter().filter(|v| v.failures > 0 && !v.before) {
        let count = style::count(video.failures, "complaint");
        let first = video.complaint.as_deref().unwrap_or_default().replace(char::is_control, " ");
        let first = style::shorten(&first, 300);
        out::note(&format!("{}: {count}: {first}; video.json has the places", shown(&video.path)));
    }
    out::print(&summary(&report, place, begun.elapsed()))
}

/// A path on one line; a file's name may hold line ends and what steers a terminal.
fn shown(path: &Path) -> String {
    path.display().to_string().replace(char::is_control, "\u{fffd}")
}

fn outputs(formats: &[Format]) -> Vec<Output> {
    if formats.is_empty() {
        return Output::ALL.to_vec();
    }
    let mut outputs = vec![Output::Json];
    outputs.extend(formats.iter().filter_map(|format| match format {
        Format::Csv => Some(Output::Csv),
        Format::Scores => Some(Output::Scores),
        Format::Edl => Some(Output::Edl),
        Format::Otio => Some(Output::Otio),
        Format::Chapters => Some(Output::Chapters),
        Format::Report => Some(Output::Report),
        Format::None => None,
    }));
    outputs
}

fn summary(report: &SceneReport, place: &Path, time: Duration) -> String {
    let mut text = String::new();
    let new: Vec<_> = report.videos.iter().filter(|v| !v.before).collect();
    const SHOWN: usize = 20;
    for video in new.iter().take(SHOWN) {
        let length = style::clock(Duration::from_secs_f64(video.seconds.max(0.0)));
        let (scenes, shots) = (style::count(video.scenes, "scene"), style::count(video.shots, "shot"));
        text += &format!("{}: {scenes} of {shots} in {length}\n", shown(&video.path));
    }
    if new.len() > SHOWN {
        text += &format!("… and {} more\n", style::count(new.len() - SHOWN, "video"));
    }
    let before = report.videos.len() - new.len();
    let frames: u64 = new.iter().map(|v| v.frames).sum();
    text += &format!("{}: {}", place.display(), style::count(report.videos.len(), "video"));
    if before > 0 {
        text += &format!(" ({before} done before)");
    }
    if frames > 0 {
        let rate = frames as f64 / time.as_secs_f64().max(1e-3);
        text += &format!(", {frames} frames in {} ({rate:.0} a second)", style::clock(time));
    }
    if !report.skipped.is_empty() {
        text += &format!(", {} skipped", report.skipped.len());
    }
    text.push('\n');
    match &report.gathered {
        Some(gathered) => {
            text += &format!("{}: {}\n", gathered.scenes.display(), style::count(gathered.count, "scene"));
            if let Some(index) = &gathered.index {
                text += &format!("search them: unisono search --index {} \"…\"\n", index.display());
            }
        }
        None => {
            text += "other shards are not done: the last run, or this command without --shard, gathers all scenes\n"
        }
    }
    if let [video] = new.as_slice()
        && video.folder.join("report.html").is_file()
    {
        text += &format!("{}\n", video.folder.join("report.html").display());
    }
    text
}
