//! What the processor multiplies fast.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The processor and its vector units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processor {
    /// Its name; empty where the system does not tell.
    pub model: String,
    /// By name: `avx2`, `avx512`, `vnni`, `bf16`, `amx`; on other architectures only what is known there.
    pub features: BTreeMap<&'static str, bool>,
}

impl Processor {
    /// The unit that multiplies bfloat16 numbers at more than the rate of single precision, if there is one: oneDNN has kernels for these.
    /// Elsewhere bf16 products are widened first, and run at half the speed of fp32.
    pub fn bf16(&self) -> Option<&'static str> {
        match self.features.get("amx") {
            Some(true) => Some("AMX"),
            _ if cfg!(target_arch = "x86_64") && self.features.get("bf16") == Some(&true) => {
                Some("AVX-512 BF16")
            }
            _ => None,
        }
    }
}

/// This machine's. The system is asked once.
pub fn get() -> &'static Processor {
    static FOUND: OnceLock<Processor> = OnceLock::new();
    FOUND.get_or_init(|| {
        // Linux's own list: the compiler's macro does not know AMX yet.
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            info.lines()
                .filter_map(|l| l.split_once(':'))
                .find(|(key, _)| key.trim() == name)
                .map(|(_, v)| v.trim().to_owned())
        };
        let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
        Processor { model: field("model name").unwrap_or_default(), features: features(&flags) }
    })
}

#[cfg(target_arch = "x86_64")]
fn features(flags: &str) -> BTreeMap<&'static str, bool> {
    use std::is_x86_feature_detected as has;
    let listed = |flag: &str| flags.split_whitespace().any(|f| f == flag);
    BTreeMap::from([
        ("avx2", has!("avx2")),
        ("avx512", has!("avx512f")),
        ("vnni", has!("avx512vnni") || has!("avxvnni")),
        ("bf16", has!("avx512bf16")),
        ("amx", ["amx_tile", "amx_bf16", "amx_int8"].into_iter().all(listed)),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn features(flags: &str) -> BTreeMap<&'static str, bool> {
    let listed = |flag: &str| flags.split_whitespace().any(|f| f == flag);
    BTreeMap::from([("dotprod", listed("asimddp")), ("sve", listed("sve")), ("bf16", listed("bf16"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_for_bf16_is_named() {
        let of = |amx, bf16| Processor {
            features: BTreeMap::from([("amx", amx), ("bf16", bf16)]),
            ..Processor::default()
        };
        assert_eq!(of(true, true).bf16(), Some("AMX"));
        assert_eq!(of(false, false).bf16(), None);
        assert_eq!(Processor::default().bf16(), None);
        assert_eq!(of(false, true).bf16().is_some(), cfg!(target_arch = "x86_64"));
        assert!(!get().features.is_empty());
    }
}
