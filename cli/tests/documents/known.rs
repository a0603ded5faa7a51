//! What the documents' lines show, and why some cannot run in a test. A line that is not here runs as it stands and must end well.

use crate::extract::{is_name, words};
use crate::place::{Found, Place};
use std::process::Command;

type Checked = Result<(), String>;

pub enum Expected {
    /// It runs, and this holds afterwards.
    Runs(fn(&Place, &Found) -> Checked),
    /// It runs in a way of its own.
    Otherwise(fn(&mut Place, &str) -> Checked),
    /// It does not run here, for this reason.
    Not(&'static str),
}

use Expected::{Not, Otherwise, Runs};

/// By how a line begins; the longest counts.
pub const KNOWN: &[(&str, Expected)] = &[
    ("cargo ", Not("builds this very project; CI runs it")),
    ("cargo xtask ", Not("sets up, builds or trains for minutes; CI runs `cargo xtask test`")),
    ("cargo run --release --example", Otherwise(example)),
    ("cargo run --release -p unisono-datasets --example", Not("measures speed")),
    ("python benches/", Not("measures speed beside Python's libraries, which are not installed")),
    ("python3 benches/", Not("measures on a release build")),
    ("rm -r", Not("deletes the user's cache")),
    ("rm .cargo", Not("undoes set-up")),
    ("pip download", Not("fetches libtorch; set-up does it")),
    ("time cargo", Not("measures a clean clone")),
    ("git clone", Not("measures a clean clone")),
    ("unisono data sample", Not("fetches packages; data.rs has what needs no network")),
    ("unisono serve", Not("serves until it is told to end; serve.rs tells it")),
    ("unisono mcp", Not("waits for an agent; serve/agent.rs is one")),
    ("unisono embed --model openai/clip", Runs(parquet)),
    (
        "unisono embed --model M --out OUT.npy",
        Runs(|p, f| all(&f.stdout, &["OUT.npy: ", " of width 12"]).and(has(p, "OUT.npy.jsonl"))),
    ),
    ("unisono classify --model", Runs(labels)),
    ("unisono caption ", Runs(|_, f| lines(f, "png: ", 3))),
    ("unisono caption --model runs/quickstart/best", Runs(|_, f| lines(f, "image.png: ", 1))),
    ("unisono match ", Runs(|_, f| lines(f, " %  ", 3))),
    ("unisono match --model cross-encoder", Runs(|_, f| lines(f, " %  It is 324 m tall.", 1))),
    ("unisono ask ", Runs(|_, f| lines(f, "png: ", 3))),
    ("unisono transcribe --model openai", Runs(subtitles)),
    ("unisono scenes --model", Runs(scenes)),
    ("unisono scenes --out OUT videos/", Runs(|p, _| has(p, "OUT/scenes.jsonl"))),
    ("unisono scenes --out OUT --detector transnet", Otherwise(network)),
    ("unisono scenes --out OUT --model", Otherwise(anew)),
    ("unisono scenes --print-settings", Runs(|_, f| all(&f.stdout, &["[content]", "threshold"]))),
    ("unisono search --index scenes/index", Runs(clips)),
    ("unisono search --index OUT/index", Runs(clips)),
    ("unisono search --index IDX", Runs(|_, f| all(&f.stdout, &["#", "cosine", "where"]))),
    (
        "unisono search --index IDX \"two cats on a couch\" --rerank",
        Runs(|_, f| all(&f.stdout, &["match", "where"])),
    ),
    ("unisono search --index IDX \"a dog jumps", Runs(|_, f| lines(f, "video", 1))),
    ("unisono search --index IDX --words", Runs(|_, f| all(&f.stdout, &["#", "words"]))),
    ("unisono search --index IDX --words --meaning", Runs(|_, f| all(&f.stdout, &["#", "rarity", "where"]))),
    (
        "unisono index build",
        Runs(|p, f| all(&f.stdout, &["IDX: ", "self-check: "]).and(has(p, "IDX/index.json"))),
    ),
    ("unisono index add", Runs(|_, f| all(&f.stdout, &["IDX: ", " embedded"]))),
    ("unisono index remove", Runs(|_, f| all(&f.stdout, &[" removed; it holds "]))),
    ("unisono index merge", Runs(|p, f| all(&f.stdout, &["merged of 2"]).and(has(p, "BOTH/index.json")))),
    ("unisono index check", Runs(|_, f| all(&f.stdout, &[" whole, 0 damaged"]))),
    ("unisono index compact", Runs(|_, f| all(&f.stdout, &["in one segment"]))),
    ("unisono index duplicates", Runs(|_, f| all(&f.stdout, &["IDX: ", " more than one of each"]))),
    ("unisono index map", Runs(|p, f| all(&f.stdout, &["map.html: a map of "]).and(has(p, "map.html")))),
    ("unisono index info", Runs(|_, f| all(&f.stdout, &["holds ", "there, unchanged"]))),
    ("unisono model inspect", Runs(|_, f| all(&f.stdout, &["parameters", "weights: "]))),
    ("unisono model convert SRC", Runs(|_, f| all(&f.stdout, &["DST", "clip as "]))),
    (
        "unisono model average",
        Runs(|p, f| all(&f.stdout, &["SOUP: the average "]).and(has(p, "SOUP/model.safetensors"))),
    ),
    ("unisono plan ", Runs(|_, f| all(&f.stdout, &["parameters", "memory", "a step, the median of 3"]))),
    (
        "unisono model merge",
        Runs(|p, f| all(&f.stdout, &["with the adapter in its weights"]).and(has(p, "MERGED/config.json"))),
    ),
    (
        "unisono model interpolate",
        Runs(|p, f| all(&f.stdout, &["0.5 of "]).and(has(p, "BETWEEN/config.json"))),
    ),
    (
        "unisono finetune",
        Runs(|p, f| {
            all(&f.stdout, &["trained ", "held-out-text-image", " before, ", "next: unisono index build"])
                .and(has(p, "TUNED/finetune.toml"))
                .and(has(p, "TUNED/best/adapter_model.safetensors"))
        }),
    ),
    ("unisono train RECIPE", Otherwise(train)),
    (
        "unisono train recipes/quickstart.toml",
        Runs(|p, f| {
            all(&f.stdout, &["trained 2 steps", "model: "]).and(has(p, "runs/quickstart/best/fusion.json"))
        }),
    ),
    ("unisono train recipes/from-scratch.toml", Otherwise(train)),
    (
        "unisono train recipes/from-scratch-fusion.toml",
        Runs(|p, f| {
            all(&f.stdout, &["trained 2 steps", "model: "])
                .and(has(p, "runs/from-scratch/fusion/last/fusion.json"))
        }),
    ),
    (
        "unisono eval retrieval --model MODEL --data DATA.jsonl --split test --from text --to image",
        Runs(|_, f| all(&f.stdout, &["\"r1\"", "\"captions\": \"all\""])),
    ),
    ("unisono eval retrieval", Runs(|_, f| all(&f.stdout, &["R@1", "R@10", "→"]))),
    ("unisono report --run", Runs(|p, _| has(p, "RUN/report.html"))),
    (
        "unisono data pack --shard-size",
        Runs(|p, _| has(p, "PACKED/index.json").and(has(p, "PACKED/shard-00000.tar"))),
    ),
    ("unisono data pack --format parquet", Runs(|p, _| has(p, "TABLES/shard-00000.parquet"))),
    ("unisono data pack --split", Runs(|p, f| all(&f.stdout, &["TRAIN: "]).and(has(p, "TRAIN/index.json")))),
    ("unisono data check", Runs(|_, f| all(&f.stdout, &["decoded", "every file opens", "equal looks"]))),
    (
        "unisono data split",
        Runs(|p, f| all(&f.stdout, &["split.jsonl: 12 records", "kept together"]).and(has(p, "split.jsonl"))),
    ),
    ("unisono data filter DATA.jsonl --out told.jsonl", Runs(|_, f| all(&f.stdout, &["12 of 12 records"]))),
    ("unisono data filter", Runs(|_, f| all(&f.stdout, &[" of 12 records, ", "fell by "]))),
    (
        "unisono data caption",
        Runs(|p, f| all(&f.stdout, &["captions.jsonl: 8 captions"]).and(has(p, "captions.jsonl"))),
    ),
    ("unisono data teach", Runs(|p, _| has(p, "taught/image.safetensors.model.json"))),
    ("unisono data mine", Runs(|p, f| all(&f.stdout, &["mean cosine"]).and(has(p, "negatives.jsonl")))),
    ("unisono data inspect", Runs(|_, f| all(&f.stdout, &["split", "images", "every file is there"]))),
    (
        "unisono data inspect --html",
        Runs(|p, f| has(p, "PAGE.html").and(all(&f.stdout, &["every file is there"]))),
    ),
    ("unisono doctor", Runs(|_, f| all(&f.stdout, &["libtorch", "ffmpeg", "cache"]))),
    ("ffmpeg -i film.mkv", Otherwise(chapters)),
];

/// The entry of a line.
pub fn entry(line: &str) -> Option<&'static (&'static str, Expected)> {
    // Lines are aligned with spaces for the eye.
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    KNOWN.iter().filter(|(start, _)| line.starts_with(start)).max_by_key(|(start, _)| start.len())
}

