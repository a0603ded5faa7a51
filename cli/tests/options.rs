//! Every option of every command changes what the table says that it changes, or is refused with exit code 2. That each option has a line
//! there, and what the parser thinks of any two, is seen in `src/walk.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "options/asked.rs"]
mod asked;
#[path = "options/line.rs"]
mod line;
mod room;
mod support;
#[path = "options/table.rs"]
mod table;
#[path = "../../train/tests/support/mod.rs"]
mod things;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use line::{merge, words};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use support::{outcome, s, unisono};
use table::{Command, Differs, Ends, REFUSED, Says, Scenario, Unseen, commands};
use unisono_encoders::config::{AdapterConfig, AdapterKind};

/// What all runs find in their folder, where Cargo keeps tests' files; none of them changes it.
fn shared() -> &'static Path {
    static ROOM: OnceLock<PathBuf> = OnceLock::new();
    ROOM.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("options");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let dir = dir.canonicalize().unwrap();
        room::fill(&dir);
        let write = |name: &str, text: &[u8]| fs::write(dir.join(name), text).unwrap();
        room::link(&room::fixture("checkpoints/clip-gelu"), &dir.join("clip"));
        let adapter = AdapterConfig {
            kind: AdapterKind::Lora,
            rank: 2,
            alpha: 4.0,
            rslora: false,
            dropout: 0.0,
            layers: vec!["*.attention.*".into()],
            towers: Vec::new(),
            base: None,
            names: BTreeMap::new(),
        };
        let adapted = tiny::model(7, &tiny::TOWERS).with_adapter(adapter, 3).unwrap();
        adapted.save(&dir.join("adapted")).unwrap();
        room::link(&room::fixture("sentences/instruct"), &dir.join("asks"));
        room::link(&room::fixture("sentences/router"), &dir.join("routes"));
        let noisy = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * y) as u8, (x * 7) as u8, (y * 3) as u8]));
        noisy.save(dir.join("cut.png")).unwrap();
        let whole = fs::read(dir.join("cut.png")).unwrap();
        write("cut.png", &whole[..whole.len() / 2]);
        fs::create_dir(dir.join("frames")).unwrap();
        fs::copy(dir.join("cut.png"), dir.join("frames/1.png")).unwrap();
        noisy.save(dir.join("frames/0.png")).unwrap();
        write("broken.jsonl", b"{\"id\": \"a\", \"image\": \"mixed/broken.png\", \"split\": \"test\"}\n");
        let gone = "{\"id\": \"a\", \"image\": \"none.png\"}\n{\"id\": \"b\", \"text\": \"there\"}\n";
        write("gone.jsonl", gone.as_bytes());
        write("broken.wav", b"RIFF\0\0\0\0WAVEfmt ");
        write("broken.mp4", b"no film");
        write("strict.toml", b"[content]\nthreshold = 90\n[shots]\ngradual = \"cut\"\n");
        write("stages.json", b"{\"stages\": {\"build\": 61.5}}");
        let pairs = fs::read_to_string(dir.join("media/manifest.jsonl")).unwrap();
        let pairs = pairs.replace("\"p0", "\"media/p0").replace("\"s0", "\"media/s0");
        let cut = "{\"id\":\"cut\",\"text\":\"half of it\",\"image\":\"cut.png\",\"split\":\"test\"}\n";
        write("cut.jsonl", (pairs.clone() + cut).as_bytes());
        let more: String = (0..3)
            .map(|i| format!("{{\"id\":\"x{i}\",\"text\":\"extra {i}\",\"image\":\"photos/p{i}.png\",\"split\":\"extra\"}}\n"))
            .collect();
        write("more.jsonl", (pairs + &more).as_bytes());
        let said = "{\"id\":\"r0#en\",\"text\":\"a red bus\",\"split\":\"train\",\"audio\":\"talks/s1.wav\",\"image\":\"photos/p2.png\"}\n";
        write("said.jsonl", said.as_bytes());
        write("other.jsonl", b"{\"id\":\"r0#en\",\"group\":\"g\"}\n{\"id\":\"r1#de\",\"group\":\"g\"}\n");
        let groups = |i: usize| format!("{{\"id\":\"g{i}\",\"text\":\"words {i}\",\"label\":\"{}\"}}\n", i % 5);
        write("groups.jsonl", (0..30).map(groups).collect::<String>().as_bytes());
        write("copies.jsonl", b"{\"id\":\"a\",\"text\":\"same words\"}\n{\"id\":\"b\",\"text\":\"same words\"}\n");
        let spoken = ["Ein Mann fährt mit dem Fahrrad die Straße hinunter.", "taxi", "ok"];
        let spoken = spoken.iter().zip(0..).map(|(text, i)| format!("{{\"id\":\"s{i}\",\"text\":\"{text}\"}}\n"));
        write("spoken.jsonl", spoken.collect::<String>().as_bytes());
        write("kept.txt", b"r0#en\nr1#de\n");
        // One text too many for a chunk, and too long: what was done before it stays.
        let lines: String = (0..1099).map(|i| format!("{{\"id\":\"{i}\",\"text\":\"number {i}\"}}\n")).collect();
        let long = format!("{{\"id\":\"long\",\"text\":\"{}\"}}\n", "word ".repeat(60_000));
        write("many.jsonl", (lines + &long).as_bytes());
        // Several windows of the small speech model.
        tiny::audio(&dir.join("long.wav"), 200);
        fs::create_dir(dir.join("things")).unwrap();
        let manifest = things::things(&dir.join("things"));
        let text = things::recipe_text(&manifest, 2, "");
        let source = text.split("[[data]]").nth(1).unwrap().split("[augment").next().unwrap();
        let second = format!("[[data]]{}[augment", source.replace("name = \"things\"", "name = \"NAME\""));
        write("recipe.toml", text.replacen("[augment", &second, 1).as_bytes());
        let own = "index build --model model --out OWN --root photos --data media/manifest.jsonl photos";
        let cut = "index build --model model --out CUT --truncated use cut.png photos";
        for line in [own, cut, "model add model --as towers --store ST", "train recipe.toml --out trained"] {
            let (code, _, stderr) = outcome(unisono(words(line)).current_dir(&dir));
            assert_eq!(code, 0, "{stderr}");
        }
        let vote = |n: usize| {
            let at = dir.join(format!("photos/p{}.png", n % 3));
            let item = format!("{{\"id\":\"{0}\",\"modality\":\"image\",\"path\":\"{0}\"}}", s(&at));
            format!("{{\"at\":\"\",\"query\":\"query {n}\",\"vote\":1,\"item\":{item},\"model\":\"\"}}\n")
        };
        write("votes.jsonl", (0..20).map(vote).collect::<String>().as_bytes());
        dir
    })
}

