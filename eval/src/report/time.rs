//! Where time went.

use maud::{Markup, html};

use super::{
    data::{Throughput, TimeSpent},
    page::Section,
};
use crate::svg::StackedBar;

pub(super) fn section(time: Option<&TimeSpent>) -> Option<Section> {
    let time = time?;
    if time.stages.is_empty() && time.training.is_empty() && time.throughput.is_none() {
        return None;
    }
    let bar = |title: &str, parts: &[(String, f64)]| StackedBar {
        title: title.to_owned(),
        parts: parts.to_vec(),
        write: Some(duration),
    };
    let body = html! {
        @if let Some(verdict) = &time.verdict { p.verdict { (verdict) } }
        @if !time.stages.is_empty() { (bar("The whole run", &time.stages).markup()) }
        @if !time.training.is_empty() { (bar("Training", &time.training).markup()) }
        @if let Some(throughput) = &time.throughput { (busy(throughput)) }
    };
    Some(Section::new("time", "Where time went", "", body))
}

fn busy(throughput: &Throughput) -> Markup {
    let share = (throughput.machine > 0.0).then(|| throughput.reached / throughput.machine);
    html! {
        p.throughput {
            b { (format!("{:.0} GFLOP/s", throughput.reached)) } " reached in training; a large matrix product on this machine runs at "
            b { (format!("{:.0} GFLOP/s", throughput.machine)) }
            @if let Some(share) = share { ": " b { (format!("{:.0} %", 100.0 * share)) } " of it." } @else { "." }
        }
    }
}

/// Seconds for people: `0.8 s`, `42 s`, `3 min 05 s`, `2 h 10 min`.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read_well() {
        let written = [0.84, 9.4, 59.6, 185.0, 7800.0].map(super::duration);
        assert_eq!(written, ["0.8 s", "9.4 s", "1 min 00 s", "3 min 05 s", "2 h 10 min"]);
    }
}
