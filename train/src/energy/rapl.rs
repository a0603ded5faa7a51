//! What the processors say of the energy that they take (RAPL): Linux shows it under `/sys/class/powercap`, on many machines to the
//! administrator alone.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Linux shows the counters.
pub(super) const POWERCAP: &str = "/sys/class/powercap";

/// The counters of all packages, and of their memory where it is counted beside them.
#[derive(Debug)]
pub(super) struct Rapl(Vec<Domain>);

#[derive(Debug)]
struct Domain {
    file: PathBuf,
    /// The counter begins anew after so many microjoules.
    range: u64,
    last: u64,
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Rapl {
    /// The counters below `root`; `None` where there are none or they may not be read.
    pub(super) fn open(root: &Path) -> Option<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(root).ok()?.flatten() {
            let path = entry.path();
            let name = fs::read_to_string(path.join("name")).unwrap_or_default();
            let name = name.trim();
            // A package holds its cores; `psys` holds the packages; memory stands beside them.
            if !(name.starts_with("package") || name == "dram") {
                continue;
            }
            let file = path.join("energy_uj");
            let range = number(&path.join("max_energy_range_uj")).unwrap_or(u64::MAX);
            found.push(Domain { last: number(&file)?, range, file });
        }
        (!found.is_empty()).then_some(Self(found))
    }

    /// Joules since this was last asked. To be asked more often than a counter goes round, which takes minutes.
    pub(super) fn joules(&mut self) -> f64 {
        let mut sum = 0.0;
        for domain in &mut self.0 {
            let Some(now) = number(&domain.file) else { continue };
            let spent = match now.checked_sub(domain.last) {
                Some(spent) => spent,
                None => now.saturating_add(domain.range.saturating_sub(domain.last)),
            };
            domain.last = now;
            sum += spent as f64 / 1e6;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_and_go_round() {
        let root = tempfile::tempdir().unwrap();
        let put = |zone: &str, name: &str, energy: u64| {
            let dir = root.path().join(zone);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("name"), format!("{name}\n")).unwrap();
            fs::write(dir.join("energy_uj"), format!("{energy}\n")).unwrap();
            fs::write(dir.join("max_energy_range_uj"), "10000000\n").unwrap();
        };
        assert!(Rapl::open(root.path()).is_none());
        let all = |package, core, dram| {
            put("intel-rapl:0", "package-0", package);
            put("intel-rapl:0:0", "core", core);
            put("intel-rapl:0:1", "dram", dram);
            put("intel-rapl:1", "psys", 5);
        };
        all(1_000_000, 1, 9_000_000);
        let mut rapl = Rapl::open(root.path()).unwrap();
        assert_eq!(rapl.joules(), 0.0);
        all(3_500_000, 2, 9_500_000);
        assert_eq!(rapl.joules(), 3.0);
        all(4_000_000, 3, 500_000);
        assert_eq!(rapl.joules(), 1.5);
        fs::remove_file(root.path().join("intel-rapl:0/energy_uj")).unwrap();
        assert!(Rapl::open(root.path()).is_none());
        assert_eq!(rapl.joules(), 0.0);
    }
}
