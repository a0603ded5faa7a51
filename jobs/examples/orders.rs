//! What searches by meaning, by words and by both find: `orders INDEX < QUERIES` reads a line of JSON for each query (`{"query": …, "relevant": [ID…]}`) and
//! prints one for each: the first hundred ids with their scores by meaning, by words, and by both; of all modalities together by cosine and by chance; the chances
//! of all that is searched through, best first, and those of what is relevant.
//! `benches/hybrid.py` makes the queries and reads what is printed.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use tch::Device;
use unisono_jobs::index::{Filter, fuse};
use unisono_jobs::{Embedder, Hit, Index, Modality};

/// Hits of each order.
const DEEP: usize = 100;

#[derive(Deserialize)]
struct Query {
    query: String,
    #[serde(default)]
    relevant: Vec<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: orders INDEX < QUERIES")?;
    let index = Index::open(folder)?;
    let embedder = Embedder::of_index(&index, None, Device::Cpu)?;
    let rows: HashMap<String, usize> =
        index.rows().filter_map(|row| Some((index.item(row)?.id, row))).collect();
    let queries: Vec<Query> = std::io::stdin()
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<_, std::io::Error>>()?;
    let filter = Filter::of(&index.searched(Modality::Text));
    let chance = |hit: &Hit| index.chance(Modality::Text, hit);
    let named = |hits: &[Hit]| -> Vec<Value> {
        hits.iter().map(|hit| json!([index.item(hit.index).map(|item| item.id), hit.score])).collect()
    };
    for some in queries.chunks(32) {
        let texts: Vec<&str> = some.iter().map(|query| query.query.as_str()).collect();
        let vectors = embedder.texts(&texts)?;
        for (query, vector) in some.iter().zip(vectors.rows()) {
            let meaning = index.search_where(vector, DEEP, &filter, &[])?;
            let words = index.search_words(&query.query, DEEP, &filter, &[]).unwrap_or_default();
            let rare = index.fuse(Modality::Text, &meaning, &words, DEEP);
            let both = rare.unwrap_or_else(|| fuse(&[meaning.clone(), words.clone()], DEEP));
            let all = index.search_where(vector, index.len(), &filter, &[])?;
            let shares: Vec<Option<f64>> = all.iter().map(chance).collect();
            let relevant: Vec<Option<f64>> = query
                .relevant
                .iter()
                .filter_map(|id| rows.get(id))
                .map(|row| all.iter().position(|hit| hit.index == *row).and_then(|at| shares[at]))
                .collect();
            println!(
                "{}",
                json!({ "meaning": named(&meaning), "words": named(&words), "both": named(&both),
                    "by_cosine": named(&index.search_where(vector, DEEP, &Filter::default(), &[])?),
                    "by_chance": named(&index.search_by_chance(vector, Modality::Text, DEEP, &Filter::default(), &[])?),
                    "relevant": relevant, "chances": shares })
            );
        }
    }
    Ok(())
}