pub fn of(line: &str) -> Option<&'static Expected> {
    if is_name(&words(line)) {
        return None;
    }
    entry(line).map(|(_, expected)| expected)
}

fn all(text: &str, parts: &[&str]) -> Checked {
    match parts.iter().find(|part| !text.contains(*part)) {
        Some(part) => Err(format!("{part:?} is not in:\n{text}")),
        None => Ok(()),
    }
}

fn has(place: &Place, name: &str) -> Checked {
    let there = place.at(name).is_file();
    if there { Ok(()) } else { Err(format!("{name} was not written")) }
}

/// So many lines of the output have `part`.
fn lines(found: &Found, part: &str, n: usize) -> Checked {
    let count = found.stdout.lines().filter(|line| line.contains(part)).count();
    if count == n {
        Ok(())
    } else {
        Err(format!("{count} lines with {part:?}, expected {n}:\n{}", found.stdout))
    }
}

fn parquet(place: &Place, found: &Found) -> Checked {
    all(&found.stdout, &["photos.parquet: 3 embeddings of width 12"])?;
    if !std::fs::read(place.at("photos.parquet")).unwrap().starts_with(b"PAR1") {
        return Err("photos.parquet is no Parquet file".into());
    }
    has(place, "photos.parquet.jsonl")
}

