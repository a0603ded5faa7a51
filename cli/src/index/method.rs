//! How an index looks for what is near: options of the commands that write one, and what is said of it.

use crate::out;
use unisono_jobs::index::{Header, Linked, Method, Recalled, Store};

/// How an index looks for what is near.
#[derive(clap::Args, Debug)]
pub(crate) struct MethodArgs {
    /// The form in which searches read vectors: f32, bf16 (half the bytes), i8 (a quarter), b1 (a thirty-second). The vectors stay, and the best of what is
    /// found is compared by them [default: f32; compact: as it is]
    #[arg(long, value_name = "FORM")]
    store: Option<Store>,
    /// Link neighbours into a graph, so that a search looks at few: auto (from 200,000 of a modality on), always, or never [default: auto; compact: as it is]
    #[arg(long, value_name = "WHEN")]
    graph: Option<Linked>,
    /// How many of the nearest by form or graph are compared exactly: more find more and take longer [default: by form and graph]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    candidates: Option<u32>,
}

impl MethodArgs {
    /// The method with what is given in place of what was.
    pub(crate) fn over(&self, was: Method) -> Method {
        Method {
            store: self.store.unwrap_or(was.store),
            graph: self.graph.unwrap_or(was.graph),
            candidates: self.candidates.map(|n| n as usize).or(was.candidates),
        }
    }
}

/// Says where a method finds too little, and what helps.
pub(crate) fn weak(header: &Header) {
    let Some(worst) = worst(header).filter(|worst| worst.share < Recalled::ENOUGH) else { return };
    out::note(&format!(
        "searches find {:.1} % of the ten nearest of {} among {}, below {:.0} %: `search --candidates N` compares more, `index compact --candidates N` does so always, and `search --exact` compares all",
        100.0 * worst.share,
        worst.from,
        worst.to,
        100.0 * Recalled::ENOUGH,
    ));
}

fn worst(header: &Header) -> Option<&Recalled> {
    header.parts.recalled.iter().min_by(|a, b| a.share.total_cmp(&b.share))
}

/// `as i8, by a graph; 99.6 % of the ten nearest are found (text → image 98.9 %)`.
pub(super) fn searches(header: &Header) -> String {
    let parts = &header.parts;
    let linked = parts.segments.iter().any(|segment| segment.graph.is_some());
    let mut text = format!("as {}{}", parts.method.store, if linked { ", by a graph" } else { "" });
    if let Some(n) = parts.method.candidates {
        text += &format!(", {n} compared exactly");
    }
    if let Some(worst) = worst(header) {
        let all: f64 = parts.recalled.iter().map(|r| r.share).sum();
        let mean = 100.0 * all / parts.recalled.len() as f64;
        let (from, to, least) = (worst.from, worst.to, 100.0 * worst.share);
        text += &format!("; {mean:.1} % of the ten nearest are found (at worst {least:.1} %, {from} → {to})");
    }
    text
}
