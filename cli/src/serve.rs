//! `unisono serve`: models and an index over HTTP.

use crate::error::Error;
use crate::inputs::DeviceArg;
use crate::limits::LimitArgs;
use crate::precision::Asked;
use crate::{out, place};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tch::Device;
use unisono_encoders::{Precision, families};
use unisono_files::Budget;
use unisono_jobs::hub::model_dir;
use unisono_jobs::understand::Understander;
use unisono_jobs::{Embedder, Error as JobError};
use unisono_media::MediaLimits;
use unisono_media::limits::{bytes, count, seconds};
use unisono_serve::{App, Batching, Held, Searched, Server, Settings, Source, signals};

/// Serve models and an index over HTTP, with a page for people
///
/// Answers in the shapes of OpenAI (embeddings, transcriptions) and Cohere (rerank); /openapi.json lists all routes. SIGTERM and Ctrl-C end it in order.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    what: ModelArgs,
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7700")]
    addr: String,
    /// A file of keys, one a line: requests must bring one of them (Authorization: Bearer KEY)
    #[arg(long, value_name = "FILE")]
    api_keys: Option<PathBuf>,
    /// Keep votes on hits in this file (JSON Lines), which data from-feedback makes a manifest of; the page asks for them then
    #[arg(long, value_name = "FILE")]
    votes: Option<PathBuf>,
    #[command(flatten)]
    batching: BatchArgs,
    /// Inputs that may wait or be worked on at once; requests beyond them get 429
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    queue: u32,
    /// Most inputs of a request
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..))]
    max_inputs: u32,
    /// Largest body of a request (64M, 1G)
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = bytes)]
    max_body: u64,
    /// Longest time of a request, and of those that are being answered when the server ends (30s, 2m)
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = seconds)]
    timeout: f64,
    #[command(flatten)]
    limits: LimitArgs,
}

/// What is served, and how it works.
#[derive(clap::Args, Debug)]
pub(crate) struct ModelArgs {
    /// Model directory, a training run's (its best checkpoint), NAME@VERSION of the store, or a hub id; may be given several times: requests name them by
    /// their folders' names, or as they are named here, or get the first that can do what they ask [default: the index's]
    #[arg(long, value_name = "DIR_OR_ID", required_unless_present = "index")]
    model: Vec<PathBuf>,
    /// An index to search
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Threads that decode files, and threads of the model [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Arithmetic of the models: fp32, bf16 (half the memory), int8 (on CPUs: the fastest there), or auto (bf16 where the processor multiplies it faster, else fp32)
    #[arg(long, value_name = "PRECISION", default_value = "fp32")]
    precision: Asked,
    /// Most memory of the models' weights (2G): a model that is asked for is loaded, and the one that was asked for longest ago goes [default: all stay]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// The ffmpeg program that decodes videos, and audio files that nothing else reads [default: UNISONO_FFMPEG, or the one on PATH, or set-up's]
    #[arg(long, value_name = "FILE")]
    ffmpeg: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
}

/// What goes through a model at once.
#[derive(clap::Args, Debug)]
struct BatchArgs {
    /// Inputs, of whichever requests, that a model takes at once; 1: each by itself
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Most tokens of texts at once, padded to the longest
    #[arg(long, value_name = "N", default_value = "16384", value_parser = count)]
    batch_tokens: u64,
    /// Most pixels of images and frames at once
    #[arg(long, value_name = "PIXELS", default_value = "16M", value_parser = count)]
    batch_pixels: u64,
    /// Milliseconds that an input waits for others while the model has nothing to do
    #[arg(long, value_name = "MS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    max_wait: u16,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if args.votes.is_some() && args.what.index.is_none() {
        return Err(Error::Usage("--votes: votes are on hits of an index; give one with --index".into()));
    }
    let keys = args.api_keys.as_deref().map(keys).transpose()?.unwrap_or_default();
    args.what.device.get()?;
    // Before a model is loaded.
    let server = Server::bind(&args.addr)?;
    let loopback = server.addr().ip().is_loopback();
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let usual = Settings::default();
    let settings = Settings {
        batching: Batching {
            items: args.batching.batch.into(),
            tokens: size(args.batching.batch_tokens),
            pixels: size(args.batching.batch_pixels),
            wait: Duration::from_millis(args.batching.max_wait.into()),
        },
        queue: args.queue as usize,
        inputs: args.max_inputs as usize,
        body: size(args.max_body),
        bodies: usual.bodies.max(size(args.max_body)),
        timeout: Duration::from_secs_f64(args.timeout),
        grace: Duration::from_secs_f64(args.timeout),
        loopback,
        keys,
        votes: args.votes.clone(),
        ..usual
    };
    let app = args.what.app(settings, &args.limits)?;
    if !loopback && args.api_keys.is_none() {
        out::note(
            "note: whoever reaches this address may use the models and see the index; --api-keys FILE asks for a key",
        );
    }
    let line = format!("listening on http://{}\n", server.addr());
    let ready = || {
        // Whoever started it reads the port there; where nobody reads, it serves all the same.
        drop(out::print(&line));
    };
    Ok(server.run(app, signals(), ready)?)
}

