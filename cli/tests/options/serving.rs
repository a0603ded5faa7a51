//! Servers: each is started, asked, and asked to end (`asked.rs`).

use super::{Command, Differs, Ends, Reads, SPEED, Says, Unseen, option};

/// The options of one of them, and those that both have: what they serve, and with what limits.
macro_rules! both {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            option("--threads", "", "--threads 1", SPEED),
            option("--precision", "", "--precision bf16", Differs),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--ffmpeg", "", "--ffmpeg /none/ffmpeg", Says("/none/ffmpeg")),
            option("--max-pixels", "", "--max-pixels 10", Says("--max-pixels")),
            option("--max-seconds", "", "--max-seconds 1", Says("--max-seconds")),
            option("--max-file-bytes", "", "--max-file-bytes 10B", Says("--max-file-bytes")),
            option("--max-frames", "", "--max-frames 3", Says("--max-frames")),
            option("--max-silence", "", "--max-silence 9", Unseen("no decoder hangs on purpose")),
            option("--truncated", "", "--truncated use", Differs),
            option("--memory", "", "--memory 1B", Ends(1, "give --memory more")),
        ]
    };
}

pub const COMMANDS: &[Command] = &[
    Command {
        name: "serve",
        line: "--model model --index IDX --addr 127.0.0.1:0",
        source: None,
        media: None,
        options: both![
            option("--model", "", "--model model2", Says("model2")),
            option("--index", "=--addr 127.0.0.1:0 --model model", "--index IDX", Says("\"queries\"")),
            option("--addr", "", "--addr nowhere", Ends(1, "give another address with --addr")),
            option("--api-keys", "", "--api-keys labels.txt", Says("expected an API key")),
            option("--votes", "", "--votes v.jsonl", Says("\"votes\":true")),
            option("--batch", "", "--batch 1", Differs),
            option("--batch-tokens", "", "--batch-tokens 8", Differs),
            option("--batch-pixels", "", "--batch-pixels 300", Differs),
            option("--max-wait", "", "--max-wait 0", SPEED),
            option("--queue", "", "--queue 1", Unseen("one request comes in alone: serve.rs asks with many")),
            option("--max-inputs", "", "--max-inputs 4", Says("--max-inputs")),
            option("--max-body", "", "--max-body 50K", Says("--max-body")),
            option("--timeout", "", "--timeout 0.000001s", Says("--timeout")),
        ],
        refused: &[],
    },
    Command {
        name: "mcp",
        line: "--model model --index IDX",
        source: None,
        media: None,
        options: both![
            option("--model", "", "--model /none", Ends(1, "/none")),
            option("--index", "=--model model", "--index IDX", Says("Find what is nearest")),
        ],
        refused: &[],
    },
    Command {
        name: "data from-feedback",
        line: "votes.jsonl --out fed.jsonl",
        source: None,
        media: None,
        options: &[
            option("--out", "", "--out other.jsonl", Says("other.jsonl: ")),
            option("--held-out", "", "--held-out 0.6", Differs),
            option("--json", "", "--json", Says("\"unused\"")),
        ],
        refused: &[],
    },
    Command {
        name: "index rebuild",
        line: "OWN --model model2",
        source: None,
        media: Some(Reads { files: "", film: "", cut: "=CUT --model model2" }),
        options: &[
            option("--model", "", "--model sees", Ends(1, "which the new model does not embed")),
            option("--votes", "--json", "--votes votes.jsonl", Says("\"recall\"")),
            option(
                "--held-out",
                "--votes votes.jsonl",
                "--held-out 1e-9",
                Ends(1, "no query of the votes is held out"),
            ),
            option(
                "--tolerance",
                "--votes votes.jsonl",
                "--tolerance 101",
                Ends(2, "expected 0 to 100 points"),
            ),
            option("--ffmpeg", "", "--ffmpeg /none/ffmpeg", Unseen("no film is embedded again here")),
            option("--batch", "--json", "--batch 5", Says("\"batch\": 5")),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "=CUT --model model2", "--max-skip 0", Ends(1, "more than the 0 allowed")),
            option("--precision", "--json", "--precision int8", Says("\"precision\": \"int8\"")),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--json", "", "--json", Says("\"replaced\"")),
        ],
        refused: &[],
    },
];
