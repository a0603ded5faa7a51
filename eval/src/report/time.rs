//! Where time went.

use maud::{Markup, html};
use unisono_page::chart::StackedBar;
use unisono_page::{Section, number::duration};

use super::data::{Throughput, TimeSpent};

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
        @if !time.stages.is_empty() { (bar("The whole run", &time.stages).render()) }
        @if !time.training.is_empty() { (bar("Training", &time.training).render()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_told_against_the_machine() {
        let drawn = |reached, machine| busy(&Throughput { reached, machine }).into_string();
        assert!(drawn(171.0, 292.0).contains("<b>59 %</b> of it."));
        assert!(!drawn(171.0, 0.0).contains('%'));
    }
}