/// What a run leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    code: i32,
    /// What it said, as it said it.
    said: String,
    /// The same without what no two runs have in common.
    steady: String,
    files: Vec<(String, Vec<u8>)>,
}

/// The index and the store that commands change.
const CHANGED: [&str; 3] = ["OWN", "ST", "CUT"];

/// Files that hold times.
const TIMED: [&str; 9] = [
    "/1.json",
    "/2.json",
    "index.json",
    "metrics.jsonl",
    "summary.json",
    "training.json",
    "tensorboard/",
    "report.html",
    "settings.json",
];

/// Without the names of the folders that a run sees.
fn here(text: &str, dir: &Path) -> String {
    text.replace(s(dir), "DIR").replace(s(shared()), "DIR")
}

/// What stands in lines of times, rates, energy and memory.
const MEASURED: [&str; 11] = [
    "\"seconds\"",
    "\"at\"",
    "GFLOP",
    "\"sha256\"",
    " free",
    "energy: ",
    " Wh, ",
    "samples/s",
    "as measured",
    "without reading data",
    "  all  ",
];

/// What is said, without progress, times and rates.
fn steady(text: &str, dir: &Path) -> String {
    let mut out = String::new();
    for line in here(text, dir).lines() {
        // Progress, and rates.
        let passing = line.starts_with("  ") && [" of ", " in ", "/s"].iter().any(|p| line.contains(p));
        if passing || MEASURED.iter().any(|p| line.contains(p)) {
            continue;
        }
        let mut words: Vec<&str> = line.split(' ').collect();
        for i in 1..words.len() {
            if words[i] == "a" && words[i - 1].starts_with('(') && words[i - 1][1..].parse::<f64>().is_ok() {
                words[i - 1] = "(T";
            }
            if words[i].starts_with('s')
                && words[i].trim_matches(',').len() == 1
                && words[i - 1].parse::<f64>().is_ok()
            {
                words[i - 1] = "T";
            }
        }
        out += &words.join(" ");
        out.push('\n');
    }
    out
}

