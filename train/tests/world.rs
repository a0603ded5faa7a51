//! Trainings of several processes: this program, started again for each of them. They learn what one process learns, go on from each other's checkpoints, and
//! notice who is missing.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use tch::Tensor;
use unisono_fusion::objective::Term;
use unisono_train::tracking::{self, Line};
use unisono_train::{Event, Options, Recipe, Summary, checkpoint, train};

/// What a process is told: its recipe, its run, and what it does at which step.
const TOLD: &str = "UNISONO_WORLD_TEST";

/// What each process does; nothing where this is the program itself.
#[test]
fn one_process() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let words: Vec<&str> = told.split('|').collect();
    let (recipe, run, deed) = (Path::new(words[0]), Path::new(words[1]), words[2]);
    let (what, at) = deed.split_once(' ').unwrap_or((deed, "0"));
    let recipe = Recipe::load(recipe, &[], &[]).unwrap();
    let rank = std::env::var("RANK").unwrap_or_default();
    let (stop, at) = (AtomicBool::new(false), at.parse::<u64>().unwrap());
    let mut losses = Vec::new();
    let options = Options { resume: what != "begin", stop: Some(&stop), ..Options::default() };
    let made = train(&recipe, run, options, &mut |event| {
        let Event::Step(report) = event else { return };
        losses.push(report.loss);
        match what {
            "stop" if report.step == at => stop.store(true, Ordering::Relaxed),
            "die" if report.step == at => std::process::abort(),
            // Alive, and of no use to anybody.
            "hang" if report.step == at => std::thread::park(),
            _ => {}
        }
    });
    let said = match &made {
        Ok(summary) => serde_json::json!({"losses": losses, "summary": summary}),
        Err(e) => serde_json::json!({"losses": losses, "error": e.to_string()}),
    };
    fs::write(run.with_extension(format!("rank{rank}.json")), said.to_string()).unwrap();
}

/// The processes of a run.
struct Started {
    run: PathBuf,
    children: Vec<Child>,
}

/// Starts `size` processes; each does what `deeds` says of it, or of the last.
fn start(recipe: &Recipe, run: &Path, size: usize, deeds: &[&str], attempt: u64) -> Started {
    let file = run.with_extension("toml");
    fs::write(&file, recipe.to_toml().unwrap()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let children = (0..size).map(|rank| {
        let deed = deeds.get(rank).or(deeds.last()).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "one_process", "--nocapture"]).stdout(Stdio::null());
        command.env(TOLD, format!("{}|{}|{deed}", file.display(), run.display()));
        for (name, value) in [
            ("RANK", rank.to_string()),
            ("WORLD_SIZE", size.to_string()),
            ("MASTER_ADDR", "127.0.0.1".to_owned()),
            ("MASTER_PORT", port.to_string()),
            ("TORCHELASTIC_RESTART_COUNT", attempt.to_string()),
        ] {
            command.env(name, value);
        }
        command.spawn().unwrap()
    });
    Started { run: run.to_owned(), children: children.collect() }
}

/// What a process leaves.
#[derive(Debug)]
struct Left {
    losses: Vec<f64>,
    summary: Option<Summary>,
    error: String,
}

impl Started {
    /// What the process of this rank leaves, which has to come to its end.
    fn left(&mut self, rank: usize) -> Left {
        assert!(self.children[rank].wait().unwrap().success(), "rank {rank}");
        let text = fs::read(self.run.with_extension(format!("rank{rank}.json"))).unwrap();
        let mut said: serde_json::Value = serde_json::from_slice(&text).unwrap();
        Left {
            losses: serde_json::from_value(said["losses"].take()).unwrap(),
            error: said["error"].as_str().unwrap_or_default().to_owned(),
            summary: serde_json::from_value(said["summary"].take()).ok(),
        }
    }

    /// What all leave: of the first of them.
    fn all(mut self) -> (Vec<f64>, Summary) {
        let all: Vec<Left> = (0..self.children.len()).map(|rank| self.left(rank)).collect();
        for left in &all {
            assert_eq!(
                (left.error.as_str(), &left.losses),
                ("", &all[0].losses),
                "every rank knows the loss"
            );
        }
        let first = all.into_iter().next().unwrap();
        (first.losses, first.summary.unwrap())
    }
}

/// Towers without batch norms, whose statistics are of what goes through a tower at once.
fn recipe(dir: &Path, steps: u64, more: &str) -> Recipe {
    let text = support::recipe_text(&dir.join("manifest.jsonl"), steps, more);
    let stem = |line: &str| match line.starts_with("stem = ") {
        true => "stem = { kind = \"patch\", size = [8, 8] }".to_owned(),
        false => line.to_owned(),
    };
    with_norms(&text.lines().map(stem).collect::<Vec<_>>().join("\n"))
}

