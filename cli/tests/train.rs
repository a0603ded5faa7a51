//! `unisono train` killed while it runs, and resumed.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../train/tests/support/mod.rs"]
mod things;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn train(recipe: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unisono"));
    command
        .arg("train")
        .arg(recipe)
        .arg("--out")
        .arg(out)
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Towers that are trained anew.
fn towers(manifest: &Path) -> String {
    things::recipe_text(manifest, 60, "[checkpoint]\nevery = 2\nkeep_last = 2")
}

/// Accumulated gradients, low-rank adapters with dropout, and averages of weights, all together.
fn adapters(manifest: &Path) -> String {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sentences/clip-now");
    format!(
        "seed = 3\nsteps = 60\ndevice = \"cpu\"\nthreads = 1\ninit = \"{}\"\nbatch = {{ method = \"accumulate\", micro = 6 }}\n\
         [adapter]\nrank = 4\nalpha = 8\ndropout = 0.1\n[optimizer]\nlr = 1e-2\nema = 0.9\n\
         [[data]]\nname = \"things\"\nsource = \"{}\"\nsplit = \"train\"\nuses = [\"text\", \"image\"]\nper_batch = 16\n\
         [[objective]]\nkind = \"contrastive\"\n[loader]\nworkers = 2\n[checkpoint]\nevery = 2\nkeep_last = 2\n",
        base.display(),
        manifest.display()
    )
}

/// Kills a run of sixty steps so many times, at moments that a number draws, and resumes it each time: wherever the kill falls, between two
/// checkpoints or while one is written, the result is that of a run that nobody touched.
fn killed_and_resumed(kills: u64, seed: u64, text: fn(&Path) -> String, set: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    fs::write(&recipe, text(&things::things(dir.path()))).unwrap();
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    let mut set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
    set.extend(["--set", "evaluate=[]"]);
    assert!(train(&recipe, &whole, &set).status().unwrap().success());
    let mut draw = seed;
    for _ in 0..kills {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let progress = || fs::metadata(killed.join("last/training.json")).and_then(|m| m.modified()).ok();
        let (before, looks) = (progress(), draw >> 52);
        let mut child = train(&recipe, &killed, &[&set[..], &["--resume"]].concat()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && progress() == before {
            std::thread::yield_now();
        }
        // Some looks later: in a step, in a file that is being written, between two names.
        for _ in 0..looks {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(train(&recipe, &killed, &[&set[..], &["--resume"]].concat()).status().unwrap().success());
    for file in ["last/training.safetensors", "last/model.safetensors", "step-000058/training.safetensors"] {
        let [a, b] = [&whole, &killed].map(|run| fs::read(run.join(file)).unwrap());
        assert!(a == b, "{file} differs");
    }
}

#[test]
fn killed_and_resumed_is_uninterrupted() {
    let set = ["optimizer.kind=muon", "optimizer.ema={ decay = 0.9, match = \"image.*\" }"];
    killed_and_resumed(3, 1, towers, &set);
}

#[test]
fn killed_and_resumed_is_uninterrupted_with_accumulation_adapters_and_averages() {
    killed_and_resumed(3, 6, adapters, &[]);
}

/// `cargo test --test train -- --ignored`
#[test]
#[ignore = "minutes: the long form of those before"]
fn ten_kills_are_none() {
    for (seed, kind) in [(2, "adamw"), (3, "lion"), (4, "muon"), (5, "lamb")] {
        killed_and_resumed(10, seed, towers, &[&format!("optimizer.kind={kind}"), "optimizer.ema=0.9"]);
    }
    killed_and_resumed(10, 7, adapters, &[]);
    killed_and_resumed(10, 8, adapters, &["optimizer.kind=muon", "adapter.kind=dora"]);
}

#[test]
fn a_wrong_recipe_is_one_line_and_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    fs::write(&recipe, "seed = 1\nstepz = 3\n").unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_unisono"))
        .args(["train", recipe.to_str().unwrap(), "--out", "x"])
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        said.lines().count() == 1 && said.contains("r.toml:2: unknown key `stepz`; did you mean `steps`?"),
        "{said}"
    );
}

/// The run's files that are no whole ones: temporary names that a crash or a full disk could leave behind.
fn half_files(run: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains(".tmp") || name.contains(".partial") || name.starts_with('.') {
                found.push(name);
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_says_how_to_go_on_and_exits_130() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    let text = things::recipe_text(&things::things(dir.path()), 100_000, "[checkpoint]\nevery = 3");
    fs::write(&recipe, text).unwrap();
    let run = dir.path().join("run");
    let mut child = train(&recipe, &run, &[]).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && !run.join("last/training.json").exists() {
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(130), "{said}");
    assert!(said.contains(" --resume\n") && said.contains("saved; go on with:"), "{said}");
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("last/training.json")).unwrap()).unwrap();
    let step = state["step"].as_u64().unwrap();
    assert!(step > 0 && said.contains(&format!("stopped at step {step} of 100000")), "{said}");
    assert_eq!(half_files(&run), Vec::<String>::new());
}

/// Slurm and its kin send SIGTERM, or SIGUSR1 some time before it: the state is saved and nothing failed.
#[cfg(unix)]
#[test]
fn a_scheduler_that_stops_a_run_sees_it_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    let text = things::recipe_text(&things::things(dir.path()), 100_000, "[checkpoint]\nevery = 3");
    fs::write(&recipe, text).unwrap();
    for signal in ["-TERM", "-USR1"] {
        let run = dir.path().join(format!("run{signal}"));
        let mut child = train(&recipe, &run, &["--fresh"]).stderr(Stdio::piped()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && !run.join("last/training.json").exists() {
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let out = child.wait_with_output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(0), "{said}");
        let command = format!(" train {} --out {} --resume\n", recipe.display(), run.display());
        assert!(said.ends_with(&command) && said.contains(", saved; go on with:\n"), "{said}");
        assert_eq!(half_files(&run), Vec::<String>::new());
    }
}

#[cfg(unix)]
#[test]
fn no_space_left_is_one_line_and_leaves_no_half_file() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    let manifest = things::things(dir.path());
    // A limit on the size of files fails a write in the middle, as a full disk does; the shell's ignored signal is inherited.
    fs::write(&recipe, things::recipe_text(&manifest, 8, "[checkpoint]\nevery = 2")).unwrap();
    let out = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 16; exec \"$0\" train \"$1\" --out \"$2\" --fresh")
        .args([env!("CARGO_BIN_EXE_unisono"), recipe.to_str().unwrap()])
        .arg(dir.path().join("full"))
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{said}");
    let errors: Vec<&str> = said.lines().filter(|l| l.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && !said.contains("panicked"), "{said}");
    assert!(!dir.path().join("full/last/model.safetensors").exists());
    assert_eq!(half_files(&dir.path().join("full")), Vec::<String>::new());
    // A disk that fills up later: the checkpoint before is whole, and a run with room again goes on from it.
    let run = dir.path().join("run");
    assert!(train(&recipe, &run, &["--set", "steps=4"]).status().unwrap().success());
    let before = fs::read(run.join("last/training.json")).unwrap();
    let out = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 16; exec \"$0\" train \"$1\" --out \"$2\" --resume")
        .args([env!("CARGO_BIN_EXE_unisono"), recipe.to_str().unwrap()])
        .arg(&run)
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.lines().last().unwrap().starts_with("error: ") && said.contains("File too large"), "{said}");
    assert_eq!(fs::read(run.join("last/training.json")).unwrap(), before);
    assert_eq!(half_files(&run), Vec::<String>::new());
    assert!(train(&recipe, &run, &["--resume"]).status().unwrap().success());
}

