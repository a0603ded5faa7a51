//! The processor and its vector units.

use serde::Serialize;
use std::collections::BTreeMap;
use unisono_torch_ext::{processor, threads};

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
    /// The unit that multiplies bfloat16 numbers faster than single precision, for `--precision auto`; null where there is none.
    pub(super) bf16: Option<&'static str>,
    /// By name: `avx2`, `avx512`, `vnni`, `bf16`, `amx`; on other architectures only what is known there.
    pub(super) features: BTreeMap<&'static str, bool>,
}

pub(super) fn gather() -> Cpu {
    let found = processor::get();
    Cpu {
        model: found.model.clone(),
        architecture: std::env::consts::ARCH,
        physical_cores: sysinfo::System::physical_core_count(),
        logical_cores: threads::available(),
        machine_cores: threads::of_machine(),
        bf16: found.bf16(),
        features: found.features.clone(),
    }
}
