//! Ctrl-C (and SIGTERM, SIGHUP): long loops look at one flag and stop where nothing is left half done; what does not look at it in time, a
//! blocking read, a matrix product, is not waited for.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use unisono_jobs::Flow;

static STOP: AtomicBool = AtomicBool::new(false);
static PATIENT: AtomicBool = AtomicBool::new(false);
static SCHEDULED: AtomicBool = AtomicBool::new(false);
/// What SIGTERM meant before [`mind_schedulers`].
static BEFORE: AtomicUsize = AtomicUsize::new(0);
static KEPT: Mutex<Kept> = Mutex::new(Kept::Nothing);
/// Whoever holds it says the last line, and nobody after.
static LAST: Mutex<()> = Mutex::new(());

/// Time for loops to look at the flag.
const GRACE: Duration = Duration::from_millis(1500);

/// What an interrupted command leaves.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// Nothing: files get their names when they are whole.
    Nothing,
    /// The work so far, once this is there: a file, or a folder that something lies in.
    If(PathBuf),
    /// The work so far, once this file has a line after its first.
    Lines(PathBuf),
    /// Something else, in words.
    Words(&'static str),
}

impl Kept {
    /// The line's second half.
    fn words(&self) -> &'static str {
        let some = match self {
            Self::Words(words) => return words,
            Self::Nothing => false,
            Self::If(path) => match std::fs::metadata(path) {
                Ok(meta) if meta.is_dir() => {
                    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
                }
                found => found.is_ok(),
            },
            Self::Lines(path) => {
                let lines = std::fs::File::open(path).map(|file| std::io::BufReader::new(file).lines());
                lines.is_ok_and(|mut lines| lines.nth(1).is_some())
            }
        };
        match some {
            true => "what is done is kept; the same command goes on there",
            false => "nothing was written; the same command starts again",
        }
    }
}

/// From now on the first signal raises the flag, and ends the process when nobody has looked at it for some time; a second one ends it at
/// once. Commands that do not call this leave signals their usual meaning.
pub(crate) fn install() {
    let hangup = hangup_is_ignored();
    // It fails only when a handler is there already: then that one stays.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            end();
        }
        if PATIENT.load(Ordering::SeqCst) {
            return tell("stopping after the step in hand, which is saved; once more ends at once\n");
        }
        let waits = || {
            std::thread::sleep(GRACE);
            if !PATIENT.load(Ordering::SeqCst) {
                end();
            }
        };
        if std::thread::Builder::new().name("interrupt".into()).spawn(waits).is_err() {
            end();
        }
    });
    if hangup {
        // `nohup` said so, and means it.
        // SAFETY: sets a signal's handling back to what it was.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    }
}

/// From now on SIGTERM, and SIGUSR1, which schedulers send some time before they take the machine away, are told from a user's Ctrl-C. After
/// [`install`]: they stop the command as that does.
pub(crate) fn mind_schedulers() {
    // SAFETY: asks for a signal's handling and sets it anew with the same flags; the handler does what one may.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGTERM, std::ptr::null(), &mut action) != 0 {
            return;
        }
        BEFORE.store(action.sa_sigaction, Ordering::SeqCst);
        action.sa_sigaction = scheduled as extern "C" fn(libc::c_int) as usize;
        for signal in [libc::SIGTERM, libc::SIGUSR1] {
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

extern "C" fn scheduled(signal: libc::c_int) {
    SCHEDULED.store(true, Ordering::SeqCst);
    let before = BEFORE.load(Ordering::SeqCst);
    if before != libc::SIG_DFL && before != libc::SIG_IGN {
        // SAFETY: what `sigaction` gave as this signal's handler, which takes its number.
        let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(before) };
        handler(signal);
    }
}

/// Whether it was a scheduler that asked to stop.
pub(crate) fn by_a_scheduler() -> bool {
    SCHEDULED.load(Ordering::SeqCst)
}

fn hangup_is_ignored() -> bool {
    // SAFETY: a question: nothing is set, and the answer goes into a place of its type.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}

/// From now on the first signal waits however long it takes: what is done would be lost otherwise.
pub(crate) fn be_patient() {
    PATIENT.store(true, Ordering::SeqCst);
}

/// Says what an interrupted command leaves.
pub(crate) fn keeps(kept: Kept) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = kept;
}

/// What an interruption leaves at this moment.
pub(crate) fn left() -> &'static str {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).words()
}

/// Whether the user asked to stop.
pub(crate) fn wanted() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// The same, as jobs ask for it.
pub(crate) fn flow() -> Flow {
    if wanted() { Flow::Stop } else { Flow::Continue }
}

/// Ends the process from outside of its work.
fn end() -> ! {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    unisono_files::abandon();
    // A progress bar may stand on the line.
    let clear = if std::io::stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    tell(&format!("{clear}error: interrupted; {}\n", left()));
    leave(last)
}

/// Says the last line of an interrupted command and ends the process.
pub(crate) fn farewell(line: &str) -> ! {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    tell(&format!("{line}\n"));
    leave(last)
}

/// Without destructors: libtorch's would take from under other threads what they compute with.
fn leave(_last: std::sync::MutexGuard<()>) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(130) }
}

/// Past Rust's lock of stderr: its holder may be waiting for a terminal that stands still.
fn tell(text: &str) {
    // SAFETY: so many bytes of a string that lives. Where they cannot be written there is nobody to tell.
    let _ = unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_said_when_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = "nothing was written; the same command starts again";
        let some = "what is done is kept; the same command goes on there";
        let (folder, file) = (dir.path().join("folder"), dir.path().join("file"));
        assert_eq!(Kept::Nothing.words(), nothing);
        assert_eq!(Kept::If(file.clone()).words(), nothing);
        std::fs::write(&file, "").unwrap();
        assert_eq!(Kept::If(file.clone()).words(), some);
        std::fs::write(&file, "its head\n").unwrap();
        assert_eq!(Kept::Lines(file.clone()).words(), nothing);
        std::fs::write(&file, "its head\none\n").unwrap();
        assert_eq!(Kept::Lines(file).words(), some);
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(Kept::If(folder.clone()).words(), nothing);
        std::fs::write(folder.join("a"), "").unwrap();
        assert_eq!(Kept::If(folder).words(), some);
    }
}
