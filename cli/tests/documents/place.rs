//! Where a document's lines run: a folder in which the names that the documents use are there, and hub ids are small models.

use crate::extract::{is_name, words};
use crate::room::{self, fixture};
use crate::support::{outcome, s};
use crate::{things, tiny};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a line did.
#[derive(Debug)]
pub struct Found {
    pub stdout: String,
    pub stderr: String,
}

pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        room::fill(dir.path());
        // A folder of photographs holds other things too.
        tiny::audio(&at("photos/memo.wav"), 2);
        fs::write(at("photos/notes.txt"), "notes").unwrap();
        // Talks are audio files and films.
        fs::copy(at("clip.mp4"), at("talks/talk.mp4")).unwrap();
        for (name, to) in [
            ("L.txt", "labels.txt"),
            ("T.txt", "templates.txt"),
            ("photo.png", "image.png"),
            ("film.mkv", "clip.mp4"),
            ("film.mp4", "clip.mp4"),
            ("INPUT", "photos"),
            ("INDEX", "IDX"),
            ("OTHER", "IDX"),
        ] {
            room::link(&at(to), &at(name));
        }
        // Paths of a manifest are relative to it.
        let manifest = fs::read_to_string(at("media/manifest.jsonl")).unwrap();
        let manifest = manifest.replace("\"p0", "\"media/p0").replace("\"s0", "\"media/s0");
        // Spoken captions to fit a control on.
        let spoken = |n| {
            format!(
                "{{\"id\":\"t{n}\",\"text\":\"said {n}\",\"audio\":\"media/s0{n}.wav\",\"split\":\"train\",\"lang\":\"en\"}}\n"
            )
        };
        let manifest = (0..4).map(spoken).fold(manifest, |all, line| all + &line);
        for name in ["F", "MANIFEST", "DATA.jsonl", "data.jsonl"] {
            fs::write(at(name), &manifest).unwrap();
        }
        // MSR-VTT's own file, with its videos beside it.
        fs::copy(at("clip.mp4"), at("videos/video1.mp4")).unwrap();
        let csv = "key,vid_key,video_id,sentence\nret0,msr1,video1,it turns into a test image\n";
        fs::write(at("MSRVTT_JSFUSION_test.csv"), csv).unwrap();
        // Recipes of two steps in the place of those that take minutes.
        for folder in ["things", "recipes"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let manifest = things::things(&at("things"));
        let pairs = fs::read_to_string(&manifest).unwrap();
        let pairs = pairs.lines().map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let [image, text] = ["image", "text"].map(|key| record[key].as_str().unwrap().to_owned());
            format!("things/{image},{text}\n")
        });
        fs::write(at("pairs.csv"), "image,text\n".to_owned() + &pairs.collect::<String>()).unwrap();
        let text = things::recipe_text(&manifest, 2, "").replace("name = \"things\"", "name = \"NAME\"");
        let more = text.split("[[data]]").nth(1).unwrap().split("[augment").next().unwrap();
        let text =
            text.replacen("[augment", &format!("[[data]]{}[augment", more.replace("NAME", "OTHER")), 1);
        fs::write(at("RECIPE"), &text).unwrap();
        fs::write(at("recipes/from-scratch.toml"), &text).unwrap();
        let fusion = "[fusion]\nmemory = [\"image\"]\ncontext_length = 12\n\
                      transformer = { width = 24, depth = 1, heads = 3, mlp_ratio = 2.0 }\n[[objective]]\nkind = \"caption\"\n[[objective]]\n";
        fs::write(at("recipes/from-scratch-fusion.toml"), text.replace("[[objective]]\n", fusion)).unwrap();
        let fusion = fusion.replace("context_length", "prefix = 2\nknown_words = true\ncontext_length");
        fs::write(at("recipes/quickstart.toml"), text.replace("[[objective]]\n", &fusion)).unwrap();
        for (id, model) in [
            ("openai/clip-vit-base-patch32", "sees"),
            ("Salesforce/blip-image-captioning-base", "captions"),
            ("Salesforce/blip-itm-base-coco", "matches"),
            ("Salesforce/blip-vqa-base", "answers"),
            ("cross-encoder/ms-marco-MiniLM-L6-v2", "pairs"),
            ("openai/whisper-base", "speech"),
        ] {
            room::cache(&at("hf"), id, &at(model));
        }
        Self { dir }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    /// Runs a line; an error unless it ends well. `which` of a line's alternatives it is.
    pub fn run(&self, line: &str, which: usize) -> Result<Found, String> {
        let words = words(line);
        let program = match words[0].as_str() {
            "unisono" => PathBuf::from(env!("CARGO_BIN_EXE_unisono")),
            "ffmpeg" => {
                unisono_media::video::Ffmpeg::find(None).map_err(|e| e.to_string())?.program().to_owned()
            }
            other => return Err(format!("`{other}` does not run here; say why in documents/known.rs")),
        };
        let mut args: Vec<String> = words[1..].iter().map(|word| self.word(&words, word, which)).collect();
        // A command that is only named has a help.
        if is_name(&words) {
            args.push("--help".into());
        }
        let mut command = Command::new(program);
        command.args(&args);
        self.finish(&mut command)
    }

    /// Runs a command here; an error unless it ends well.
    pub fn finish(&self, command: &mut Command) -> Result<Found, String> {
        command
            .current_dir(self.dir.path())
            .env("HF_HOME", self.at("hf"))
            .env("HF_HUB_OFFLINE", "1")
            // Small models on a busy machine wait longer for a second thread than it helps.
            .env("OMP_NUM_THREADS", "1")
            .stdin(std::process::Stdio::null());
        let (code, stdout, stderr) = outcome(command);
        if code == 0 {
            Ok(Found { stdout, stderr })
        } else {
            Err(format!("exit code {code}\n{stdout}{stderr}"))
        }
    }

    /// What a placeholder stands for in a line; the names of files are there under their own names.
    fn word(&self, line: &[String], word: &str, which: usize) -> String {
        let model = |name: &str| s(&self.at(name)).to_owned();
        match word {
            "M" | "MODEL" | "DIR_OR_ID" => model(match line[1].as_str() {
                "caption" => "captions",
                "match" => "matches",
                "ask" => "answers",
                "transcribe" => "speech",
                _ => "model",
            }),
            "C" => model("captions"),
            "W" => model("speech"),
            "SRC" => s(&fixture("checkpoints/clip-gelu")).to_owned(),
            "DST" => format!("DST{which}"),
            "FILES" => if line[1] == "transcribe" {
                "talks"
            } else if line[1] == "scenes" {
                "videos"
            } else {
                "photos"
            }
            .to_owned(),
            word => word.to_owned(),
        }
    }

    /// The names in a folder, in order.
    pub fn names(&self, folder: &str) -> Vec<String> {
        tiny::names(&self.at(folder))
    }

    /// The example that the tests of the whole package have built; alone this test builds it.
    pub fn example(&self, name: &str) -> Result<PathBuf, String> {
        let tests = std::env::current_exe().map_err(|e| e.to_string())?;
        let profile = tests.parent().and_then(Path::parent).ok_or("no folder of examples")?;
        let program = profile.join("examples").join(name);
        if !program.is_file() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--offline", "-p", "unisono", "--example", name]);
            build.current_dir(env!("CARGO_MANIFEST_DIR"));
            let (code, _, stderr) = outcome(&mut build);
            assert_eq!(code, 0, "{stderr}");
        }
        Ok(program)
    }
}
