//! How much memory this process has and may have, bytes; as Linux says it, nothing elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

/// What of its memory is in use now.
pub(crate) fn resident() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The most that was in use since [`forget_peak`], or since the start.
pub(crate) fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// The peak is what is in use now.
pub(crate) fn forget_peak() {
    // Where it cannot be forgotten a peak is too high, and a choice by it too careful.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// What may still be taken: of the machine's memory, and of what its container allows.
pub(crate) fn room() -> Option<u64> {
    let machine = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    Some(machine.min(allowed(Path::new("/sys/fs/cgroup")).unwrap_or(u64::MAX)))
}

/// What control groups leave, the tightest of those that this process is in.
fn allowed(root: &Path) -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let second = own.lines().find_map(|l| l.strip_prefix("0::/"));
    let first = own.lines().find_map(|l| l.split_once(":memory:/")).map(|(_, path)| path);
    let of = |folder: PathBuf, names: [&str; 2]| {
        let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        Some(number(names[0])?.saturating_sub(number(names[1])?))
    };
    let mut left = Vec::new();
    for (at, path, names) in [
        (root.to_owned(), second, ["memory.max", "memory.current"]),
        (root.join("memory"), first, ["memory.limit_in_bytes", "memory.usage_in_bytes"]),
    ] {
        // In a container the path may be the host's: then its own group is the root.
        let mut folder = at.join(path.unwrap_or_default());
        while folder.starts_with(&at) {
            left.extend(of(folder.clone(), names));
            if !folder.pop() {
                break;
            }
        }
    }
    left.into_iter().min()
}

/// `NAME: 123 kB` in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|l| l.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_bytes() {
        let text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t   1 kB\n";
        assert_eq!((field(text, "VmHWM:"), field(text, "VmRSS:")), (Some(2 << 20), Some(1024)));
        assert_eq!((field(text, "VmSwap:"), field("VmRSS:\tmany", "VmRSS:")), (None, None));
    }

    #[test]
    fn the_tightest_group_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(allowed(dir.path()), None);
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("memory.max", "max\n");
        write("memory.current", "100\n");
        assert_eq!(allowed(dir.path()), None);
        write("memory.max", "1000\n");
        assert_eq!(allowed(dir.path()), Some(900));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_some() {
        let (now, most, room) = (resident().unwrap(), peak().unwrap(), room().unwrap());
        assert!(now > 1 << 20 && most >= now / 2 && room > 1 << 20);
    }
}
