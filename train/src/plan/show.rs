//! A plan as people read it.

use super::Plan;
use std::fmt::{Display, Formatter, Result};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter) -> Result {
        let (device, threads, precision) = (&self.device, self.threads, &self.precision);
        let plural = if threads == 1 { "" } else { "s" };
        writeln!(
            f,
            "{} steps of {} samples on {device}, {threads} thread{plural}, {precision}",
            self.steps, self.batch
        )?;
        if self.method != "whole" {
            let count = self.batch.div_ceil(self.micro.max(1));
            writeln!(f, "batch: {}, {count} micro-batches of {} samples", self.method, self.micro)?;
        }
        writeln!(f, "\n{:14}{:>14}{:>14}", "parameters", "trained", "frozen")?;
        for tower in &self.towers {
            let kept = if tower.kept { "  features kept: it does not run in the steps" } else { "" };
            writeln!(
                f,
                "  {:12}{:>14}{:>14}{kept}",
                tower.name,
                amount(tower.trained),
                amount(tower.frozen)
            )?;
        }
        let sums = self.towers.iter().fold((0, 0), |sum, t| (sum.0 + t.trained, sum.1 + t.frozen));
        writeln!(f, "  {:12}{:>14}{:>14}", "all", amount(sums.0), amount(sums.1))?;
        for by in &self.frozen {
            writeln!(f, "  frozen by {}: {} in {} tensors", by.rule, amount(by.numbers), by.tensors)?;
        }
        writeln!(f, "\nmemory")?;
        let m = &self.memory;
        let kinds = [
            ("weights", Some(m.weights)),
            ("the average of them that is saved", Some(m.average)),
            ("gradients", Some(m.gradients)),
            ("optimizer", Some(m.optimizer)),
            ("activations, as measured", m.activations),
            ("batches ahead", Some(m.loader)),
            ("decoded media, at most", Some(m.cache)),
        ];
        for (kind, bytes) in kinds {
            let bytes = bytes.map_or("not known here".to_owned(), size);
            writeln!(f, "  {kind:36}{bytes:>14}")?;
        }
        writeln!(f, "  {:36}{:>14}", "all", size(m.total()))?;
        if m.features > 0 {
            writeln!(f, "  {:36}{:>14}", "kept features, on the disk", size(m.features))?;
        }
        writeln!(f, "\ndata")?;
        for share in &self.data {
            let records = share.records.map_or("records not counted".to_owned(), |n| format!("{n} records"));
            let each = share.per_batch.map_or(String::new(), |n| format!(", {} a batch", short(n)));
            let epochs = share.epochs.map_or(String::new(), |n| format!(", {n:.1} epochs"));
            writeln!(f, "  {}: {records}{each}{epochs}", share.name)?;
        }
        let p = &self.probe;
        writeln!(f, "\na step, the median of {} over made-up inputs", p.steps)?;
        let shares: Vec<String> = ["forward", "backward", "optimizer"]
            .into_iter()
            .filter_map(|part| Some(format!("{part} {:.0} %", 100.0 * p.shares.get(part)?)))
            .collect();
        writeln!(
            f,
            "  {:.3} s, {:.0} samples/s: {}",
            p.seconds_per_step,
            p.samples_per_second,
            shares.join(", ")
        )?;
        let rate = p.flops_per_step / p.seconds_per_step / 1e9;
        writeln!(
            f,
            "  {:.1} GFLOP at least, {rate:.0} GFLOP/s, {:.2} cores busy",
            p.flops_per_step / 1e9,
            p.cores
        )?;
        writeln!(f, "\nall {} steps", self.steps)?;
        writeln!(f, "  {} without reading data, evaluations and checkpoints", clock(self.seconds))?;
        writeln!(f, "  {:.2} PFLOP at least", self.flops / 1e15)?;
        writeln!(f, "  {:.2} Wh, an estimate: {:.0} W of the processor", self.watt_hours, self.watts)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// `12.3 M`.
fn amount(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{:.1} k", n as f64 / 1e3),
        _ => format!("{:.2} M", n as f64 / 1e6),
    }
}

/// `1.5 GiB`.
fn size(bytes: u64) -> String {
    let (mut value, mut units) = (bytes as f64, ["B", "KiB", "MiB", "GiB"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") }
}

fn short(n: f64) -> String {
    if n.fract() == 0.0 { format!("{n:.0}") } else { format!("{n:.1}") }
}

/// `3 h 05 min`, `2 min 05 s`, `0.8 s`.
fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}
