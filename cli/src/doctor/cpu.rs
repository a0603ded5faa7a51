//! The processor and its vector units.

use serde::Serialize;
use std::collections::BTreeMap;
use unisono_torch_ext::threads;

/// What the processor can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Cpu {
    pub(super) model: String,
    pub(super) architecture: &'static str,
    pub(super) physical_cores: Option<usize>,
    /// Those that this process may use: by its affinity and a container's quota.
    pub(super) logical_cores: usize,
    /// All of the machine.
    pub(super) machine_cores: usize,
    /// By name: `avx2`, `avx512`, `vnni`, `amx`; on other architectures only what is known there.
    pub(super) features: BTreeMap<&'static str, bool>,
}

pub(super) fn gather() -> Cpu {
    // Linux's own list: the compiler's macro does not know AMX yet.
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, v)| v.trim().to_owned())
    };
    let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
    Cpu {
        model: field("model name").unwrap_or_default(),
        architecture: std::env::consts::ARCH,
        physical_cores: sysinfo::System::physical_core_count(),
        logical_cores: threads::available(),
        machine_cores: threads::of_machine(),
        features: features(&flags),
    }
}

#[cfg(target_arch = "x86_64")]
fn features(flags: &str) -> BTreeMap<&'static str, bool> {
    let listed = |flag: &str| flags.split_whitespace().any(|f| f == flag);
    BTreeMap::from([
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("avx512", std::is_x86_feature_detected!("avx512f")),
        ("vnni", std::is_x86_feature_detected!("avx512vnni") || std::is_x86_feature_detected!("avxvnni")),
        ("amx", listed("amx_tile")),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn features(flags: &str) -> BTreeMap<&'static str, bool> {
    let listed = |flag: &str| flags.split_whitespace().any(|f| f == flag);
    BTreeMap::from([("dotprod", listed("asimddp")), ("sve", listed("sve")), ("bf16", listed("bf16"))])
}
