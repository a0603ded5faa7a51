//! Options that `embed` and `index build` share: what to embed, and how.

use crate::error::Error;
use crate::limits::LimitArgs;
use crate::precision::Asked;
use crate::progress::{Meter, Unit};
use crate::source::SourceArgs;
use crate::{interrupt, out, stdin, style};
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::{Precision, Role, families};
use unisono_jobs::understand::Understander;
use unisono_jobs::{EmbedOptions, Embedder, Flow, Inputs, LeftOut, Modality, Progress, Skip};

/// What to embed.
#[derive(clap::Args, Debug)]
pub(crate) struct InputArgs {
    /// Images, audio files, videos, and folders with all that lies below them (hidden files are passed over); - reads lines of text
    #[arg(value_name = "INPUT", required_unless_present_any = ["text", "data"])]
    pub(crate) inputs: Vec<PathBuf>,
    /// A text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Vec<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Only this modality: text, image, audio or video; may be given several times [default: all that the model takes]
    #[arg(long, value_name = "MODALITY")]
    pub(crate) modality: Vec<Modality>,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, or the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    pub(crate) ffmpeg: Option<PathBuf>,
}

impl InputArgs {
    /// The inputs; reads standard input where `-` is among them.
    pub(crate) fn inputs(&self) -> Result<Inputs, Error> {
        let (dash, paths): (Vec<PathBuf>, Vec<PathBuf>) =
            self.inputs.iter().cloned().partition(|p| p.as_os_str() == "-");
        let mut texts = self.text.clone();
        if !dash.is_empty() {
            texts.extend(stdin::lines(std::io::stdin().lock())?);
        }
        Ok(Inputs {
            videos: false,
            source: self.source.get()?,
            split: self.source.split.clone(),
            paths,
            texts,
            modalities: self.modality.clone(),
            meta: false,
        })
    }
}

/// How much at once.
#[derive(clap::Args, Debug)]
pub(crate) struct PaceArgs {
    /// Items that the model takes at once [default: 32; transcribe: 4; index add: as the index was built]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// Threads that decode files, and threads of the model [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Inputs that may be unusable; one more ends the command [default: 100]
    #[arg(long, value_name = "N")]
    max_skip: Option<usize>,
}

impl PaceArgs {
    /// The options, of batches of `usual` where none are given; sets the model's threads besides.
    pub(crate) fn options(&self, usual: usize) -> EmbedOptions {
        let own = EmbedOptions::default();
        let batch = self.batch.map_or(usual, usize::from);
        let mut options = EmbedOptions { batch, max_skip: self.max_skip.unwrap_or(own.max_skip), ..own };
        if let Some(threads) = self.threads {
            options.workers = threads.into();
            unisono_torch_ext::threads::set(Some(threads.into()));
        }
        options
    }
}

/// How the model works. `WHOLE` audio files keep their length: an hour is a hundred megabytes of spectrogram, so few are taken at once unless
/// the user says otherwise.
#[derive(clap::Args, Debug)]
pub(crate) struct WorkArgs<const WHOLE: bool = false> {
    #[command(flatten)]
    pace: PaceArgs,
    /// Arithmetic of the model: fp32, bf16 (half the memory), int8 (on CPUs: the fastest there), or auto (bf16 where the processor multiplies it faster, else fp32)
    #[arg(long, value_name = "PRECISION", default_value = "fp32")]
    precision: Asked,
    /// Say what was taken from the model's files
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

impl<const WHOLE: bool> WorkArgs<WHOLE> {
    /// An option that only a model has a use for, where one is given.
    pub(crate) fn of_models(&self) -> Option<&'static str> {
        let given = [
            ("--batch", self.pace.batch.is_some()),
            ("--max-skip", self.pace.max_skip.is_some()),
            ("--device", self.device.named()),
            ("--verbose", self.verbose),
            ("--precision", self.precision != Asked::Named(Precision::Fp32)),
        ];
        given.into_iter().find_map(|(option, given)| given.then_some(option))
    }

