//! How far a long command is, on stderr: a bar on a terminal, plain lines elsewhere.

use crate::{out, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between plain lines.
const PAUSE: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Items,
    Bytes,
}

/// Shows one stage after another. Nothing is drawn until the first report.
pub(crate) struct Meter {
    plain: bool,
    now: Option<Stage>,
}

struct Stage {
    name: String,
    bar: ProgressBar,
    unit: Unit,
    begun: Instant,
    told: Instant,
    done: u64,
    total: Option<u64>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { plain: !std::io::stderr().is_terminal(), now: None }
    }

    /// `done` of `total` of the stage `name`; another name begins another stage.
    pub(crate) fn show(&mut self, name: &str, done: u64, total: Option<u64>, unit: Unit) {
        let same = self.now.as_ref().is_some_and(|stage| stage.name == name);
        if !same {
            self.finish();
        }
        let plain = self.plain;
        let stage = self.now.get_or_insert_with(|| Stage::begin(name, total, unit, plain));
        (stage.done, stage.total) = (done, total);
        match total {
            Some(total) => stage.bar.set_length(total),
            None => stage.bar.unset_length(),
        }
        stage.bar.set_position(done);
        if plain && stage.told.elapsed() >= PAUSE {
            stage.told = Instant::now();
            out::note(&stage.line());
        }
    }

    /// Ends the stage; its last line stays.
    pub(crate) fn finish(&mut self) {
        if let Some(stage) = self.now.take() {
            stage.bar.finish_and_clear();
            // Stages of a moment are not worth a line.
            if stage.begun.elapsed() >= Duration::from_secs(1) {
                let figure = figure(stage.done, stage.unit);
                out::note(&format!("  {}: {figure} in {}", stage.name, style::clock(stage.begun.elapsed())));
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // After an error the bar must not redraw itself over the message.
        if let Some(stage) = self.now.take() {
            stage.bar.finish_and_clear();
        }
    }
}

impl Stage {
    fn begin(name: &str, total: Option<u64>, unit: Unit, plain: bool) -> Self {
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match (unit, total) {
            (Unit::Bytes, Some(_)) => {
                "  {msg:26} {bar:26} {decimal_bytes:>9}/{decimal_total_bytes} {decimal_bytes_per_sec} ETA {eta}"
            }
            (Unit::Bytes, None) => "  {msg:26} {spinner} {decimal_bytes:>9} {decimal_bytes_per_sec}",
            (Unit::Items, Some(_)) => "  {msg:26} {bar:26} {human_pos:>9}/{human_len} {per_sec} ETA {eta}",
            (Unit::Items, None) => "  {msg:26} {spinner} {human_pos:>9}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        if !plain {
            // Alive even while one report takes long.
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let now = Instant::now();
        Self { name: name.to_owned(), bar, unit, begun: now, told: now, done: 0, total }
    }

    /// `  embed: 1200 of 5000, 240/s, 16 s left`
    fn line(&self) -> String {
        line(&self.name, self.done, self.total, self.unit, self.begun.elapsed())
    }
}

fn figure(n: u64, unit: Unit) -> String {
    match unit {
        Unit::Items => n.to_string(),
        Unit::Bytes => style::bytes(n),
    }
}

fn line(name: &str, done: u64, total: Option<u64>, unit: Unit, time: Duration) -> String {
    let mut line = format!("  {name}: {}", figure(done, unit));
    let rate = done as f64 / time.as_secs_f64().max(1e-3);
    if let Some(total) = total {
        line += &format!(" of {}", figure(total, unit));
    }
    if done > 0 {
        match unit {
            Unit::Items => line += &format!(", {rate:.1}/s"),
            Unit::Bytes => line += &format!(", {}/s", style::bytes(rate as u64)),
        }
        if let Some(left) = total.and_then(|total| total.checked_sub(done)).filter(|left| *left > 0) {
            line += &format!(", {} left", style::clock(Duration::from_secs_f64(left as f64 / rate)));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines() {
        let ten = Duration::from_secs(10);
        assert_eq!(
            line("embed", 1200, Some(5000), Unit::Items, ten),
            "  embed: 1200 of 5000, 120.0/s, 31.7 s left"
        );
        assert_eq!(line("fetch", 40_000_000, None, Unit::Bytes, ten), "  fetch: 40 MB, 4.0 MB/s");
        assert_eq!(line("fetch", 0, Some(5_000_000), Unit::Bytes, ten), "  fetch: 0 B of 5.0 MB");
        assert_eq!(line("check", 7, Some(7), Unit::Items, ten), "  check: 7 of 7, 0.7/s");
    }
}
