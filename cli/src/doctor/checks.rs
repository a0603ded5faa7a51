//! What the facts mean, and what to do about them.

use super::facts::{Cache, Cuda, Facts};
use crate::error::one_line;
use crate::style::bytes;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Good,
    /// Works, but slower or with something left out.
    Poor,
    /// Nothing works before this is fixed.
    Broken,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) status: Status,
    pub(super) value: String,
    /// The command that fixes it.
    pub(super) fix: Option<String>,
}

/// The libtorch that `tch` binds.
const LIBTORCH: &str = "2.11.";
/// Below this, set-up cannot unpack libtorch.
const LEAST_FREE: u64 = 2_000_000_000;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut all =
        vec![good("unisono", facts.unisono.to_owned()), libtorch(facts), cuda(&facts.cuda), cpu(facts)];
    all.push(threads(facts));
    all.push(good("precision", precision(facts)));
    let (total, free) = (facts.memory.total_bytes, facts.memory.available_bytes);
    all.push(good("memory", format!("{}, {} free", bytes(total), bytes(free))));
    for (name, why, fix) in PROGRAMS {
        let found = facts.programs.get(name).cloned().flatten();
        all.push(match found {
            Some(version) => good(name, shorter(&version)),
            None => poor(name, format!("not found: {why}"), fix),
        });
    }
    all.push(cache(&facts.cache));
    all
}

/// Program, what lacks without it, and how to get it.
const PROGRAMS: [(&str, &str, &str); 3] = [
    (
        "ffmpeg",
        "videos cannot be read, nor audio files but WAV, OGG Vorbis, MP3 and FLAC",
        "cargo xtask setup fetches one; or install ffmpeg",
    ),
    (
        "npm",
        "`unisono data sample emoji` needs it",
        if cfg!(target_os = "macos") { "brew install npm" } else { "sudo apt-get install npm" },
    ),
    (
        "apt-get",
        "`unisono data sample stamps` needs it",
        "use a Debian or Ubuntu system, or --archive with the package",
    ),
];

fn good(name: &'static str, value: String) -> Check {
    Check { name, status: Status::Good, value, fix: None }
}

fn poor(name: &'static str, value: String, fix: impl Into<String>) -> Check {
    Check { name, status: Status::Poor, value, fix: Some(fix.into()) }
}

fn broken(name: &'static str, value: String, fix: impl Into<String>) -> Check {
    Check { name, status: Status::Broken, value, fix: Some(fix.into()) }
}

fn libtorch(facts: &Facts) -> Check {
    let torch = &facts.libtorch;
    let value = format!("{} ({} kernels), {}", torch.version, torch.cpu_capability, torch.path.display());
    match &torch.failure {
        Some(failure) => broken(
            "libtorch",
            format!("{value}: {}", one_line(failure)),
            "cargo xtask setup && cargo build --release",
        ),
        None if !torch.version.starts_with(LIBTORCH) => broken(
            "libtorch",
            format!("{value}: expected {LIBTORCH}x"),
            "cargo xtask setup && cargo build --release",
        ),
        None => good("libtorch", value),
    }
}

fn cuda(cuda: &Cuda) -> Check {
    let detail = cuda.detail.as_deref().map(one_line).unwrap_or_default();
    match cuda.status {
        "ready" => good("CUDA", cuda.devices.join(", ")),
        "broken" if cuda.driver => {
            poor("CUDA", format!("does not load, the CPU is used: {detail}"), "cargo xtask setup --cuda")
        }
        "absent" if cuda.driver => {
            poor("CUDA", "a GPU is here, but this libtorch is for CPUs".into(), "cargo xtask setup --cuda")
        }
        "no device" if cuda.driver => poor(
            "CUDA",
            "a driver is here, but no GPU answers; the CPU is used".into(),
            "nvidia-smi   # says why",
        ),
        _ => good("CUDA", "no GPU here; the CPU is used".into()),
    }
}