/// Runs a command in a folder that has everything of [`shared`], after `first`. The folder is made anew and always of one name: sums over
/// paths are part of what some commands write.
fn run(place: &str, name: &str, first: &str, args: &[String]) -> Outcome {
    let dir = shared().with_file_name("options-runs").join(place.replace(' ', "-"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    for entry in fs::read_dir(shared()).unwrap() {
        let from = entry.unwrap().path();
        let to = dir.join(from.file_name().unwrap());
        // What a command changes is its own.
        let own = CHANGED.iter().any(|name| from.ends_with(name));
        if own { room::copy(&from, &to) } else { room::link(&from, &to) }
    }
    let command = |args: &[String]| {
        let mut command = unisono(words(name).iter().chain(args));
        // What a run says must not depend on who runs it, nor wait for a second thread on a busy machine.
        command
            .env("OMP_NUM_THREADS", "1")
            .current_dir(&dir)
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", dir.join("hub"))
            .env_remove("UNISONO_STORE")
            .env_remove("RANK")
            .env_remove("UNISONO_FFMPEG");
        asked::outcome(name, &dir, &mut command)
    };
    if !first.is_empty() {
        command(&words(first));
    }
    let (code, stdout, stderr) = command(args);
    let files = room::written(&dir).into_iter().filter(|(name, _)| !TIMED.iter().any(|t| name.contains(t)));
    let files = files.map(|(name, bytes)| match String::from_utf8(bytes) {
        Ok(text) => (name, here(&text, &dir).into_bytes()),
        Err(e) => (name, e.into_bytes()),
    });
    let files = files.collect();
    let said = format!("{stdout}{stderr}");
    Outcome { code, steady: steady(&said, &dir), said, files }
}

impl Command {
    fn valued(&self, option: &str) -> bool {
        self.all().iter().any(|s| s.option == option && words(s.given).len() > 1)
    }

    fn line(&self, with: &str, given: &str) -> Vec<String> {
        let own = with.strip_prefix('=');
        let with = if own.is_some() { "" } else { with };
        merge(&[own.unwrap_or(self.line), with, given], |option| self.valued(option))
    }

    /// What is wrong with an option, if anything is. `plain`: the outcomes without it, by what stands beside it.
    fn wrong(
        &self,
        scenario: &Scenario,
        plain: &mut BTreeMap<(String, &'static str), Outcome>,
    ) -> Option<String> {
        if let Unseen(reason) = scenario.shows {
            return reason.is_empty().then(|| format!("{}: no reason", scenario.option));
        }
        let without = self.line(scenario.with, "");
        let before = plain
            .entry((without.join(" "), scenario.first))
            .or_insert_with(|| run(self.name, self.name, scenario.first, &without))
            .clone();
        let args = self.line(scenario.with, scenario.given);
        let after = run(self.name, self.name, scenario.first, &args);
        let right = match scenario.shows {
            Differs => {
                after.code != 2
                    && (before.code, &before.steady, &before.files)
                        != (after.code, &after.steady, &after.files)
            }
            Says(part) => after.code != 2 && after.said.contains(part) && !before.said.contains(part),
            Ends(code, part) => {
                after.code == code
                    && after.said.contains(part)
                    && (before.code != code || !before.said.contains(part))
            }
            Unseen(_) => true,
        };
        (!right).then(|| {
            format!(
                "unisono {} {}: not {:?}\n--- exit code {}\n{}\n--- without it, {without:?}: exit code {}\n{}",
                self.name,
                args.join(" "),
                scenario.shows,
                after.code,
                after.said,
                before.code,
                before.said
            )
        })
    }
}

fn walk(name: &'static str) {
    let command = commands().find(|c| c.name == name).unwrap();
    let mut plain = BTreeMap::new();
    // The command's own line says the same twice: only then does a difference say something.
    let line = command.line("", "");
    let [a, b] = [0, 1].map(|_| run(name, name, "", &line));
    assert_eq!((a.code, &a.steady), (b.code, &b.steady));
    for ((x, left), (y, right)) in a.files.iter().zip(&b.files) {
        assert!(x == y && left == right, "{name}: {x} and {y} differ between two runs");
    }
    plain.insert((line.join(" "), ""), a);
    let wrong: Vec<String> = command.all().iter().filter_map(|s| command.wrong(s, &mut plain)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

macro_rules! walks {
    ($($test:ident: $name:literal),* $(,)?) => {
        /// The commands that have a test.
        const TESTED: &[&str] = &[$($name),*];
        $(#[test]
        fn $test() {
            walk($name);
        })*
    };
}

walks! {
    doctor: "doctor",
    data_sample: "data sample",
    data_inspect: "data inspect",
    data_pack: "data pack",
    data_check: "data check",
    embed: "embed",
    index_build: "index build",
    index_add: "index add",
    index_remove: "index remove",
    index_merge: "index merge",
    index_check: "index check",
    index_compact: "index compact",
    index_duplicates: "index duplicates",
    index_map: "index map",
    index_info: "index info",
    search: "search",
    classify: "classify",
    data_split: "data split",
    data_filter: "data filter",
    data_caption: "data caption",
    data_teach: "data teach",
    data_mine: "data mine",
    caption: "caption",
    match_: "match",
    ask: "ask",
    transcribe: "transcribe",
    scenes: "scenes",
    model_inspect: "model inspect",
    model_convert: "model convert",
    model_average: "model average",
    model_merge: "model merge",
    model_interpolate: "model interpolate",
    model_list: "model list",
    model_add: "model add",
    model_show: "model show",
    model_pin: "model pin",
    model_remove: "model remove",
    train: "train",
    plan: "plan",
    finetune: "finetune",
    eval_retrieval: "eval retrieval",
    report: "report",
    serve: "serve",
    mcp: "mcp",
    data_from_feedback: "data from-feedback",
    index_rebuild: "index rebuild",
}

#[test]
fn every_command_of_the_table_is_walked() {
    let table: Vec<&str> = commands().map(|c| c.name).collect();
    assert_eq!(table, TESTED);
}

#[test]
fn what_would_do_nothing_is_wrong_usage() {
    for (line, part) in REFUSED {
        let args = words(line);
        let found = run("refused", &args[0], "", &args[1..]);
        assert!(
            found.code == 2 && found.said.contains(part),
            "{line}: exit code {}\n{}",
            found.code,
            found.said
        );
        let there = |name: &&String| CHANGED.iter().any(|own| name.starts_with(&format!("{own}/")));
        let written: Vec<_> = found.files.iter().map(|(name, _)| name).filter(|name| !there(name)).collect();
        assert!(written.is_empty(), "{line}: {written:?}");
    }
}

/// `UNISONO_FFMPEG=` and `RANK=` are as if nobody had set them; what is set and wrong is told in a line.
#[test]
fn variables_are_read_as_people_leave_them() {
    let at = |name: &str| s(&shared().join(name)).to_owned();
    let dir = tempfile::tempdir().unwrap();
    let scenes = |out: &str| {
        let mut command =
            unisono(["scenes", "--format", "none", "--out", s(&dir.path().join(out)), &at("clip.mp4")]);
        command.env_remove("RANK");
        command
    };
    let (code, _, stderr) = outcome(unisono(["doctor"]).env("UNISONO_FFMPEG", ""));
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) =
        outcome(scenes("a").env("UNISONO_FFMPEG", "").env("RANK", "").env("WORLD_SIZE", ""));
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = outcome(scenes("b").env("RANK", "x").env("WORLD_SIZE", "2"));
    assert!(code == 2 && stderr.contains("RANK=\"x\"") && stderr.lines().count() == 1, "{code} {stderr}");
    assert!(!dir.path().join("b").exists());
}
