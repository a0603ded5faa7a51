//! `unisono scenes`: where each scene of a video begins, and what is in it.

use crate::error::Error;
use crate::inputs::{DeviceArg, name_skipped};
use crate::limits::LimitArgs;
use crate::{interrupt, out, place, style};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use unisono_datasets::MediaLimits;
use unisono_datasets::limits::count;
use unisono_encoders::Precision;
use unisono_fusion::FusionModel;
use unisono_fusion::speech::Transcription;
use unisono_jobs::scenes::{Models, SceneJob, SceneProgress, SceneReport, Shard, list, scenes};
use unisono_jobs::{Device, Embedder, Error as JobError, Flow, identity, identity_with_fusion};
use unisono_scenes::labels::write_shipped;
use unisono_scenes::settings::{DOCUMENTED, DetectorName, SceneSettings};
use unisono_scenes::write::{Cut, Output};

/// Find the scenes of videos: where each begins, what is shown and said in it
///
/// Every video gets a folder below OUT with its shots, events and scenes as JSON, CSV, EDL, OpenTimelineIO and FFmpeg chapters, and a page.
/// The same command goes on where a stopped one was, and does new files only.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Videos, animations (GIF, WebP, PNG), folders of videos, and folders of pictures that are frames
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
    /// Print every setting with its default, as a file, and end
    #[arg(long)]
    print_settings: bool,
    /// Write the shipped label sets into a folder, for editing, and end
    #[arg(long, value_name = "DIR")]
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
    /// Frames a second of folders of pictures
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
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

/// What looks at the scenes; each is optional, and what none can do is left out.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Models")]
struct ModelArgs {
    /// A model of the shared space: scenes are grouped by it, labelled, and found by unisono search
    #[arg(long, value_name = "DIR_OR_ID")]
    model: Option<PathBuf>,
    /// A model that writes captions
    #[arg(long, value_name = "DIR_OR_ID")]
    caption_model: Option<PathBuf>,
    /// A speech model that writes down what is said
    #[arg(long, value_name = "DIR_OR_ID")]
    speech_model: Option<PathBuf>,
    /// The language that is spoken, by its code (de) [default: found out]
    #[arg(long, value_name = "CODE", requires = "speech_model")]
    language: Option<String>,
    /// A label set, shipped (places, objects, actions, moods, sounds, emotions, voices) or a file; may be given several times [default: the
    /// first five]
    #[arg(long = "labels", value_name = "SET", requires = "model")]
    labels: Vec<String>,
    /// Folder of TransNetV2's weights [default: set-up's]
    #[arg(long, value_name = "DIR")]
    transnet: Option<PathBuf>,
    /// Arithmetic of the models: fp32, bf16 or int8
    #[arg(long, value_name = "PRECISION", default_value = "fp32")]
    precision: Precision,
    #[command(flatten)]
    device: DeviceArg,
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
    if args.print_settings {
        return out::print(DOCUMENTED);
    }
    if let Some(dir) = &args.write_labels {
        let written = write_shipped(dir).map_err(JobError::from)?;
        let what = if written.is_empty() { "nothing: they lie there".into() } else { written.join(", ") };
        return out::print(&format!("{}: {what}\n", dir.display()));
    }
    let Some(place) = &args.out else { return Err(Error::Usage("--out DIR is missing".into())) };
    interrupt::install();
    let shard = match args.shard {
        Some(shard) => shard,
        None => Shard::of_launcher().map_err(Error::Usage)?,
    };
    let settings = settings(args)?;
    let device = args.models.device.get()?;
    let (sources, unlisted) = list(&args.files)?;
    let models = args.models.load(&settings, device)?;
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
        rate: args.rate,
        workers: args.workers.map(usize::from),
        max_skip: args.max_skip,
        fresh: args.fresh,
        ffmpeg: args.ffmpeg.as_deref(),
        transnet: args.models.transnet.as_deref(),
        limits: MediaLimits { max_total_pixels: args.max_total_pixels, ..args.limits.get() },
    };
    let mut bar = Bar::new();
    let begun = Instant::now();
    let found = scenes(&job, &models, &sources, shard, &mut |p| bar.show(p));
    bar.clear();
    let mut report = found.map_err(|e| match e {
        JobError::Interrupted => Error::Interrupted("what is done is kept; the same command goes on there"),
        e => e.into(),
    })?;
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
        out::note(&format!(
            "{}: {count} of the decoder; video.json has the first and the places",
            shown(&video.path)
        ));
    }
    out::print(&summary(&report, place, begun.elapsed()))
}

