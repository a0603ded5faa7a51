//! Ctrl-C, SIGTERM and SIGHUP, at moments that the process itself tells: it ends in one line and code 130, whatever it is doing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{s, unisono};

/// A mask of signals in `/proc/PID/status`.
fn mask(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
    u64::from_str_radix(line.trim(), 16).unwrap_or(0)
}

/// Waits until the handler is there, and until the process has computed for so many ticks of the clock since.
fn in_its_work(child: &mut Child, ticks: u64) {
    let pid = child.id();
    let waits = |child: &mut Child| {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    };
    while mask(pid, "SigCgt:") & (1 << (15 - 1)) == 0 {
        waits(child);
    }
    let spent = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        after.split(' ').nth(11).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    };
    let begun = spent();
    while spent() < begun + ticks {
        waits(child);
    }
}

fn signal(child: &Child, name: &str) {
    // It may have ended meanwhile.
    let _ =
        Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// The end that an interruption has: code 130 and one line.
fn ended(child: Child, says: &str) {
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{errors}");
    let lines: Vec<&str> = errors.lines().filter(|l| l.starts_with("error: ")).collect();
    assert_eq!(lines, [format!("error: interrupted; {says}")], "{errors}");
    assert!(errors.ends_with(&format!("{}\n", lines[0])), "{errors}");
}

const NOTHING: &str = "nothing was written; the same command starts again";

/// A minute of silence, in which a model of random weights hears things for long.
fn minute(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("minute.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(&path, spec).unwrap();
    for _ in 0..60 * 16_000 {
        wav.write_sample(0i16).unwrap();
    }
    wav.finalize().unwrap();
    path
}

#[test]
fn one_long_audio_is_left_and_a_second_signal_is_no_crash() {
    let dir = tempfile::tempdir().unwrap();
    let audio = minute(dir.path());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion/whisper-speech");
    let out = dir.path().join("out");
    for (ticks, signals) in
        [(0, &["-INT"][..]), (20, &["-TERM"]), (20, &["-INT", "-INT"]), (40, &["-TERM", "-INT", "-TERM"])]
    {
        let mut child = unisono(["transcribe", "--model", s(&model), "--out", s(&out), s(&audio)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        in_its_work(&mut child, ticks);
        signals.iter().for_each(|name| signal(&child, name));
        ended(child, NOTHING);
        assert!(!out.exists() || fs::read_dir(&out).unwrap().count() == 0);
    }
}

#[test]
fn a_read_that_never_ends_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (tiny::model_dir(dir.path()), dir.path().join("v.npy"));
    // Under `nohup` these tests would wait for ever for a signal that is ignored.
    let ignored = mask(std::process::id(), "SigIgn:") & 1 != 0;
    for name in ["-INT", "-TERM", "-HUP"].into_iter().take(if ignored { 2 } else { 3 }) {
        let mut child = unisono(["embed", "--model", s(&model), "--out", s(&out), "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Standard input stays open, and nothing comes.
        let input = child.stdin.take();
        in_its_work(&mut child, 0);
        assert_eq!(fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap(), "unisono\n");
        signal(&child, name);
        ended(child, NOTHING);
        drop(input);
    }
    assert_eq!(tiny::names(dir.path()), ["model"]);
}

#[test]
fn nohup_is_respected() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (tiny::model_dir(dir.path()), dir.path().join("v.npy"));
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_unisono")])
        .args(["embed", "--model", s(&model), "--out", s(&out), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    in_its_work(&mut child, 0);
    while mask(child.id(), "SigIgn:") & 1 == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    }
    signal(&child, "-HUP");
    // It goes on: what ends it is the end of its input.
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{errors}");
    assert!(!errors.contains("interrupted"), "{errors}");
}
