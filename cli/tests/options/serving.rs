//! Servers.

use super::{Command, Differs, Ends, SPEED, Shows, Unseen, option};

/// A server does not end, and an agent that says nothing hears nothing.
const ASKED: Shows = Unseen("it shows when the server is asked: serve.rs asks");

pub const COMMANDS: &[Command] = &[
    Command {
        name: "serve",
        line: "--model model --addr nowhere",
        source: None,
        media: None,
        options: &[
            option("--model", "", "--model model2", ASKED),
            option("--index", "", "--index IDX", ASKED),
            option("--addr", "", "--addr 127.0.0.1", Differs),
            option("--api-keys", "", "--api-keys /none", Ends(1, "/none")),
            option("--threads", "", "--threads 1", SPEED),
            option("--precision", "", "--precision bf16", ASKED),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--ffmpeg", "", "--ffmpeg /none/ffmpeg", ASKED),
            option("--memory", "", "--memory 1G", ASKED),
            option("--batch", "", "--batch 1", SPEED),
            option("--batch-tokens", "", "--batch-tokens 64", SPEED),
            option("--batch-pixels", "", "--batch-pixels 1M", SPEED),
            option("--max-wait", "", "--max-wait 0", SPEED),
            option("--queue", "", "--queue 1", ASKED),
            option("--max-inputs", "", "--max-inputs 4", ASKED),
            option("--max-body", "", "--max-body 50K", ASKED),
            option("--timeout", "", "--timeout 5s", ASKED),
            option("--max-pixels", "", "--max-pixels 10", ASKED),
            option("--max-seconds", "", "--max-seconds 1", ASKED),
            option("--max-file-bytes", "", "--max-file-bytes 10B", ASKED),
            option("--max-frames", "", "--max-frames 3", ASKED),
            option("--max-silence", "", "--max-silence 9", ASKED),
            option("--truncated", "", "--truncated use", ASKED),
        ],
        refused: &[],
    },
    Command {
        name: "mcp",
        line: "--model model",
        source: None,
        media: None,
        options: &[
            option("--model", "", "--model /none", Ends(1, "/none")),
            option("--index", "", "--index /none", Ends(1, "/none")),
            option("--threads", "", "--threads 1", SPEED),
            option("--precision", "", "--precision bf16", ASKED),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--memory", "", "--memory 1B", Ends(1, "give --memory more")),
            option("--ffmpeg", "", "--ffmpeg /none/ffmpeg", ASKED),
            option("--max-pixels", "", "--max-pixels 10", ASKED),
            option("--max-seconds", "", "--max-seconds 1", ASKED),
            option("--max-file-bytes", "", "--max-file-bytes 10B", ASKED),
            option("--max-frames", "", "--max-frames 3", ASKED),
            option("--max-silence", "", "--max-silence 9", ASKED),
            option("--truncated", "", "--truncated use", ASKED),
        ],
        refused: &[],
    },
];