fn with_norms(text: &str) -> Recipe {
    let mut recipe = Recipe::parse(text, Path::new("test.toml")).unwrap();
    // Some gradients are nothing but rounding, those of the keys' biases: they are not to be made large.
    (recipe.optimizer.lr, recipe.optimizer.eps) = (1e-3, Some(1e-6));
    recipe
}

fn whole(recipe: &Recipe, run: &Path, size: usize) -> (Vec<f64>, Summary) {
    start(recipe, run, size, &["begin"], 0).all()
}

fn weights(run: &Path, file: &str) -> BTreeMap<String, Tensor> {
    let named = Tensor::read_safetensors(checkpoint::last(run).join(file)).unwrap();
    named.into_iter().collect()
}

fn bytes(run: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "training.safetensors"]
        .map(|file| fs::read(checkpoint::last(run).join(file)).unwrap())
}

/// Losses to 1e-5, weights to 1e-4.
#[track_caller]
fn close((a, x): (&[f64], &Path), (b, y): (&[f64], &Path)) {
    assert_eq!(a.len(), b.len());
    for (step, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "step {step}: {a} {b}");
    }
    let (x, y) = (weights(x, "model.safetensors"), weights(y, "model.safetensors"));
    assert_eq!(x.keys().collect::<Vec<_>>(), y.keys().collect::<Vec<_>>());
    for (name, tensor) in &x {
        let far = (tensor - &y[name]).abs().max().double_value(&[]);
        assert!(far < 1e-4, "{name}: {far}");
    }
}

const MICRO: &str = "[batch]\nmicro = 8\n";

#[test]
fn one_two_and_four_processes_train_as_one_and_shards_of_an_optimizer_are_it() {
    let dir = tempfile::tempdir().unwrap();
    things(dir.path());
    let at = |name: &str| dir.path().join(name);
    // Twice the records: a batch has all of them twice, and the optimizer clips.
    let mut plain = recipe(dir.path(), 20, MICRO);
    plain.data[0].per_batch = Some(32);
    plain.optimizer.clip = 0.5;
    let mut sharded = plain.clone();
    sharded.world.zero = true;
    let (one, alone) = whole(&plain, &at("one"), 1);
    assert!(alone.world.is_none());
    let (two, of_two) = whole(&plain, &at("two"), 2);
    close((&one, &at("one")), (&two, &at("two")));
    let (four, _) = whole(&plain, &at("four"), 4);
    close((&one, &at("one")), (&four, &at("four")));
    // The same bits, and a checkpoint that is whole.
    let (zero, _) = whole(&sharded, &at("zero"), 2);
    assert_eq!(zero, two);
    assert!(bytes(&at("zero")) == bytes(&at("two")), "shards of the optimizer's state change something");
    // Each rank its own rows of the losses: of whole matrices, and of such as are never whole.
    for tile in [None, Some(5)] {
        let mut local = sharded.clone();
        local.world.local_loss = true;
        if let Term::Contrastive(term) = &mut local.objective.terms[0] {
            (term.tile, term.label_smoothing) = (tile, 0.0);
        }
        let name = format!("local{}", tile.unwrap_or(0));
        let (losses, _) = whole(&local, &at(&name), 2);
        close((&one, &at("one")), (&losses, &at(&name)));
    }
    // Every sample is counted once, every protocol is followed once.
    assert_eq!((of_two.samples, alone.samples), (640, 640));
    let outcomes = |run: &Path| {
        let lines = tracking::read(&run.join("metrics.jsonl")).unwrap();
        lines
            .into_iter()
            .find_map(|line| if let Line::Eval(line) = line { Some(line.outcomes) } else { None })
    };
    let (of_one, of_both) = (outcomes(&at("one")).unwrap(), outcomes(&at("two")).unwrap());
    assert_eq!(of_one.keys().collect::<Vec<_>>(), of_both.keys().collect::<Vec<_>>());
    assert_eq!(outcomes(&at("zero")).unwrap(), of_both);
    // What it costs is told.
    let world = of_two.world.unwrap();
    let gradients = 4.0 * of_two.parameters as f64;
    assert!(
        world.processes == 2 && world.bytes_a_step > gradients && world.bytes_a_step < 2.0 * gradients + 1e5
    );
    assert!((0.0..=1.0).contains(&world.wait), "{}", world.wait);
}

#[test]
fn a_fusion_part_shares_a_batch_too() {
    let dir = tempfile::tempdir().unwrap();
    things(dir.path());
    let at = |name: &str| dir.path().join(name);
    let fusion = "[fusion]\nmemory = [\"image\", \"audio\"]\ncontext_length = 12\n\
                  transformer = { width = 24, depth = 1, heads = 3, mlp_ratio = 2.0 }\n[[objective]]\nkind = \"caption\"\n";
    let recipe = Recipe { evaluate: Vec::new(), ..recipe(dir.path(), 12, &format!("{fusion}{MICRO}")) };
    let (one, _) = whole(&recipe, &at("one"), 1);
    let (two, _) = whole(&recipe, &at("two"), 2);
    close((&one, &at("one")), (&two, &at("two")));
}

