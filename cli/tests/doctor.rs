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
