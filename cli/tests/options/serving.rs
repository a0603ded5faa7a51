//! Servers.

use super::{Command, Differs, Ends, Reads, SPEED, Says, Shows, Unseen, option};

/// A server does not end, and an agent that says nothing hears nothing.
const ASKED: Shows = Unseen("it shows when the server is asked: serve.rs asks");

/// The options of one of them, and those that both have: what they serve, and with what limits.
macro_rules! both {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            option("--threads", "", "--threads 1", SPEED),
            option("--precision", "", "--precision bf16", ASKED),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--ffmpeg", "", "--ffmpeg /none/ffmpeg", ASKED),
            option("--max-pixels", "", "--max-pixels 10", ASKED),
            option("--max-seconds", "", "--max-seconds 1", ASKED),
            option("--max-file-bytes", "", "--max-file-bytes 10B", ASKED),
            option("--max-frames", "", "--max-frames 3", ASKED),
            option("--max-silence", "", "--max-silence 9", ASKED),
            option("--truncated", "", "--truncated use", ASKED),
        ]
    };
}

pub const COMMANDS: &[Command] = &[
    Command {
        name: "serve",
        line: "--model model --addr nowhere",
        source: None,
        media: None,
        options: both![
            option("--model", "=--addr 127.0.0.1:0 --model /none", "--model /none2", Ends(1, "/none2")),
            option("--index", "=--addr 127.0.0.1:0 --model /none", "--index /none2", Ends(1, "/none2")),
            option("--addr", "", "--addr 127.0.0.1", Differs),
            option("--api-keys", "", "--api-keys /none", Ends(1, "/none")),
            option("--memory", "", "--memory 1G", ASKED),
            option("--votes", "", "--votes v.jsonl", Ends(2, "give one with --index")),
            option("--batch", "", "--batch 1", SPEED),
            option("--batch-tokens", "", "--batch-tokens 64", SPEED),
            option("--batch-pixels", "", "--batch-pixels 1M", SPEED),
            option("--max-wait", "", "--max-wait 0", SPEED),
            option("--queue", "", "--queue 1", ASKED),
            option("--max-inputs", "", "--max-inputs 4", ASKED),
            option("--max-body", "", "--max-body 50K", ASKED),
            option("--timeout", "", "--timeout 5s", ASKED),
        ],
        refused: &[],
    },
    Command {
        name: "mcp",
        line: "--model model",
        source: None,
        media: None,
        options: both![
            option("--model", "", "--model /none", Ends(1, "/none")),
            option("--index", "", "--index /none", Ends(1, "/none")),
            option("--memory", "", "--memory 1B", Ends(1, "give --memory more")),
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
