//! Ctrl-C (and SIGTERM, SIGHUP): long loops look at one flag and stop where nothing is left half done.

use std::sync::atomic::{AtomicBool, Ordering};
use unisono_jobs::Flow;

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on the first signal only raises the flag; a second one ends the process at once. Commands that do not look at
/// the flag leave the signal its usual meaning.
pub(crate) fn install() {
    // It fails only when a handler is there already: then that one stays.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether the user asked to stop.
pub(crate) fn wanted() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// The same, as jobs ask for it.
pub(crate) fn flow() -> Flow {
    if wanted() { Flow::Stop } else { Flow::Continue }
}
