//! How many threads libtorch runs, and what they do while they wait for each other.
//!
//! libtorch's loops are OpenMP's: all threads wait at the end of each for the slowest. GNU's runtime, which libtorch's wheels bring, lets
//! them spin there for 300,000 rounds before they sleep. On a core that something else wants, too, the thread that is waited for then stands
//! behind the ones that wait: three quarters of the time went into spinning on two cores with other work. A short spin costs a quiet
//! machine nothing that could be measured, and a busy one next to nothing.

use std::ffi::{CStr, c_char, c_int};

/// Rounds that a thread spins before it sleeps: about what falling asleep and being woken cost, so that neither choice is ever wrong by more
/// than a factor of two.
const SPINS: &CStr = c"GOMP_SPINCOUNT=1000";
/// The same for the runtime of Intel and LLVM, which builds of libtorch from elsewhere bring: it waits for 200 milliseconds by default, and
/// counts in whole ones.
const BLOCKTIME: &CStr = c"KMP_BLOCKTIME=1";
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

/// Starts the program anew with short waits in its environment, unless the environment speaks of them already. A program that puts this
/// into its `.preinit_array` has them set before libtorch's OpenMP reads them, which it does once, while the program is loaded:
///
/// ```
/// # #[cfg(all(target_os = "linux", target_env = "gnu"))]
/// #[used]
/// #[unsafe(link_section = ".preinit_array")]
/// static EARLY: unsafe extern "C" fn(
///     std::ffi::c_int,
///     *const *const std::ffi::c_char,
///     *const *const std::ffi::c_char,
/// ) = unisono_torch_ext::threads::short_waits;
/// # fn main() {}
/// ```
///
/// A library's constructors run before the program's own, hence that section, and hence a new start: what is in the environment by then is
/// fixed. It costs the mapping of the libraries once more, some ten milliseconds; none of them has been set up yet. Where the program
/// cannot be started anew (no `/proc`, say) it goes on as it is.
///
/// # Safety
/// Only the dynamic loader calls this, with the arguments and the environment of the process, each list ending in a null.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub unsafe extern "C" fn short_waits(
    _count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    // SAFETY: plain questions to the loader, which is set up before all else.
    let (secure, base) = unsafe { (libc::getauxval(libc::AT_SECURE), libc::getauxval(libc::AT_BASE)) };
    // Another's privileges are not for starting things; and run through `ld.so PROGRAM` the process is the loader, not the program.
    if secure != 0 || base == 0 || arguments.is_null() || environment.is_null() {
        return;
    }
    let mut names: Vec<*const c_char> = Vec::with_capacity(64);
    for at in 0.. {
        // SAFETY: the list ends in a null, which ends the loop.
        let entry = unsafe { *environment.add(at) };
        if entry.is_null() {
            break;
        }
        // SAFETY: the entries of an environment are strings.
        if chooses(unsafe { CStr::from_ptr(entry) }.to_bytes()) {
            return;
        }
        names.push(entry);
    }
    names.extend([SPINS.as_ptr(), BLOCKTIME.as_ptr(), std::ptr::null()]);
    let mut path: [c_char; 4096] = [0; 4096];
    // SAFETY: at most so many bytes are written into the array, whose last stays 0; the lists end in nulls and hold strings that live on.
    unsafe {
        // By its own path and not by /proc's, which would become the name that `ps` shows.
        if libc::readlink(c"/proc/self/exe".as_ptr(), path.as_mut_ptr(), path.len() - 1) > 0 {
            libc::execve(path.as_ptr(), arguments, names.as_ptr());
        }
    }
}

/// Whether an entry of an environment says how threads wait.
#[cfg(any(test, all(target_os = "linux", target_env = "gnu")))]
fn chooses(entry: &[u8]) -> bool {
    CHOSEN.iter().any(|name| entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_choice_is_seen() {
        for entry in
            ["GOMP_SPINCOUNT=5", "OMP_WAIT_POLICY=active", "KMP_BLOCKTIME=", "KMP_LIBRARY=turnaround"]
        {
            assert!(chooses(entry.as_bytes()), "{entry}");
        }
        for entry in ["GOMP_SPINCOUNTS=5", "OMP_NUM_THREADS=2", "X=GOMP_SPINCOUNT=1", "GOMP_SPINCOUNT", ""] {
            assert!(!chooses(entry.as_bytes()), "{entry}");
        }
        // What is set is seen again: the program is not started for ever.
        assert!(chooses(SPINS.to_bytes()) && chooses(BLOCKTIME.to_bytes()));
    }

    #[test]
    fn numbers() {
        assert!(available() >= 1 && of_machine() >= available());
        assert_eq!(set(Some(1)), 1);
        assert_eq!(set(Some(0)), 1);
    }
}