    /// The options; sets the model's threads besides.
    pub(crate) fn options(&self) -> EmbedOptions {
        self.pace.options(if WHOLE { 4 } else { 32 })
    }

    /// Loads the model in `dir` in the precision asked for, for texts of this role.
    pub(crate) fn load(
        &self,
        dir: &Path,
        role: Option<Role>,
        device: Device,
    ) -> unisono_jobs::Result<Embedder> {
        let found = families::load_as(dir, role, device)?;
        if self.verbose {
            let lines = crate::model::report_lines(&found.report, true);
            out::note(&format!("{}: {}\n{}", dir.display(), found.family, lines.trim_end()));
        }
        let mut model = found.model;
        model.prepare(self.precision.on(device))?;
        let mut embedder = Embedder::new(model);
        embedder.set_folder(dir);
        embedder.set_limits(self.limits.get());
        Ok(embedder)
    }

    /// Loads a model that understands, in the precision asked for.
    pub(crate) fn understander(&self, dir: &Path, device: Device) -> Result<Understander, Error> {
        let found = unisono_fusion::import::load(dir, device).map_err(unisono_jobs::Error::from)?;
        if self.verbose {
            let lines = crate::model::report_lines(&found.report, true);
            out::note(&format!("{}: {}\n{}", dir.display(), found.family, lines.trim_end()));
        }
        let mut model = found.model;
        model.prepare(self.precision.on(device)).map_err(unisono_jobs::Error::from)?;
        let mut model = Understander::new(model);
        model.set_folder(dir);
        model.set_limits(self.limits.get());
        Ok(model)
    }
}

/// Where the model runs.
#[derive(clap::Args, Debug)]
pub(crate) struct DeviceArg {
    /// Where the model runs: cpu, cuda, cuda:N, or auto (a GPU when there is one)
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
}

impl DeviceArg {
    /// Whether a particular one is asked for.
    pub(crate) fn named(&self) -> bool {
        self.device != "auto"
    }

    pub(crate) fn get(&self) -> Result<Device, Error> {
        Ok(unisono_torch_ext::cuda::device(&self.device)?)
    }
}

/// Shows a job's progress and stops it on Ctrl-C.
pub(crate) fn show_progress(meter: &mut Meter) -> impl FnMut(Progress) -> Flow + '_ {
    |p| {
        // Listing knows no total: nothing to show for it.
        if p.total > 0 {
            meter.show(p.stage, p.done as u64, Some(p.total as u64), Unit::Items);
        }
        interrupt::flow()
    }
}

/// Names what could not be used: the first few in full, then how many more.
pub(crate) fn name_skipped(skipped: &[Skip]) {
    const SHOWN: usize = 10;
    for skip in skipped.iter().take(SHOWN) {
        out::note(&format!("skipped {}: {}", skip.id, skip.reason));
    }
    if skipped.len() > SHOWN {
        let n = skipped.len() - SHOWN;
        out::note(&format!("skipped {} more (--json lists them all)", style::count(n, "input")));
    }
}

/// Says which files in the folders were passed over (`12 other files: 7 .psd, 5 .txt`), and what a source says of itself.
pub(crate) fn name_left_out(left_out: &LeftOut) {
    crate::source::note(&left_out.notes);
    if let Some(others) = left_out.line() {
        out::note(&format!("left out {others}"));
    }
}

/// Refuses an output that is one of the inputs: it would be overwritten by what was made of it.
pub(crate) fn refuse_input(
    out: &Path,
    mut inputs: impl Iterator<Item = impl AsRef<Path>>,
) -> Result<(), Error> {
    let Ok(real) = std::fs::canonicalize(out) else { return Ok(()) };
    match inputs.any(|input| std::fs::canonicalize(input).is_ok_and(|input| input == real)) {
        true => Err(Error::Usage(format!("{}: is an input, too, and would be overwritten", out.display()))),
        false => Ok(()),
    }
}
