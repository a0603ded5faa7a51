//! Prepares sample data: `cargo run --release -p unisono-datasets --example sample -- stamps OUT CACHE [ARCHIVE…]`.

use std::path::PathBuf;

use unisono_datasets::sample::{self, Progress, SampleOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(kind), Some(out), Some(cache)) = (words.next(), words.next(), words.next()) else {
        return Err("usage: sample stamps|emoji OUT CACHE [ARCHIVE…]".into());
    };
    let options =
        SampleOptions { out: out.into(), cache: cache.into(), archives: words.map(PathBuf::from).collect() };
    let mut stage = String::new();
    let mut progress = |p: Progress| {
        if p.stage != stage {
            eprintln!("{}", p.stage);
            stage = p.stage;
        }
    };
    let report = match kind.as_str() {
        "stamps" => sample::stamps(&options, &mut progress)?,
        "emoji" => sample::emoji(&options, &mut progress)?,
        other => return Err(format!("no sample data called {other:?}").into()),
    };
    println!("{report:#?}");
    Ok(())
}