fn cpu(facts: &Facts) -> Check {
    let cpu = &facts.cpu;
    let shown =
        |(name, has): (&&str, &bool)| format!("{}{}", if *has { "" } else { "no " }, name.to_uppercase());
    let features: Vec<String> = cpu.features.iter().map(shown).collect();
    let model = if cpu.model.is_empty() { cpu.architecture } else { &cpu.model };
    let value = format!("{model}: {}", features.join(", "));
    match cpu.features.get("avx2") {
        Some(false) => poor(
            "CPU",
            format!("{value}; without AVX2 everything is several times slower"),
            "use a newer processor",
        ),
        _ => good("CPU", value),
    }
}

/// What `--precision auto` is here, and why.
fn precision(facts: &Facts) -> String {
    let auto = match (facts.cuda.status, facts.cpu.bf16) {
        ("ready", _) => "auto is fp32 on the GPU; bf16 is asked for by name".to_owned(),
        (_, Some(unit)) => format!("auto is bf16: {unit} multiplies it faster than fp32"),
        (_, None) => "auto is fp32: nothing here multiplies bf16 faster".to_owned(),
    };
    match facts.cpu.features.get("vnni") {
        Some(false) => format!("{auto}; int8 works with 7 bits and little gain, without VNNI"),
        _ => auto,
    }
}

fn threads(facts: &Facts) -> Check {
    let (torch, cpu) = (&facts.libtorch, &facts.cpu);
    let (threads, usable, all) = (torch.threads, cpu.logical_cores, cpu.machine_cores);
    let physical = cpu.physical_cores.map(|n| format!("{n} physical cores, ")).unwrap_or_default();
    let logical = match usable < all {
        true => format!(
            "{all} logical, of which this process may use {usable} (its affinity, or a container's quota)"
        ),
        false => format!("{usable} logical"),
    };
    let mut value = format!(
        "{physical}{logical}; libtorch runs {threads} {}",
        if threads == 1 { "thread" } else { "threads" }
    );
    if !torch.waits.is_empty() {
        value += &format!("; they wait by {}", torch.waits.join(" "));
    }
    // One thread on many cores comes from the environment, and is easily forgotten there; so do more threads than cores.
    if torch.threads_are_chosen && (threads == 1 && usable > 1 || threads > usable) {
        return poor("threads", value, "unset OMP_NUM_THREADS MKL_NUM_THREADS");
    }
    good("threads", value)
}

fn cache(cache: &Cache) -> Check {
    let mut largest: Vec<_> = cache.parts.iter().filter(|(_, size)| **size > 0).collect();
    largest.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let parts: Vec<String> =
        largest.iter().take(4).map(|(name, size)| format!("{name} {}", bytes(**size))).collect();
    let parts = if parts.is_empty() {
        "empty".to_owned()
    } else {
        format!("{}: {}", bytes(cache.bytes), parts.join(", "))
    };
    let free = cache.free_bytes.map(|n| format!("; {} free on its disk", bytes(n))).unwrap_or_default();
    let value = format!("{} ({parts}{free})", cache.path.display());
    if let Some(failure) = &cache.failure {
        return poor(
            "cache",
            format!("{value} cannot be written: {failure}"),
            "export UNISONO_CACHE=/a/folder/of/yours",
        );
    }
    match cache.free_bytes {
        Some(n) if n < LEAST_FREE => poor(
            "cache",
            value,
            format!("rm -r {}   # it is fetched again when needed", cache.path.display()),
        ),
        _ => good("cache", value),
    }
}

