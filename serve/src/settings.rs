//! What a server allows.

use std::path::PathBuf;
use std::time::Duration;
use unisono_media::MediaLimits;

/// What a server allows, and how it works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the model's batches are made.
    pub batching: Batching,
    /// Inputs that may wait or be worked on at once; what comes beyond is told to come again (429).
    pub queue: usize,
    /// Inputs of one request.
    pub inputs: usize,
    /// Bytes of one request's body.
    pub body: usize,
    /// Bytes of all bodies that are held at once.
    pub bodies: usize,
    /// A request's time, from its head to its answer.
    pub timeout: Duration,
    /// Time for a request's head, and between two parts of its body.
    pub patience: Duration,
    /// Time for what is being worked on when the server is to end.
    pub grace: Duration,
    /// Connections at once; more wait.
    pub connections: usize,
    /// Bytes of all models that are in memory at once; none: all of them are.
    pub memory: Option<u64>,
    /// The file that votes are appended to; none: they are not kept.
    pub votes: Option<PathBuf>,
    /// Threads that decode.
    pub workers: usize,
    /// What media may cost.
    pub limits: MediaLimits,
    /// The program that decodes videos; absent: looked for.
    pub ffmpeg: Option<PathBuf>,
    /// Only this machine reaches the server: requests that call it by another name come from a stranger's page.
    pub loopback: bool,
    /// Whoever asks must know one of these; none: nobody need.
    pub keys: Vec<String>,
}

/// How much goes through the model at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Inputs.
    pub items: usize,
    /// Tokens of texts, padded to the longest.
    pub tokens: usize,
    /// Pixels of images and frames; numbers of spectrograms.
    pub pixels: usize,
    /// How long an input waits for others when the model has nothing to do.
    pub wait: Duration,
}

impl Default for Batching {
    /// 32 inputs as [`EmbedOptions`](unisono_jobs::EmbedOptions), 16,384 tokens, 16 megapixels, 2 ms.
    fn default() -> Self {
        Self { items: 32, tokens: 16_384, pixels: 16 << 20, wait: Duration::from_millis(2) }
    }
}

impl Default for Settings {
    /// Bodies of 64 MiB and a gigabyte of them, the usual limits of media, two minutes a request.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            batching: Batching::default(),
            queue: 512,
            inputs: 2048,
            body: 64 << 20,
            bodies: 1 << 30,
            timeout: Duration::from_secs(120),
            patience: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            connections: 16_384,
            memory: None,
            votes: None,
            workers,
            limits: MediaLimits::default(),
            ffmpeg: None,
            loopback: true,
            keys: Vec::new(),
        }
    }
}
