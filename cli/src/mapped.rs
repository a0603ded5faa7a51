//! Weights and indexes are mapped into memory, not read: one that is cut short meanwhile faults where it is touched. That ends in a message,
//! not in a signal.

/// From here on such a fault ends the process with one line and exit code 1.
#[cfg(target_os = "linux")]
pub(crate) fn install() {
    extern "C" fn cut(_: libc::c_int) {
        const LINE: &[u8] = b"error: a model's weights or an index were cut short while they were read, or their disk failed; \
            restore the file and run the command again\n";
        // SAFETY: both are async-signal-safe, and the buffer is static. Nothing else runs: any destructor could touch the file again.
        unsafe {
            libc::write(2, LINE.as_ptr().cast(), LINE.len());
            libc::_exit(1);
        }
    }
    // SAFETY: all zeros are a valid `sigaction`, the handler is a function for the whole life of the process. Elsewhere than on Linux this
    // signal may also be a stack that overflows, which the runtime tells itself.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = cut as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        // That it cannot be installed costs the message only.
        libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn install() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    const CHILD: &str = "UNISONO_TEST_CUT";

    /// Runs itself in a process of its own: the fault ends it.
    #[test]
    fn a_file_that_is_cut_while_it_is_mapped_is_told() {
        if std::env::var_os(CHILD).is_some() {
            super::install();
            let file = tempfile::tempfile().unwrap();
            file.set_len(1 << 16).unwrap();
            // SAFETY: that the file changes is what is tried.
            let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
            assert_eq!(map[1 << 15], 0);
            file.set_len(0).unwrap();
            std::process::exit(i32::from(map[1 << 15]) + 77);
        }
        let name = "mapped::tests::a_file_that_is_cut_while_it_is_mapped_is_told";
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.ends_with("run the command again\n") && stderr.contains("error: a model's weights"),
            "{stderr}"
        );
    }
}
