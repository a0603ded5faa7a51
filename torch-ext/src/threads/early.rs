//! Short waits, set before libtorch is there.

use super::CHOSEN;
use std::ffi::{CStr, c_char, c_int};

/// Rounds that a thread spins before it sleeps. Of 300,000, the runtime's own, a busy machine spends most of its time on them; with 1,000
/// threads sleep between the small steps of a decoder, which costs a quiet one an eighth of its speed. Between 5,000 and 20,000 neither shows.
const SPINS: &CStr = c"GOMP_SPINCOUNT=10000";
/// The same for the runtime of Intel and LLVM, which builds of libtorch from elsewhere bring: it waits for 200 milliseconds by default, and
/// counts in whole ones.
const BLOCKTIME: &CStr = c"KMP_BLOCKTIME=1";

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
}
