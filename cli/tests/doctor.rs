//! `unisono doctor`.
#![allow(clippy::unwrap_used)]

mod support;

use support::{json, outcome, unisono};

#[test]
fn the_report_names_what_is_linked() {
    let (code, stdout, stderr) = outcome(&mut unisono(["doctor"]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    for word in ["libtorch", "2.11.", "CUDA", "CPU", "AVX2", "AMX", "threads", "memory", "ffmpeg", "cache"] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    // No terminal: no marks that a log would garble, no colours.
    assert!(!stdout.contains('✓') && !stdout.contains('\x1b'), "{stdout}");
}

#[test]
fn json_has_facts_and_checks() {
    let report = json(["doctor", "--json"]);
    assert_eq!(report["ok"], true);
    let facts = &report["facts"];
    assert!(std::path::Path::new(facts["libtorch"]["path"].as_str().unwrap()).exists());
    assert!(facts["libtorch"]["threads"].as_u64().unwrap() > 0);
    assert!(facts["cpu"]["logical_cores"].as_u64().unwrap() > 0);
    assert!(facts["memory"]["total_bytes"].as_u64().unwrap() > 0);
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.len() >= 9);
    for check in checks {
        assert!(check["status"] == "good" || check["fix"].is_string(), "{check}");
    }
}

#[test]
fn problems_come_with_their_command() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = unisono(["doctor"]);
    command.env("PATH", dir.path()).env("UNISONO_CACHE", dir.path().join("cache"));
    let (code, stdout, _) = outcome(&mut command);
    assert_eq!(code, 0, "missing extras break nothing: {stdout}");
    assert!(stdout.contains("note ffmpeg     not found") && stdout.contains("install ffmpeg"), "{stdout}");
    assert!(stdout.contains(dir.path().join("cache").to_str().unwrap()), "{stdout}");
}

/// How libtorch's OpenMP was told to wait, in its own words.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn waiting_threads_sleep_soon_unless_the_user_says_otherwise() {
    const NAMES: [&str; 4] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY"];
    let run = |set: &[(&str, &str)]| {
        let mut command = unisono(["doctor", "--json"]);
        for name in NAMES {
            command.env_remove(name);
        }
        command.env("OMP_DISPLAY_ENV", "VERBOSE").envs(set.iter().copied());
        let (code, stdout, stderr) = outcome(&mut command);
        assert_eq!(code, 0, "{stderr}");
        let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        (report["facts"]["libtorch"]["waits"].clone(), stderr)
    };
    let (waits, said) = run(&[]);
    assert_eq!(waits, serde_json::json!(["GOMP_SPINCOUNT=10000", "KMP_BLOCKTIME=1"]));
    // Another runtime than GNU's has other words.
    if said.contains("GOMP_SPINCOUNT") {
        assert!(said.contains("GOMP_SPINCOUNT = '10000'"), "{said}");
    }
    for chosen in [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active"), ("KMP_BLOCKTIME", "5")] {
        let (waits, said) = run(&[chosen]);
        assert_eq!(waits, serde_json::json!([format!("{}={}", chosen.0, chosen.1)]), "{said}");
    }
}

/// Its arguments reach it as they were given, empty ones and strange ones, too.
#[test]
fn arguments_stay_what_they_are() {
    let (code, _, stderr) = outcome(&mut unisono(["doctor", "", "two words", "-"]));
    assert!(code == 2 && stderr.contains("unexpected argument ''"), "{stderr}");
}

#[cfg(target_os = "linux")]
#[test]
fn threads_are_those_of_the_cores_that_it_may_use() {
    let run = |program: &str, words: &[&str], set: &[(&str, &str)]| {
        let mut command = std::process::Command::new(program);
        command.args(words).args([env!("CARGO_BIN_EXE_unisono"), "doctor", "--json"]);
        command.env_remove("OMP_NUM_THREADS").env_remove("MKL_NUM_THREADS").envs(set.iter().copied());
        let (code, stdout, stderr) = outcome(&mut command);
        assert_eq!(code, 0, "{stderr}");
        let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let number = |part: &str, name: &str| report["facts"][part][name].as_u64().unwrap();
        (number("libtorch", "threads"), number("cpu", "logical_cores"), number("cpu", "machine_cores"))
    };
    let (threads, usable, all) = run("env", &[], &[]);
    assert!(threads >= 1 && threads <= usable && usable <= all);
    let first = std::fs::read_to_string("/proc/self/status").unwrap();
    let first = first.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
    let first = first.split([',', '-']).next().unwrap().to_owned();
    assert_eq!(run("taskset", &["-c", &first], &[]), (1, 1, all));
    // The user's own number counts, wise or not, as far as the machine goes.
    if all >= 2 {
        assert_eq!(run("taskset", &["-c", &first], &[("OMP_NUM_THREADS", "2")]), (2, 1, all));
    }
}