/// `/proc` takes no new folders from anybody.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    fs::write(&recipe, things::recipe_text(&things::things(dir.path()), 2, "")).unwrap();
    let out = train(&recipe, Path::new("/proc/self/run"), &[]).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.lines().count() == 1 && said.contains("/proc/self/run"), "{said}");
}

#[test]
fn a_folder_that_is_no_run_or_is_being_written_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = things::recipe_text(&things::things(dir.path()), 2, "");
    // The recipe's own folder as --out: the recipe would be overwritten.
    let project = dir.path().join("project");
    fs::create_dir(&project).unwrap();
    let recipe = project.join("recipe.toml");
    fs::write(&recipe, &text).unwrap();
    let run = |out: &Path, more: &[&str]| {
        let done = train(&recipe, out, more).stderr(Stdio::piped()).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    for more in [&[][..], &["--fresh"], &["--resume"]] {
        let (code, said) = run(&project, more);
        assert!(code == Some(1) && said.contains("holds recipe.toml and is no training run"), "{said}");
        assert_eq!(fs::read_to_string(&recipe).unwrap(), text);
        assert_eq!(fs::read_dir(&project).unwrap().count(), 1);
    }
    let out = dir.path().join("run");
    let held = unisono_files::Lock::within(&out).unwrap();
    let (code, said) = run(&out, &[]);
    assert!(code == Some(1) && said.contains("is being written by another run"), "{said}");
    drop(held);
    assert_eq!(run(&out, &[]).0, Some(0));
    // What somebody keeps in a checkpoint's folder is not removed with it.
    fs::write(out.join("last/notes.txt"), "mine").unwrap();
    let (code, said) = run(&out, &["--fresh"]);
    assert!(code == Some(1) && said.contains("last: holds notes.txt"), "{said}");
    // A state and a progress of different steps.
    fs::remove_file(out.join("last/notes.txt")).unwrap();
    let progress = out.join("last/training.json");
    let changed = fs::read_to_string(&progress).unwrap().replace("\"step\": 2", "\"step\": 1");
    fs::write(&progress, changed).unwrap();
    let (code, said) = run(&out, &["--resume"]);
    assert!(code == Some(1) && said.contains("not the state that training.json was written with"), "{said}");
    assert_eq!(run(&out, &["--fresh"]).0, Some(0));
}

