//! How far `unisono scenes` is.

use crate::{interrupt, out, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use unisono_jobs::Flow;
use unisono_jobs::scenes::SceneProgress;

/// Frames a second and the time that is left, on stderr.
pub(super) struct Bar {
    bar: ProgressBar,
    plain: bool,
    begun: Instant,
    told: Instant,
}

impl Bar {
    pub(super) fn new() -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("  scenes {bar:26} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { bar, plain, begun: now, told: now }
    }

    pub(super) fn show(&mut self, p: SceneProgress) -> Flow {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-3);
        let mut line =
            format!("{} of {} videos, {:.0} frames/s", p.videos, p.total, p.frames as f64 / seconds);
        if p.skipped > 0 {
            line += &format!(", {} skipped", p.skipped);
        }
        if p.bytes > 0 && p.all_bytes > p.bytes {
            let left = seconds * (p.all_bytes - p.bytes) as f64 / p.bytes as f64;
            line += &format!(", {} left", style::clock(Duration::from_secs_f64(left)));
        }
        if self.plain && self.told.elapsed() >= Duration::from_secs(5) {
            self.told = Instant::now();
            out::note(&format!("  scenes: {line}"));
        }
        self.bar.set_length(p.all_bytes.max(1));
        self.bar.set_position(p.bytes);
        self.bar.set_message(line);
        interrupt::flow()
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