/// Each image with its labels, whose probabilities are shares of one; the audio among them is named where the model hears nothing.
fn labels(_: &Place, found: &Found) -> Checked {
    all(&found.stdout, &["p0.png", "p1.png", "p2.png", "blue bus", " %"])?;
    let heard = found.stdout.contains("memo.wav");
    let named = found.stderr.contains("left out 1 file: this model has no audio tower")
        && found.stderr.contains("memo.wav");
    if heard == named {
        return Err(format!("memo.wav: classified {heard}, left out {named}\n{}", found.stderr));
    }
    let percents = found
        .stdout
        .lines()
        .filter_map(|l| l.strip_suffix(" %")?.split_whitespace().last()?.parse::<f64>().ok());
    let (sum, files) = (percents.sum::<f64>(), if heard { 4.0 } else { 3.0 });
    if (sum - 100.0 * files).abs() < 1.0 { Ok(()) } else { Err(format!("{sum} % of {files} files")) }
}

fn subtitles(place: &Place, found: &Found) -> Checked {
    all(&found.stdout, &["subtitles", "transcript"])?;
    let mut names = place.names("subtitles");
    // What was made from what is kept there too.
    names.retain(|name| !name.starts_with('.'));
    let texts: Vec<String> = names.iter().map(|n| place.text(&format!("subtitles/{n}"))).collect();
    let right = |(name, text): (&String, &String)| name.ends_with(".srt") && text.contains(" --> ");
    if !names.is_empty() && names.iter().zip(&texts).all(right) {
        Ok(())
    } else {
        Err(format!("{names:?} {texts:?}"))
    }
}

fn scenes(place: &Place, found: &Found) -> Checked {
    all(&found.stdout, &["scenes/scenes.jsonl: ", "search them: unisono search --index ", "scenes/index "])?;
    has(place, "scenes/scenes.jsonl").and(has(place, "scenes/index/index.json"))
}