/// A path on one line; a file's name may hold line ends and what steers a terminal.
fn shown(path: &Path) -> String {
    path.display().to_string().replace(char::is_control, "\u{fffd}")
}

fn settings(args: &Args) -> Result<SceneSettings, Error> {
    let mut settings =
        SceneSettings::load(args.settings.as_deref(), &args.set).map_err(|e| Error::Usage(e.to_string()))?;
    if !args.detectors.is_empty() {
        settings.detectors.clone_from(&args.detectors);
    }
    if !args.models.labels.is_empty() {
        settings.labels.sets.clone_from(&args.models.labels);
    }
    settings.validate().map_err(|e| Error::Usage(e.to_string()))?;
    Ok(settings)
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

impl ModelArgs {
    fn load(&self, settings: &SceneSettings, device: Device) -> Result<Models, Error> {
        let mut models = Models::default();
        models.arithmetic(&format!("{:?}", self.precision));
        let prepared = |dir: &Path| -> Result<FusionModel, Error> {
            let mut model = unisono_fusion::import::load(dir, device).map_err(JobError::from)?.model;
            model.prepare(self.precision).map_err(JobError::from)?;
            Ok(model)
        };
        let named = |dir: &Path, e: JobError| match e {
            e @ JobError::Fusion(_) => Error::Failed(format!("{}: {e}", dir.display())),
            e => e.into(),
        };
        if let Some(model) = &self.model {
            let dir = place::model(model)?;
            let mut loaded = unisono_encoders::import::load(&dir, device).map_err(JobError::from)?.model;
            loaded.prepare(self.precision).map_err(JobError::from)?;
            models.embed(Embedder::new(loaded), &dir, identity(&dir)?, &settings.labels)?;
        }
        if let Some(model) = &self.caption_model {
            let dir = place::model(model)?;
            let loaded = prepared(&dir)?;
            let generation = loaded.config().generation.clone();
            models.caption(loaded, generation, identity_with_fusion(&dir)?).map_err(|e| named(&dir, e))?;
        }
        if let Some(model) = &self.speech_model {
            let dir = place::model(model)?;
            let loaded = prepared(&dir)?;
            let mut options = Transcription::new(loaded.config().generation.clone());
            options.language.clone_from(&self.language);
            models.transcribe(loaded, options, identity_with_fusion(&dir)?).map_err(|e| named(&dir, e))?;
        }
        Ok(models)
    }
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

/// Frames a second and the time that is left, on stderr.
struct Bar {
    bar: ProgressBar,
    plain: bool,
    begun: Instant,
    told: Instant,
}

impl Bar {
    fn new() -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("  scenes {bar:26} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { bar, plain, begun: now, told: now }
    }

    fn show(&mut self, p: SceneProgress) -> Flow {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-3);
        let mut line =
            format!("{} of {} videos, {:.0} frames/s", p.videos, p.total, p.frames as f64 / seconds);
        if p.skipped > 0 {
            line += &format!(", {} skipped", p.skipped);
        }
        if p.bytes > 0 && p.all_bytes > p.bytes {
            let left = seconds * (p.all_bytes - p.bytes) as f64 / p.bytes as f64;
            line += &format!(", {} left", style::clock(Duration::from_secs_f64(left)));
        }
        if self.plain && self.told.elapsed() >= Duration::from_secs(5) {
            self.told = Instant::now();
            out::note(&format!("  scenes: {line}"));
        }
        self.bar.set_length(p.all_bytes.max(1));
        self.bar.set_position(p.bytes);
        self.bar.set_message(line);
        interrupt::flow()
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
