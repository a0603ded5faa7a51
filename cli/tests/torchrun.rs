//! `unisono train` under PyTorch's own launcher, where a Python has it (`UNISONO_TEST_PYTHON`, else `python3`): a process is killed, all are started again, and go
//! on from the last checkpoint.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../train/tests/support/mod.rs"]
mod things;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A Python with `torch.distributed.run`; nothing where there is none.
fn python() -> Option<String> {
    let python = std::env::var("UNISONO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import torch.distributed.run"]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: {python} has no torch (pip install torch)");
    None
}

/// Two processes of `unisono` with these arguments; each writes its number down.
fn two(python: &str, dir: &Path, args: &[&str]) -> Command {
    let script = dir.join("one.sh");
    fs::write(&script, "echo $$ > \"$PIDS/$RANK.$TORCHELASTIC_RESTART_COUNT\"\nexec \"$@\"\n").unwrap();
    let mut command = Command::new(python);
    command.args(["-m", "torch.distributed.run", "--standalone", "--no-python"]);
    command.args(["--nproc-per-node", "2", "--max-restarts", "1", "sh"]).arg(script);
    command.arg(env!("CARGO_BIN_EXE_unisono")).args(args);
    command.env("PIDS", dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_killed_process_is_started_again_and_the_run_is_what_it_would_have_been() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let manifest = things::things(dir.path());
    fs::write(at("r.toml"), things::recipe_text(&manifest, 60, "[checkpoint]\nevery = 2")).unwrap();
    let train = |run: &str| {
        let (recipe, out) = (at("r.toml"), at(run));
        let set = ["--set", "evaluate=[]", "--set", "world.zero=true"];
        let args = [&["train", &recipe, "--out", &out][..], &set].concat();
        two(&python, dir.path(), &args)
    };
    let whole = train("whole").output().unwrap();
    let said = String::from_utf8_lossy(&whole.stderr).into_owned();
    assert!(whole.status.success(), "{said}");
    assert!(said.contains("2 processes by torchrun, 2 on this machine"), "{said}");
    let told = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert_eq!(told.matches("trained 60 steps").count(), 1, "{told}");
    assert!(told.contains("2 processes: each sent"), "{told}");
    let run = train("killed").spawn().unwrap();
    while !Path::new(&at("killed/last/training.json")).exists() {
        std::thread::yield_now();
    }
    let second = fs::read_to_string(dir.path().join("1.0")).unwrap();
    assert!(Command::new("kill").args(["-9", second.trim()]).status().unwrap().success());
    let ended = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("on this machine, restart 1") && said.contains("resumed at step"), "{said}");
    for file in ["model.safetensors", "training.safetensors"] {
        let [a, b] =
            ["whole", "killed"].map(|run| fs::read(Path::new(&at(run)).join("last").join(file)).unwrap());
        assert!(a == b, "{file} differs");
    }
    let summary: Value = serde_json::from_slice(&fs::read(at("killed/summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["step"], &summary["samples"]), (&60.into(), &960.into()));
    assert_eq!(summary["world"]["processes"], 2);
}
