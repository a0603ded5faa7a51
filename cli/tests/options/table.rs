//! For every option of every command: how it is given, and what it changes. An option without a line here fails the tests.
#![allow(dead_code)]

/// What an option changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Output, messages, exit code or files are others than without it.
    Differs,
    /// This is said, and is not said without it.
    Says(&'static str),
    /// The command ends with this code and says this: what the option names is looked for.
    Ends(i32, &'static str),
    /// Nothing that a run shows, for this reason.
    Unseen(&'static str),
}

pub use Shows::{Differs, Ends, Says, Unseen};

/// A way to give an option.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// `--name`.
    pub option: &'static str,
    /// What stands beside it, in both runs; after `=` instead of the command's own line.
    pub with: &'static str,
    /// The option with its value.
    pub given: &'static str,
    pub shows: Shows,
    /// A command of the same name that runs before each of both.
    pub first: &'static str,
}

const fn option(option: &'static str, with: &'static str, given: &'static str, shows: Shows) -> Scenario {
    Scenario { option, with, given, shows, first: "" }
}

impl Scenario {
    const fn after(self, first: &'static str) -> Self {
        Self { first, ..self }
    }
}

pub struct Command {
    /// `index build`.
    pub name: &'static str,
    /// The shortest line that does something.
    pub line: &'static str,
    pub options: &'static [Scenario],
    /// Pairs that the parser refuses.
    pub refused: &'static [(&'static str, &'static str)],
}

const SPEED: Shows = Unseen("how many threads work changes the time alone");
const NO_FFMPEG: Shows = Ends(3, "`/none/ffmpeg` is not installed");

pub const COMMANDS: &[Command] = &[
    Command {
        name: "doctor",
        line: "",
        options: &[option("--json", "", "--json", Says("\"libtorch\": {"))],
        refused: &[],
    },
    Command {
        name: "data sample",
        line: "emoji --out data --archive /none",
        options: &[
            option("--archive", "=emoji --out data", "--archive /none", Ends(1, "/none: --archive names no file or folder")),
            option("--out", "", "--out data", Unseen("needs the network; data.rs sees that it names the folder")),
            option("--json", "", "--json", Unseen("needs the network")),
        ],
        refused: &[],
    },
    Command {
        name: "data inspect",
        line: "broken.jsonl",
        options: &[
            option("--check-files", "", "--check-files", Says("broken.png")),
            option("--json", "", "--json", Says("\"splits\": {")),
        ],
        refused: &[],
    },
    Command {
        name: "embed",
        line: "--model model --out v.npy photos",
        options: &[
            option("--model", "", "--model model2", Differs),
            option("--out", "", "--out w.npy", Says("w.npy: 3 vectors")),
            option("--text", "", "--text 'a red bus'", Says("4 vectors")),
            option("--manifest", "", "--manifest media/manifest.jsonl", Differs),
            option("--split", "--manifest media/manifest.jsonl", "--split train", Differs),
            option("--modality", "talks", "--modality audio", Says("2 vectors")),
            option("--ffmpeg", "clip.mp4", "--ffmpeg /none/ffmpeg", Says("`/none/ffmpeg` is not installed")),
            option("--batch", "--precision int8", "--batch 1", Differs),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "mixed", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--precision", "", "--precision bf16", Differs),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--no-normalize", "", "--no-normalize", Differs),
            option("--fresh", "--manifest many.jsonl", "--fresh", Says("1102 vectors"))
                .after("--model model2 --out v.npy --manifest many.jsonl --max-skip 0"),
            option("--json", "", "--json", Says("\"count\": 3")),
        ],
        refused: &[],
    },
    Command {
        name: "index build",
        line: "--model model --out new photos",
        options: &[
            option("--model", "", "--model model2", Differs),
            option("--out", "", "--out other", Says("other: 3 items")),
            option("--text", "", "--text 'a red bus'", Says("1 text")),
            option("--manifest", "", "--manifest media/manifest.jsonl", Differs),
            option("--split", "--manifest media/manifest.jsonl", "--split train", Differs),
            option("--modality", "talks", "--modality audio", Says("2 audio")),
            option("--ffmpeg", "clip.mp4", "--ffmpeg /none/ffmpeg", Says("`/none/ffmpeg` is not installed")),
            option("--batch", "--json", "--batch 5", Says("\"batch\": 5")),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "mixed", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--precision", "--json", "--precision int8", Says("\"precision\": \"int8\"")),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--json", "", "--json", Says("\"checked\": 3")),
        ],
        refused: &[],
    },
    Command {
        name: "index info",
        line: "IDX",
        options: &[option("--json", "", "--json", Says("\"format_version\""))],
        refused: &[],
    },
    Command {
        name: "search",
        line: "--index IDX 'number 2'",
        options: &[
            option("--index", "", "--index /none", Ends(1, "/none/index.json")),
            option("--image", "=--index IDX", "--image photos/p0.png", Differs),
            option("--sound", "=--index IDX", "--sound talks/s0.wav", Differs),
            option("--video", "=--index IDX", "--video clip.mp4", Differs),
            option("--ffmpeg", "=--index IDX --video clip.mp4", "--ffmpeg /none/ffmpeg", NO_FFMPEG),
            option("--top", "", "--top 1", Differs),
            option("--modality", "", "--modality text", Says("Bild 2")),
            option("--model", "", "--model model2", Ends(1, "not the model that made the index")),
            option("--rerank", "", "--rerank matches", Says("match")),
            option("--clips", "--modality video", "--clips hits", Says("hits: 1 clip")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--json", "", "--json", Says("\"score_is\": \"cosine\"")),
            option("--open", "", "--open=page.html", Says("page.html")),
        ],
        refused: &[
            ("--image", "--sound"),
            ("--image", "--video"),
            ("--sound", "--video"),
            ("--image", "--rerank"),
            ("--sound", "--rerank"),
            ("--video", "--rerank"),
            // Here it decodes the video to search with.
            ("--ffmpeg", "--rerank"),
        ],
    },
    Command {
        name: "classify",
        line: "--model model --labels labels.txt photos",
        options: &[
            option("--model", "", "--model model2", Differs),
            option("--labels", "", "--labels labels2.txt", Says("cat")),
            option("--templates", "--json", "--templates templates.txt", Differs),
            option("--top", "", "--top 1", Differs),
            option("--json", "", "--json", Says("\"guesses\"")),
            option("--batch", "--json --precision int8", "--batch 1", Differs),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "mixed", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--precision", "--json", "--precision bf16", Differs),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
        ],
        refused: &[],
    },
    Command {
        name: "caption",
        line: "--model captions photos",
        options: &[
            option("--model", "", "--model matches", Ends(1, "no captioning head")),
            option("--manifest", "", "--manifest media/manifest.jsonl", Differs),
            option("--split", "--manifest media/manifest.jsonl", "--split train", Differs),
            option("--frames", "--json clip.mp4", "--frames 1", Differs),
            option("--ffmpeg", "clip.mp4", "--ffmpeg /none/ffmpeg", NO_FFMPEG),
            option("--batch", "--json --precision int8", "--batch 1", Differs),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "mixed", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--precision", "--json", "--precision bf16", Differs),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--prompt", "", "--prompt 'a red'", Says("a red")),
            option("--out", "", "--out c.jsonl", Says("c.jsonl: 3 files")),
            option("--fresh", "--out c.jsonl mixed", "--fresh", Says("c.jsonl: 4 files"))
                .after("--model captions --out c.jsonl --batch 1 --max-skip 0 --prompt other photos mixed"),
            option("--json", "", "--json", Says("\"caption\"")),
            option("--beams", "", "--beams 3", Differs),
            option("--length-penalty", "--beams 3 --json", "--length-penalty 9", Differs),
            option("--repetition-penalty", "", "--repetition-penalty 5", Differs),
            option("--no-repeat-ngram", "", "--no-repeat-ngram 1", Differs),
            option("--temperature", "", "--temperature 1.5", Differs),
            option("--top-k", "--temperature 1.5", "--top-k 1", Differs),
            option("--top-p", "--temperature 1.5", "--top-p 0.01", Differs),
            option("--seed", "--temperature 1.5", "--seed 5", Differs),
            option("--max-length", "", "--max-length 4", Differs),
            option("--min-length", "picture.png", "--min-length 20", Differs),
        ],
        refused: &[],
    },
    Command {
        name: "match",
        line: "--model matches --text red photos",
        options: &[
            option("--model", "", "--model captions", Ends(1, "no matching head")),
            option("--text", "", "--text 'a blue bus'", Differs),
            option("--manifest", "", "--manifest media/manifest.jsonl", Differs),
            option("--split", "--manifest media/manifest.jsonl", "--split train", Differs),
            option("--frames", "--json clip.mp4", "--frames 1", Differs),
            option("--ffmpeg", "clip.mp4", "--ffmpeg /none/ffmpeg", NO_FFMPEG),
            option("--batch", "--json --precision int8", "--batch 1", Differs),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "mixed", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--precision", "--json", "--precision bf16", Differs),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--out", "", "--out c.jsonl", Says("c.jsonl: 3 files")),
            option("--fresh", "--out c.jsonl mixed", "--fresh", Says("c.jsonl: 4 files"))
                .after("--model matches --out c.jsonl --batch 1 --max-skip 0 --text other photos mixed"),
            option("--json", "", "--json", Says("\"probability\"")),
        ],
        refused: &[],
    },
    Command {
        name: "ask",
        line: "--model answers --question what photos",
        options: &[
            option("--model", "", "--model captions", Ends(1, "no answering head")),
            option("--question", "--json", "--question 'how many'", Differs),
            option("--answer", "", "--answer red --answer blue", Says(" %  red")),
            option("--manifest", "", "--manifest media/manifest.jsonl", Differs),
            option("--split", "--manifest media/manifest.jsonl", "--split train", Differs),
            option("--frames", "--json clip.mp4", "--frames 1", Differs),
            option("--ffmpeg", "clip.mp4", "--ffmpeg /none/ffmpeg", NO_FFMPEG),
            option("--batch", "--json --precision int8", "--batch 1", Differs),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "mixed", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--precision", "--json", "--precision bf16", Differs),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--out", "", "--out c.jsonl", Says("c.jsonl: 3 files")),
            option("--fresh", "--out c.jsonl mixed", "--fresh", Says("c.jsonl: 4 files"))
                .after("--model answers --out c.jsonl --batch 1 --max-skip 0 --question other photos mixed"),
            option("--json", "", "--json", Says("\"answer\"")),
            option("--beams", "--json", "--beams 4", Differs),
            option("--length-penalty", "--beams 4 --json", "--length-penalty 9", Differs),
            option("--repetition-penalty", "--json", "--repetition-penalty 5", Differs),
            option("--no-repeat-ngram", "--json --min-length 12", "--no-repeat-ngram 1", Differs),
            option("--temperature", "", "--temperature 2", Differs),
            option("--top-k", "--temperature 2", "--top-k 1", Differs),
            option("--top-p", "--temperature 2", "--top-p 0.01", Differs),
            option("--seed", "--temperature 2", "--seed 5", Differs),
            option("--max-length", "--json", "--max-length 2", Differs),
            option("--min-length", "--json", "--min-length 12", Differs),
        ],
        refused: &[
            ("--answer", "--beams"),
            ("--answer", "--length-penalty"),
            ("--answer", "--repetition-penalty"),
            ("--answer", "--no-repeat-ngram"),
            ("--answer", "--temperature"),
            ("--answer", "--top-k"),
            ("--answer", "--top-p"),
            ("--answer", "--seed"),
            ("--answer", "--max-length"),
            ("--answer", "--min-length"),
        ],
    },
    Command {
        name: "transcribe",
        line: "--model speech --no-fallback talks",
        options: &[
            option("--model", "", "--model captions", Ends(1, "no speech head")),
            option("--manifest", "", "--manifest media/manifest.jsonl", Differs),
            option("--split", "--manifest media/manifest.jsonl", "--split train", Differs),
            option("--ffmpeg", "clip.mp4", "--ffmpeg /none/ffmpeg", NO_FFMPEG),
            option("--batch", "", "--batch 1", Unseen("how many sounds are written at once changes the time and the memory alone")),
            option("--threads", "", "--threads 1", SPEED),
            option("--max-skip", "mixed/z.wav broken.wav", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--precision", "--min-length 11", "--precision int8", Differs),
            option("--verbose", "", "--verbose", Says("weights: ")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--format", "", "--format vtt", Says("WEBVTT")),
            option("--out", "", "--out texts", Says("texts: ")),
            option("--fresh", "--out texts", "--fresh", Says("texts: ")).after("--model speech --no-fallback --out texts talks"),
            option("--language", "--json", "--language de", Says("\"language\": \"de\"")),
            option("--translate", "", "--translate", Differs),
            option("--prompt", "", "--prompt bus", Differs),
            option("--condition", "long.wav", "--condition", Differs),
            option("--no-fallback", "=--model speech talks", "--no-fallback", Differs),
            option("--json", "", "--json", Says("\"segments\"")),
            option("--beams", "", "--beams 4", Differs),
            option("--length-penalty", "--beams 4 --max-length 30", "--length-penalty -9", Differs),
            option("--repetition-penalty", "", "--repetition-penalty 5", Differs),
            option("--no-repeat-ngram", "", "--no-repeat-ngram 1", Differs),
            option("--temperature", "", "--temperature 2", Differs),
            option("--top-k", "--temperature 2", "--top-k 1", Differs),
            option("--top-p", "--temperature 2", "--top-p 0.01", Differs),
            option("--seed", "--temperature 2", "--seed 5", Differs),
            option("--max-length", "", "--max-length 3", Differs),
            option("--min-length", "--max-length 30 --temperature 2 long.wav", "--min-length 30", Differs),
        ],
        refused: &[],
    },
    Command {
        name: "scenes",
        line: "--out found --format none clip.mp4",
        options: &[
            option("--out", "", "--out other", Says("other: 1 video")),
            option("--detector", "", "--detector threshold", Differs),
            option("--settings", "", "--settings strict.toml", Differs),
            option("--set", "", "--set 'detectors=[\"threshold\"]'", Differs),
            option("--print-settings", "=", "--print-settings", Says("[content]")),
            option("--write-labels", "=", "--write-labels words", Says("places.txt")),
            option("--model", "", "--model model", Says("found/index")),
            option("--caption-model", "", "--caption-model captions", Differs),
            option("--speech-model", "", "--speech-model speech", Differs),
            option("--language", "--speech-model speech", "--language xx", Differs),
            option("--labels", "--model model", "--labels places", Differs),
            option("--transnet", "--detector transnet", "--transnet /none", Says("/none")),
            option("--precision", "--model model", "--precision bf16", Differs),
            option("--device", "--model model", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--format", "=--out found clip.mp4", "--format csv", Differs),
            option("--clips", "", "--clips copy", Differs),
            option("--shard", "", "--shard 2/2", Differs),
            option("--workers", "", "--workers 1", Unseen("how many work at a time changes the time alone")),
            option("--rate", "=--out found --format none photos", "--rate 5", Differs),
            option("--max-skip", "broken.mp4", "--max-skip 0", Ends(1, "more than the 0 allowed (`--max-skip`)")),
            option("--fresh", "--detector content", "--fresh", Says("found: 1 video")).after("--out found --format none clip.mp4"),
            option("--ffmpeg", "", "--ffmpeg /none/ffmpeg", Says("`/none/ffmpeg` is not installed")),
            option("--json", "", "--json", Says("\"gathered\"")),
        ],
        refused: &[],
    },
    Command {
        name: "model inspect",
        line: "speech",
        options: &[
            option("--verbose", "", "--verbose", Says("left behind: ")),
            option("--json", "", "--json", Says("\"embed_dim\"")),
        ],
        refused: &[],
    },
    Command {
        name: "model convert",
        line: "clip new --to unisono",
        options: &[option("--to", "", "--to hf-clip", Differs)],
        refused: &[],
    },
    Command {
        name: "train",
        line: "recipe.toml --out run",
        options: &[
            option("--out", "", "--out other", Says("model: other")),
            option("--set", "", "--set steps=1", Says("trained 1 step")),
            option("--without", "", "--without NAME", Differs),
            option("--resume", "", "--resume", Says("resumed at step 2 of 2")).after("recipe.toml --out run"),
            option("--fresh", "", "--fresh", Says("trained 2 steps")).after("recipe.toml --out run"),
            option("--dry-run", "", "--dry-run", Says("a sound recipe of 2 steps")),
            option("--json", "", "--json", Says("\"finished\": true")),
        ],
        refused: &[("--resume", "--fresh")],
    },
    Command {
        name: "eval retrieval",
        line: "--model model --data media/manifest.jsonl",
        options: &[
            option("--model", "", "--model model2", Differs),
            option("--data", "", "--data things/manifest.jsonl --split train", Differs),
            option("--split", "", "--split train", Differs),
            option("--from", "--to text", "--from image", Differs),
            option("--to", "--from text", "--to image", Differs),
            option("--distractors", "--data more.jsonl --from text --to image", "--distractors extra", Differs),
            option("--query-lang", "--from text --to image", "--query-lang fr", Differs),
            option("--gallery-lang", "--from image --to text", "--gallery-lang fr", Differs),
            option("--same-lang", "--from image --to text --json", "--same-lang", Says("\"same_lang\": true")),
            option("--all-captions", "--json", "--all-captions", Says("\"captions\": \"all\"")),
            option("--joined-captions", "--json", "--joined-captions", Says("\"captions\": \"joined\"")),
            option("--duration-control", "", "--duration-control test", Says("duration alone")),
            option("--batch", "", "--batch 2", Unseen("how many are embedded at once changes the time alone")),
            option("--device", "", "--device gpu", Ends(2, "expected cpu, cuda, cuda:N or auto")),
            option("--json", "", "--json", Says("\"metrics\"")),
        ],
        refused: &[("--all-captions", "--joined-captions")],
    },
    Command {
        name: "report",
        line: "--run trained",
        options: &[
            option("--run", "", "--run /none", Ends(1, "/none")),
            option("--out", "", "--out page.html", Says("page.html")),
            option("--command", "--out page.html", "--command 'unisono train x'", Differs),
            option("--date", "--out page.html", "--date today", Differs),
            option("--stages", "--out page.html", "--stages stages.json", Differs),
        ],
        refused: &[],
    },
];

/// Lines that are refused for what the model or the options together say, each with a part of the message.
pub const REFUSED: &[(&str, &str)] = &[
    ("search --index IDX --image picture.png --rerank matches", "cannot be used with"),
    ("search --index IDX --sound sound.wav --rerank matches", "cannot be used with"),
    ("search --index IDX --video clip.mp4 --rerank matches", "cannot be used with"),
    ("caption --model captions --top-k 3 picture.png", "--top-k changes nothing"),
    ("caption --model captions --temperature 0 --top-p 0.5 picture.png", "--top-p changes nothing"),
    ("caption --model captions --seed 3 picture.png", "--seed changes nothing"),
    ("caption --model captions --length-penalty 2 picture.png", "--length-penalty changes nothing"),
    ("caption --model captions --beams 2 --temperature 1 picture.png", "exclude each other"),
    ("caption --model captions --min-length 9 --max-length 8 picture.png", "--min-length 9 is above --max-length 8"),
    ("ask --model answers --question x --answer red --beams 2 picture.png", "cannot be used with"),
    ("transcribe --model speech --no-fallback --seed 2 sound.wav", "--seed changes nothing"),
    ("transcribe --model speech --min-length 9 --max-length 8 sound.wav", "--min-length 9 is above --max-length 8"),
    ("transcribe --model speech --json --format srt sound.wav", "--json prints JSON"),
    ("transcribe --model speech --language xx sound.wav", "--language xx: expected one of de, en, fr"),
    ("transcribe --model speech --frames 3 sound.wav", "unexpected argument '--frames'"),
    ("train recipe.toml --out run --set stepz=3", "did you mean `steps`"),
    ("train recipe.toml --out run --set optimizer.lr=-1", "optimizer.lr: expected a positive number"),
    ("train recipe.toml --out run --without NOBODY", "no [[data]] or protocol of that name"),
    ("embed --model model --out v.npy --ffmpeg= photos", "--ffmpeg"),
];