/// `ffmpeg version 5.1.6-0+deb12u1 Copyright …` → `5.1.6-0+deb12u1`
fn shorter(version: &str) -> String {
    if let Some((_, rest)) = version.split_once("version ") {
        // Builds between releases begin with a letter: `n9.0.2-17-g2a571b6068`.
        return rest.split_whitespace().next().unwrap_or(rest).to_owned();
    }
    let word = version.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    word.unwrap_or(version).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn healthy() -> Facts {
        let mut facts = Facts { unisono: "0.1.0", ..Facts::default() };
        facts.libtorch.version = "2.11.0".into();
        facts.libtorch.threads = 8;
        facts.cuda.status = "absent";
        (facts.cpu.logical_cores, facts.cpu.machine_cores) = (8, 8);
        facts.cpu.features = BTreeMap::from([("avx2", true), ("amx", false)]);
        facts.programs =
            PROGRAMS.iter().map(|(name, ..)| (*name, Some("tool version 5.1 (c)".into()))).collect();
        facts
    }

    fn of(facts: &Facts, name: &str) -> Check {
        checks(facts).into_iter().find(|c| c.name == name).unwrap()
    }

    #[test]
    fn versions_are_found_in_their_lines() {
        for (line, want) in [
            (
                "ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright (c) 2000-2026 the",
                "n9.0.2-17-g2a571b6068-20260930",
            ),
            ("ffmpeg version 5.1.6-0+deb12u1 Copyright (c) 2000", "5.1.6-0+deb12u1"),
            ("apt 2.6.1 (amd64)", "2.6.1"),
            ("10.8.2", "10.8.2"),
        ] {
            assert_eq!(shorter(line), want);
        }
    }

    #[test]
    fn a_healthy_machine_has_nothing_to_fix() {
        assert!(checks(&healthy()).iter().all(|c| c.status == Status::Good && c.fix.is_none()));
        assert_eq!(of(&healthy(), "ffmpeg").value, "5.1");
        assert!(of(&healthy(), "CPU").value.contains("no AMX, AVX2"));
    }

    #[test]
    fn what_auto_picks_is_said_with_its_reason() {
        let mut facts = healthy();
        assert_eq!(of(&facts, "precision").value, "auto is fp32: nothing here multiplies bf16 faster");
        facts.cpu.bf16 = Some("AMX");
        assert_eq!(of(&facts, "precision").value, "auto is bf16: AMX multiplies it faster than fp32");
        facts.cpu.features.insert("vnni", false);
        assert!(of(&facts, "precision").value.ends_with("without VNNI"));
        facts.cuda.status = "ready";
        assert!(of(&facts, "precision").value.starts_with("auto is fp32 on the GPU"));
    }

    #[test]
    fn a_part_of_the_machine_is_named() {
        let mut facts = healthy();
        (facts.cpu.machine_cores, facts.cpu.logical_cores, facts.libtorch.threads) = (64, 1, 1);
        facts.libtorch.waits = vec!["GOMP_SPINCOUNT=10000".into()];
        let check = of(&facts, "threads");
        assert_eq!(check.status, Status::Good);
        assert_eq!(
            check.value,
            "64 logical, of which this process may use 1 (its affinity, or a container's quota); libtorch runs 1 thread; they wait by \
             GOMP_SPINCOUNT=10000"
        );
    }

    #[test]
    fn every_problem_has_its_command() {
        let problem = |change: &dyn Fn(&mut Facts), name: &str, status: Status, part: &str| {
            let mut facts = healthy();
            change(&mut facts);
            let check = of(&facts, name);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.fix.unwrap().contains(part));
        };
        use Status::{Broken, Poor};
        problem(&|f| f.libtorch.failure = Some("no kernel".into()), "libtorch", Broken, "xtask setup");
        problem(&|f| f.libtorch.version = "2.10.1".into(), "libtorch", Broken, "xtask setup");
        problem(&|f| f.cuda.driver = true, "CUDA", Poor, "setup --cuda");
        problem(&|f| (f.cuda.status, f.cuda.driver) = ("broken", true), "CUDA", Poor, "setup --cuda");
        let chosen = |n| move |f: &mut Facts| (f.libtorch.threads, f.libtorch.threads_are_chosen) = (n, true);
        problem(&chosen(1), "threads", Poor, "OMP_NUM_THREADS");
        problem(&chosen(9), "threads", Poor, "OMP_NUM_THREADS");
        problem(
            &|f| {
                f.programs.insert("ffmpeg", None);
            },
            "ffmpeg",
            Poor,
            "install ffmpeg",
        );
        problem(&|f| f.cache.free_bytes = Some(1000), "cache", Poor, "rm -r");
        problem(&|f| f.cache.failure = Some("denied".into()), "cache", Poor, "UNISONO_CACHE");
        problem(
            &|f| {
                f.cpu.features.insert("avx2", false);
            },
            "CPU",
            Poor,
            "processor",
        );
    }
}