#[test]
fn micro_batches_with_losses_of_their_own_are_shared() {
    let dir = tempfile::tempdir().unwrap();
    things(dir.path());
    let mut recipe = recipe(dir.path(), 6, "[batch]\nmicro = 8\nmethod = \"accumulate\"\n");
    recipe.evaluate.clear();
    let (losses, _) = whole(&recipe, &dir.path().join("two"), 2);
    assert!(losses.len() == 6 && losses.iter().all(|loss| loss.is_finite()));
}

#[test]
fn a_run_that_one_process_stops_goes_on_at_the_same_size_and_at_another() {
    let dir = tempfile::tempdir().unwrap();
    things(dir.path());
    let at = |name: &str| dir.path().join(name);
    // A batch is not a whole number of epochs.
    let mut recipe = recipe(dir.path(), 12, MICRO);
    recipe.data[0].per_batch = Some(10);
    recipe.evaluate.clear();
    recipe.world.zero = true;
    let (all, _) = whole(&recipe, &at("all"), 2);
    for (run, size) in [("same", 2), ("fewer", 1), ("more", 4)] {
        let (before, stopped) = start(&recipe, &at(run), 2, &["begin", "stop 5"], 0).all();
        assert_eq!((stopped.finished, stopped.step), (false, 5), "the other process stopped, too");
        let (after, finished) = start(&recipe, &at(run), size, &["resume"], 0).all();
        let both = [before, after].concat();
        // Ten a step: what was drawn before is not drawn again, and nothing is left out.
        assert_eq!((finished.step, finished.samples), (12, 120), "{run}");
        close((&all, &at("all")), (&both, &at(run)));
        if size == 2 {
            assert!(both == all && bytes(&at(run)) == bytes(&at("all")), "not the same bits");
        }
    }
}

#[test]
fn a_process_that_dies_is_named_and_all_go_on_when_they_are_started_again() {
    let dir = tempfile::tempdir().unwrap();
    things(dir.path());
    let at = |name: &str| dir.path().join(name);
    let manifest = dir.path().join("manifest.jsonl");
    let mut recipe = with_norms(&support::recipe_text(&manifest, 8, "[checkpoint]\nevery = 3\n"));
    recipe.evaluate.clear();
    let (all, _) = whole(&recipe, &at("all"), 2);
    let mut started = start(&recipe, &at("killed"), 2, &["begin", "die 5"], 0);
    let dead = started.children[1].id();
    assert!(!started.children[1].wait().unwrap().success());
    let left = started.left(0);
    assert!(left.error.starts_with("rank 0 of 2 stopped: rank 1 ("), "{}", left.error);
    assert!(left.error.contains(&format!("process {dead}) is gone or stands still")), "{}", left.error);
    assert!(!left.error.contains('\n'), "{}", left.error);
    // As torchrun starts them: by the same command.
    let (after, finished) = start(&recipe, &at("killed"), 2, &["begin"], 1).all();
    assert_eq!((after.as_slice(), finished.step), (&all[3..], 8));
    assert!(bytes(&at("killed")) == bytes(&at("all")), "not the same bits");
}

#[test]
fn a_process_that_hangs_is_named_within_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    things(dir.path());
    let mut recipe = recipe(dir.path(), 8, "[world]\ntimeout = 15.0\n");
    recipe.evaluate.clear();
    let mut started = start(&recipe, &dir.path().join("hangs"), 2, &["begin", "hang 2"], 0);
    let left = started.left(0);
    let (dead, said) = (started.children[1].id(), left.error);
    started.children[1].kill().unwrap();
    started.children[1].wait().unwrap();
    assert!(said.contains(&format!("process {dead}) lives and did not come so far")), "{said}");
}

#[test]
fn what_one_process_finds_wrong_the_others_say() {
    let dir = tempfile::tempdir().unwrap();
    things(dir.path());
    let mut recipe = recipe(dir.path(), 8, "");
    recipe.evaluate.clear();
    recipe.loader.max_skip = 0;
    // The second half of the first batch is the second rank's: one of them cannot be read, whichever it is.
    fs::write(dir.path().join("red-bar.png"), b"").unwrap();
    let mut started = start(&recipe, &dir.path().join("broken"), 2, &["begin"], 0);
    let [a, b] = [0, 1].map(|rank| started.left(rank).error);
    assert!(a.contains("red-bar") && b.contains("red-bar"), "{a}\n{b}");
    assert!([&a, &b].iter().any(|said| said.contains(") failed: ")), "{a}\n{b}");
}