/// The keys of a file, one a line.
fn keys(path: &Path) -> Result<Vec<String>, Error> {
    let text = unisono_files::read_text(path, &Budget::VOCABULARY).map_err(JobError::from)?;
    let keys: Vec<String> =
        text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    match keys.is_empty() {
        true => Err(Error::Failed(format!("{}: expected one key a line, found none", path.display()))),
        false => Ok(keys),
    }
}

impl ModelArgs {
    /// Loads the models, and starts them.
    pub(crate) fn app(&self, settings: Settings, limits: &LimitArgs) -> Result<App, Error> {
        let device = self.device.get()?;
        let memory = self.memory;
        let mut settings = Settings { limits: limits.get(), ffmpeg: self.ffmpeg.clone(), memory, ..settings };
        if let Some(threads) = self.threads {
            settings.workers = threads.into();
            unisono_torch_ext::threads::set(Some(threads.into()));
        }
        let index = self.index.as_deref().map(Searched::open).transpose()?;
        let precision = self.precision.on(device);
        let source = |named: &Path, dir: PathBuf| {
            let (at, limits, ffmpeg) = (dir.clone(), settings.limits, settings.ffmpeg.clone());
            let load = move || held(&at, device, precision, limits, ffmpeg.as_deref());
            Source::new(named, &dir, Box::new(load))
        };
        let mut models = Vec::new();
        for named in &self.model {
            models.push(source(named, place::model(named)?));
        }
        if let (true, Some(index)) = (models.is_empty(), &index) {
            let named = index.model();
            models.push(source(&named, model_dir(&named)));
        }
        Ok(App::new(models, index, device, settings)?)
    }
}

/// A model for what it is: one that understands where it can, else one that embeds.
fn held(
    dir: &Path,
    device: Device,
    precision: Precision,
    limits: MediaLimits,
    ffmpeg: Option<&Path>,
) -> Result<Held, JobError> {
    if unisono_fusion::import::is(dir)? {
        let mut model = unisono_fusion::import::load(dir, device)?.model;
        model.prepare(precision)?;
        let mut model = Understander::new(model);
        model.set_folder(dir);
        model.set_limits(limits);
        model.set_ffmpeg(ffmpeg.map(Path::to_owned));
        return Ok(Held::Understander(model));
    }
    let mut model = families::load_as(dir, None, device)?.model;
    model.prepare(precision)?;
    let mut embedder = Embedder::new(model);
    embedder.set_folder(dir);
    embedder.set_limits(limits);
    embedder.set_ffmpeg(ffmpeg.map(Path::to_owned));
    Ok(Held::Embedder(embedder))
}