fn clips(place: &Place, found: &Found) -> Checked {
    all(&found.stdout, &["hits/: ", " clip"])?;
    if place.names("hits").iter().any(|n| n.ends_with(".mp4")) {
        Ok(())
    } else {
        Err("no clip was cut".into())
    }
}

/// The network's weights are set-up's.
fn network(place: &mut Place, line: &str) -> Checked {
    if !unisono_files::cache_folder().join("transnetv2").is_dir() {
        println!("not run, since set-up has not fetched TransNetV2's weights: {line}");
        return Ok(());
    }
    // The same folder with another detector: the command says that it wants `--fresh`.
    let line = line.replace("--out OUT", "--out OUT-network");
    place.run(&line, 0)?;
    has(place, "OUT-network/scenes.jsonl")
}

/// The line stands beside one with other settings for the same folder.
fn anew(place: &mut Place, line: &str) -> Checked {
    std::fs::remove_dir_all(place.at("OUT")).map_err(|e| e.to_string())?;
    let found = place.run(line, 0)?;
    all(&found.stdout, &["OUT/scenes.jsonl: "])?;
    let scenes = place.text("OUT/scenes.jsonl");
    all(&scenes, &["\"caption\":", "\"labels\":"])
}

/// `[--resume]` goes on exactly there; `--set` and `--without` change the recipe, so they begin another run.
fn train(place: &mut Place, line: &str) -> Checked {
    if line.contains("--resume") {
        return Ok(());
    }
    let found = place.run(line, 0)?;
    all(&found.stdout, &["trained 2 steps", "model: "])?;
    let words = words(line);
    let run = words.last().cloned().unwrap_or_default();
    has(place, &format!("{run}/best/model.safetensors"))?;
    let again = place.run(&format!("{line} --resume"), 0)?;
    all(&again.stderr, &["resumed at step 2 of 2"])?;
    for (more, steps) in [("--set steps=1", 1), ("--without NAME", 2)] {
        let found = place.run(&format!("{} {more}", line.replace(&run, &format!("{run}{steps}"))), 0)?;
        all(&found.stdout, &[&format!("trained {steps} steps")])?;
    }
    Ok(())
}

fn chapters(place: &mut Place, line: &str) -> Checked {
    place.run("unisono scenes --out CHAPTERS --format chapters clip.mp4", 0)?;
    let video = place.names("CHAPTERS/videos").into_iter().next().ok_or("no video's folder")?;
    std::fs::copy(place.at(&format!("CHAPTERS/videos/{video}/chapters.ffmeta")), place.at("chapters.ffmeta"))
        .map_err(|e| e.to_string())?;
    place.run(line, 0)?;
    has(place, "out.mkv")
}

/// The examples of the library, built as the tests build them.
fn example(place: &mut Place, line: &str) -> Checked {
    let (name, args) = line.split_once(" -- ").ok_or("no arguments")?;
    let name = name.rsplit(' ').next().unwrap_or_default();
    let model = match name {
        "caption" => "captions",
        "transcribe" => "speech",
        _ => "model",
    };
    let args = words(args);
    // The quickstart's run is any model.
    let args = args
        .iter()
        .map(|w| if w == "MODEL" { model.into() } else { w.replace("runs/quickstart/best", model) });
    let found = place.finish(Command::new(place.example(name)?).args(args))?;
    match name {
        "embed" => lines(&found, "image and audio: ", 1).and(lines(&found, "  audio ", 3)),
        "caption" => lines(&found, "photos/p", 3),
        "classify" => lines(&found, ".png: ", 3),
        "scenes" => all(&found.stdout, &["clip.mp4: ", " shots in ", "report.html"]),
        "search" => has(place, "photos.index/index.json").and(all(&found.stdout, &["photos/", "talks/"])),
        "train" => all(&found.stdout, &["2 steps in "]).and(has(place, "runs/mine/last/config.json")),
        "transcribe" => all(&found.stdout, &["talks/", "(", ")"]),
        other => Err(format!("{other}: say in documents/known.rs what it is to show")),
    }
}
