//! An index of files, and what is nearest to a sentence: `cargo run --release --example search -- MODEL "a red bus" photos talks`
//!
//! ```text
//! +0.412  photos/bus.png
//! +0.287  talks/bus.ogg
//! ```
use std::error::Error;
use std::path::Path;
use unisono_jobs::index::{BuildOptions, Index, build};
use unisono_jobs::{Device, Embedder, Flow, Inputs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(sentence)) = (args.next(), args.next()) else {
        return Err("usage: search MODEL SENTENCE FILE…".into());
    };

    let (folder, inputs) = (Path::new("photos.index"), Inputs::files(args));
    let options = BuildOptions { inputs, ..BuildOptions::default() };
    build(Path::new(&model), Device::Cpu, folder, &options, &mut |_| Flow::Continue)?;

    let index = Index::open(folder)?; // any later program begins here
    let query = Embedder::of_index(&index, None, Device::Cpu)?.texts(&[sentence])?;
    for hit in index.search(&query.data, 10, &[])? {
        let item = index.item(hit.index).ok_or("an index that changed")?;
        println!("{:+.3}  {}", hit.score, item.id);
    }
    Ok(())
}
