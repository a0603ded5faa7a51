//! For every option of every command: how it is given, and what it changes. An option without a line here fails the tests.
#![allow(dead_code)]

#[path = "beside.rs"]
mod beside;
#[path = "embedding.rs"]
mod embedding;
#[path = "models.rs"]
mod models;
#[path = "serving.rs"]
mod serving;
#[path = "understanding.rs"]
mod understanding;

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

/// Lines (as [`Scenario::with`]) that read media.
#[derive(Debug, Clone, Copy)]
pub struct Reads {
    /// Images and audio files.
    pub files: &'static str,
    /// A film; nothing where none is read.
    pub film: &'static str,
    /// An image whose file is cut off.
    pub cut: &'static str,
}

pub struct Command {
    /// `index build`.
    pub name: &'static str,
    /// The shortest line that does something.
    pub line: &'static str,
    pub options: &'static [Scenario],
    /// What stands beside the options of a source; absent for commands that read none.
    pub source: Option<&'static str>,
    /// What the limits of media are seen with. Absent for commands that read none.
    pub media: Option<Reads>,
    /// Pairs that the parser refuses.
    pub refused: &'static [(&'static str, &'static str)],
}

impl Command {
    /// Its options, those of a source that all commands which read one have, and the limits that all have which read media.
    pub fn all(&self) -> Vec<Scenario> {
        let mut all = self.options.to_vec();
        all.extend(self.source.iter().flat_map(|with| of_source(with)).filter(|s| {
            // What a command shows otherwise stands in its own table.
            self.options.iter().all(|own| own.option != s.option)
        }));
        let Some(Reads { files, film, cut }) = self.media else { return all };
        let of_film = |part| {
            if film.is_empty() {
                Unseen("no film is read; limits.rs sees that it is taken")
            } else {
                Says(part)
            }
        };
        // A speech model looks at no image.
        let heard = self.name == "transcribe";
        let seen = |shows| if heard { Ends(2, "is for images and frames") } else { shows };
        all.extend([
            option("--max-pixels", files, "--max-pixels 10", Says("--max-pixels")),
            option(
                "--max-file-bytes",
                if heard { "" } else { files },
                "--max-file-bytes 10B",
                Says("--max-file-bytes"),
            ),
            option("--max-seconds", film, "--max-seconds 1", of_film("--max-seconds")),
            option("--max-frames", film, "--max-frames 3", seen(of_film("--max-frames"))),
            option("--max-silence", film, "--max-silence 9", Unseen("no decoder hangs on purpose")),
            option("--truncated", cut, "--truncated use", seen(Differs)),
        ]);
        all
    }
}

/// How a source is laid out, and what stands beside it.
fn of_source(with: &'static str) -> [Scenario; 9] {
    [
        option("--data-type", with, "--data-type webdataset", Ends(1, "expected a tar file")),
        option("--columns", with, "--columns text=title", Ends(1, "has fixed keys")),
        // Another caption, image, audio file and split of one record.
        option("--annotations", with, "--annotations said.jsonl", Differs),
        // Two records of eight.
        option("--only", with, "--only kept.txt", Differs),
        option("--key-ends", with, "--key-ends last-dot", Ends(1, "takes no key_ends")),
        option("--max-unpacked", with, "--max-unpacked 5G", Ends(1, "takes no max_unpacked")),
        option("--max-page", with, "--max-page 5G", Ends(1, "takes no max_page")),
        option("--max-footer", with, "--max-footer 5G", Ends(1, "takes no max_footer")),
        option("--media", with, "--media talks", Ends(1, "takes no media")),
    ]
}

const BATCH: Shows = Unseen("how many items the model takes at once changes the time and the memory alone");
const SPEED: Shows = Unseen("how many threads work changes the time alone");
const NO_FFMPEG: Shows = Ends(3, "`/none/ffmpeg` is not installed");

/// All commands.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    let tables =
        [embedding::COMMANDS, beside::COMMANDS, understanding::COMMANDS, models::COMMANDS, serving::COMMANDS];
    tables.into_iter().flatten()
}

/// Lines that are refused for what the model or the options together say, each with a part of the message.
pub const REFUSED: &[(&str, &str)] = &[
    ("search --index IDX --image image.png --rerank matches", "cannot be used with"),
    ("search --index IDX --audio audio.wav --rerank matches", "cannot be used with"),
    ("search --index IDX --video clip.mp4 --rerank matches", "cannot be used with"),
    ("caption --model captions --top-k 3 image.png", "--top-k changes nothing"),
    ("caption --model captions --temperature 0 --top-p 0.5 image.png", "--top-p changes nothing"),
    ("caption --model captions --seed 3 image.png", "--seed changes nothing"),
    ("caption --model captions --length-penalty 2 image.png", "--length-penalty changes nothing"),
    ("caption --model captions --early-stopping full image.png", "--early-stopping changes nothing"),
    ("caption --model captions --beams 2 --temperature 1 image.png", "exclude each other"),
    (
        "caption --model captions --min-length 9 --max-length 8 image.png",
        "--min-length 9 is above --max-length 8",
    ),
    ("ask --model answers --question x --answer red --beams 2 image.png", "cannot be used with"),
    ("transcribe --model speech --no-fallback --seed 2 audio.wav", "--seed changes nothing"),
    (
        "transcribe --model speech --min-length 9 --max-length 8 audio.wav",
        "--min-length 9 is above --max-length 8",
    ),
    ("transcribe --model speech --json --format srt audio.wav", "--json prints JSON"),
    ("transcribe --model speech --language xx audio.wav", "--language xx: expected one of de, en, fr"),
    ("transcribe --model speech --frames 3 audio.wav", "unexpected argument '--frames'"),
    ("match --model matches --text red --with blue", "--with: this model compares texts with image"),
    ("classify --model model photos", "this model has no labels of its own: expected --labels FILE"),
    ("classify --model model --templates templates.txt photos", "--labels <FILE>"),
    ("train recipe.toml --out run --set stepz=3", "did you mean `steps`"),
    ("train recipe.toml --out run --set optimizer.lr=-1", "optimizer.lr: expected a positive number"),
    ("train recipe.toml --out run --without NOBODY", "no [[data]] or protocol of that name"),
    ("embed --model model --out v.npy --ffmpeg= photos", "--ffmpeg"),
    ("model interpolate model model2 --out x --alpha 2", "--alpha: expected 0 to 1, found 2"),
    (
        "finetune --model model --data things/manifest.jsonl --out run --held-out 1",
        "--held-out: expected a share between 0 and 1, found 1",
    ),
    (
        "finetune --model model --data things/manifest.jsonl --out run --lr 0",
        "--lr: expected a positive number",
    ),
];
