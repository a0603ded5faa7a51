//! What searches cost: `bench FOLDER DIM VECTORS QUERIES [METHOD…]` reads floats (`[N, D]` and `[Q, D]`, little-endian, as `benches/search.py` writes them), builds an
//! index of every method in `FOLDER`, and prints a line of JSON for each: processor seconds to build, seconds to open, bytes that a search reads of a vector,
//! and for several numbers of candidates the queries that a processor second answers, one by one and all together, and the share of the ten nearest found. Methods are named as lines are: `i8`, `i8 graph`; f32 without a graph comes first, since it says what is right.

use serde_json::json;
use std::path::Path;
use std::time::Instant;
use unisono_index::{
    Editor, Effort, FORMAT_VERSION, Facts, Header, Index, Item, Linked, Method, ModelRef, Parts, Store,
};
use unisono_processors::{AudioWindow, Modality};

type Failure = Box<dyn std::error::Error>;

fn floats(path: &str) -> Result<Vec<f32>, Failure> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

/// Processor seconds of this process: what else runs on the machine counts little.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold spaces: the 14th and 15th number, in hundredths.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn header(dim: usize, method: Method) -> Header<String> {
    let model = ModelRef {
        path: "/none".into(),
        sha256: "-".into(),
        prompt: None,
        window: AudioWindow::Whole,
        seen: None,
    };
    let parts = Parts { method, ..Parts::default() };
    let (modalities, sum, built) = Default::default();
    Header { format_version: FORMAT_VERSION, model, dim, count: 0, modalities, sum, parts, built }
}

fn build(folder: &Path, dim: usize, vectors: &[f32], method: Method) -> Result<f64, Failure> {
    std::fs::create_dir_all(folder)?;
    let begun = spent();
    let mut editor = Editor::begin(folder, header(dim, method));
    let mut segment = editor.segment()?;
    for (n, row) in vectors.chunks_exact(dim).enumerate() {
        let item = Item::file(format!("/photos/{n}.png"), Modality::Image);
        segment.push(&item, &Facts { size: 1, ..Facts::default() }, row)?;
    }
    editor.commit(Some(segment), &[])?;
    Ok(spent() - begun)
}

/// So many queries again and again, for half a second: how many a second.
fn rate(queries: usize, mut search: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let (begun, mut rounds) = (spent(), 0);
    loop {
        search()?;
        rounds += 1;
        let seconds = spent() - begun;
        if seconds > 0.5 || rounds == 10_000 {
            return Ok((rounds * queries) as f64 / seconds.max(0.01));
        }
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, dim, vectors, queries, only @ ..] = &args[..] else {
        return Err("usage: bench FOLDER DIM VECTORS QUERIES [METHOD…]".into());
    };
    let dim: usize = dim.parse()?;
    let (vectors, queries) = (floats(vectors)?, floats(queries)?);
    let queries: Vec<&[f32]> = queries.chunks_exact(dim).collect();
    let methods = [
        (Store::F32, Linked::Never, &[10][..]),
        (Store::Bf16, Linked::Never, &[20, 36]),
        (Store::I8, Linked::Never, &[20, 72]),
        (Store::B1, Linked::Never, &[256, 576, 2000]),
        (Store::I8, Linked::Always, &[16, 24, 32, 48, 64, 96, 128, 192, 256, 400, 800]),
        (Store::F32, Linked::Always, &[16, 32, 64, 128, 256, 400]),
    ];
    let mut right: Vec<Vec<usize>> = Vec::new();
    for (store, graph, candidates) in methods {
        let name = format!("{store}{}", if graph == Linked::Always { " graph" } else { "" });
        if !right.is_empty() && !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let method = Method { store, graph, candidates: None };
        let place = Path::new(folder).join(format!("{store}-{}", graph.name()));
        let seconds = build(&place, dim, &vectors, method)?;
        let begun = Instant::now();
        let mut index = Index::<String>::open(&place)?;
        let opened = begun.elapsed().as_secs_f64();
        let of = |index: &Index<String>| -> Result<Vec<Vec<usize>>, Failure> {
            let hits = index.search_all(&queries, 10, &[])?;
            Ok(hits.into_iter().map(|hits| hits.into_iter().map(|hit| hit.index).collect()).collect())
        };
        if right.is_empty() {
            right = of(&index)?;
        }
        for many in candidates {
            index.set_effort(Effort { candidates: Some(*many), exact: false });
            let found = of(&index)?;
            let together = rate(queries.len(), || of(&index).map(drop))?;
            let alone = rate(queries.len(), || {
                queries
                    .iter()
                    .try_for_each(|query| index.search(query, 10, &[]).map(drop))
                    .map_err(Into::into)
            })?;
            let hit: usize =
                found.iter().zip(&right).map(|(f, r)| f.iter().filter(|row| r.contains(row)).count()).sum();
            let recall = hit as f64 / (10 * queries.len()) as f64;
            let links =
                std::fs::metadata(place.join("segments/000000/graph.bin")).map_or(0, |file| file.len());
            let bytes = store.bytes(dim) + links as usize / index.len().max(1);
            println!(
                "{}",
                json!({ "method": name, "candidates": many, "recall": recall, "together": together, "alone": alone,
                    "build": seconds, "open": opened, "bytes": bytes })
            );
        }
    }
    Ok(())
}