#[test]
fn a_run_stands_for_its_best_model_and_eval_prints_documented_json() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    let manifest = things::things(dir.path());
    fs::write(&recipe, things::recipe_text(&manifest, 2, "")).unwrap();
    let run = dir.path().join("run");
    assert!(train(&recipe, &run, &[]).status().unwrap().success());
    let (run, data) = (run.to_str().unwrap(), manifest.to_str().unwrap());
    let unisono = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_unisono")).args(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let eval = ["eval", "retrieval", "--model", run, "--data", data, "--split", "train", "--json"];
    let rows: serde_json::Value =
        serde_json::from_slice(&unisono(&[eval.as_slice(), &["--duration-control", "train"]].concat()))
            .unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let (p, m) = (&row["protocol"], &row["metrics"]);
        for key in ["name", "source", "split", "from", "to", "captions"] {
            assert!(p[key].is_string(), "{key}: {p}");
        }
        for key in ["queries", "left_out", "gallery", "relevant", "chance_r1", "chance_r5", "chance_r10"] {
            assert!(m[key].is_number(), "{key}: {m}");
        }
        for key in ["r1", "r5", "r10", "median_rank"] {
            let estimate = &m[key];
            let [value, low, high] = ["value", "low", "high"].map(|k| estimate[k].as_f64().unwrap());
            assert!(low <= value && value <= high, "{key}: {estimate}");
        }
        assert_eq!(row["skipped"], 0);
        let speech = [&p["from"], &p["to"]].iter().all(|m| *m != "image");
        for key in ["duration_control", "duration_language_control"] {
            assert_eq!(row[key]["r10"]["value"].is_number(), speech, "{key}: {row}");
        }
    }
    let vectors = dir.path().join("v.npy");
    unisono(&["embed", "--model", run, "--out", vectors.to_str().unwrap(), "--text", "a red disc"]);
    assert!(vectors.exists());
}
