//! How many threads libtorch runs, and what they do while they wait for each other.
//!
//! libtorch's loops are OpenMP's: all threads wait at the end of each for the slowest. GNU's runtime, which libtorch's wheels bring, lets
//! them spin there for 300,000 rounds before they sleep. On a core that something else wants, too, the thread that is waited for then stands
//! behind the ones that wait: three quarters of the time went into spinning on two cores with other work. A short spin costs a quiet
//! machine nothing that could be measured, and a busy one next to nothing.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod early;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use early::short_waits;

/// Whoever has set one of these knows better.
const CHOSEN: [&str; 4] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY"];
/// The user's own numbers of threads, which libtorch reads.
const NUMBERS: [&str; 2] = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"];

/// Cores that this process may use: its affinity and a container's quota of processor time (cgroups of both versions) are counted.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Cores of the machine, whether this process may use them or not.
pub fn of_machine() -> usize {
    // SAFETY: asks for a number.
    let found = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(found).unwrap_or(0).max(available())
}

/// Seconds of processor time that all threads of this process have had.
pub fn processor_seconds() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: room for the answer, which is all zeros where there is none.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Whether the environment says how many threads there are.
pub fn are_chosen() -> bool {
    NUMBERS.iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
}

/// What the environment says of waiting threads, as `NAME=value`; nothing where neither the user nor [`short_waits`] has set it.
pub fn waits() -> Vec<String> {
    CHOSEN.iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?))).collect()
}

/// Sets libtorch's threads and returns their number: `wanted`, or, for `None`, what the environment says, or libtorch's own choice within
/// the cores that this process may use. libtorch itself looks at the affinity alone: under a quota of two cores on a machine of 64 its
/// threads would use up their time at once and stand still for the rest of each period.
pub fn set(wanted: Option<usize>) -> usize {
    let number = match wanted {
        Some(number) => number,
        None if are_chosen() => return own(),
        None => own().min(available()),
    };
    tch::set_num_threads(i32::try_from(number.max(1)).unwrap_or(i32::MAX));
    own()
}

fn own() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert!(available() >= 1 && of_machine() >= available() && processor_seconds() > 0.0);
        assert_eq!(set(Some(1)), 1);
        assert_eq!(set(Some(0)), 1);
    }
}
