//! What the terminal sees: steps, notes and byte bars, on stderr; plain lines where it is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const PLAIN_PAUSE: Duration = Duration::from_secs(4);

/// One line on stderr.
pub(crate) fn say(line: &str) {
    // A closed stderr is no reason to stop.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// A step with a size in bytes: a bar with rate and ETA on a terminal, a line every few seconds elsewhere.
pub(crate) struct Bytes {
    label: String,
    bar: ProgressBar,
    plain: bool,
    total: u64,
    /// Where this run began (a resumed download does not begin at 0) and when.
    origin: (u64, Instant),
    told: Instant,
    done: u64,
}

impl Bytes {
    /// Starts at once: even a step whose size is not known yet shows its name.
    pub(crate) fn new(label: impl Into<String>, total: u64) -> Self {
        let label = label.into();
        let plain = !std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            Some(total),
            if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() },
        );
        let style =
            "  {msg:32} {bar:28} {decimal_bytes:>10}/{decimal_total_bytes} {decimal_bytes_per_sec} ETA {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(label.clone());
        bar.enable_steady_tick(Duration::from_millis(200));
        if plain {
            say(&format!("  {label} …"));
        }
        let now = Instant::now();
        Self { label, bar, plain, total, origin: (0, now), told: now, done: 0 }
    }

    /// The work begins at byte `start` of `total`; bytes before it do not count for the rate.
    pub(crate) fn begin(&mut self, start: u64, total: u64) {
        self.total = total;
        self.done = start;
        self.origin = (start, Instant::now());
        self.bar.set_length(total);
        self.bar.set_position(start);
        self.bar.reset_eta();
        if start > 0 {
            self.note(&format!("resuming at {} MB", mega(start)));
        }
    }

    /// `done` bytes are there.
    pub(crate) fn at(&mut self, done: u64) {
        self.done = done;
        self.bar.set_position(done);
        if self.plain && self.told.elapsed() >= PLAIN_PAUSE {
            self.told = Instant::now();
            say(&plain_line(
                &self.label,
                done,
                self.total,
                done.saturating_sub(self.origin.0),
                self.origin.1.elapsed(),
            ));
        }
    }

    /// `more` further bytes are there.
    pub(crate) fn add(&mut self, more: u64) {
        self.at(self.done + more);
    }

    /// A line above the bar.
    pub(crate) fn note(&self, text: &str) {
        let line = format!("  {}: {text}", self.label);
        if self.plain { say(&line) } else { self.bar.println(line) }
    }

    /// The step is over; its line stays.
    pub(crate) fn finish(self) {
        self.bar.finish();
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // On an error the bar's line must not be overwritten by a later redraw.
        if !self.bar.is_finished() {
            self.bar.abandon();
        }
    }
}

fn plain_line(label: &str, done: u64, total: u64, fresh: u64, elapsed: Duration) -> String {
    let rate = fresh as f64 / elapsed.as_secs_f64().max(1e-3);
    let mut line = format!("  {label}: {} of {} MB, {:.1} MB/s", mega(done), mega(total), rate / 1e6);
    if rate > 0.0 && total > done {
        line.push_str(&format!(", {:.0} s left", (total - done) as f64 / rate));
    }
    line
}

/// Bytes to megabytes (10⁶), rounded up: what `df` and people speak in.
pub(crate) fn mega(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

/// Seconds as people say them: `9.4 s`, `2 min 05 s`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_counts_the_rate_from_the_resumed_byte() {
        let line = plain_line("torch", 300_000_000, 500_000_000, 100_000_000, Duration::from_secs(10));
        assert_eq!(line, "  torch: 300 of 500 MB, 10.0 MB/s, 20 s left");
    }

    #[test]
    fn clocks() {
        assert_eq!(clock(Duration::from_millis(9440)), "9.4 s");
        assert_eq!(clock(Duration::from_secs(125)), "2 min 05 s");
    }
}
