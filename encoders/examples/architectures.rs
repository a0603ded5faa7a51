//! Whether each checkpoint of a folder gives the embeddings of the library that wrote it, as a Markdown table: `fixtures/architectures.py OUT` writes
//! all of OpenCLIP's architectures, this compares them.
//!
//! ```text
//! cargo run --release --example architectures OUT
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Modality, Mode, Model};
use unisono_nn::tensors;

/// The largest difference of the embeddings before normalisation, over the largest of their numbers.
fn difference(model: &Model, golden: &Path) -> Result<f64, Box<dyn Error>> {
    let golden = tensors::read(golden)?.0;
    let get = |name: &str| golden.get(name).ok_or_else(|| format!("no {name}"));
    let mask = get("in.mask")?.f_to_kind(Kind::Bool)?;
    let text = model.forward_text(get("in.ids")?, &mask, Mode::Eval)?;
    let image = model.forward_image(get("in.pixels")?, Mode::Eval)?;
    let mut worst = 0f64;
    for (m, pooled) in [(Modality::Text, text.pooled), (Modality::Image, image.pooled)] {
        let want = get(&format!("out.{m}.vector"))?;
        let distance = model.project_raw(m, &pooled)?.f_sub(want)?.f_abs()?.f_max()?.f_double_value(&[])?;
        worst = worst.max(distance / Tensor::f_abs(want)?.f_max()?.f_double_value(&[])?.max(1.0));
    }
    Ok(worst)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: architectures FOLDER")?;
    let mut dirs: Vec<_> = std::fs::read_dir(folder)?.filter_map(|e| Some(e.ok()?.path())).collect();
    dirs.sort();
    let (mut outcomes, mut worst) = (BTreeMap::<String, Vec<String>>::new(), 0f64);
    for dir in dirs.iter().filter(|d| d.is_dir()) {
        let name = format!("`{}`", dir.file_name().unwrap_or_default().to_string_lossy());
        let outcome = match Model::load(dir, Device::Cpu) {
            Err(e) => {
                let said = e.to_string();
                let said = said.split("config.json: ").last().unwrap_or_default();
                format!("refused: {}", said.split(", found").next().unwrap_or_default())
            }
            Ok(model) => match tch::no_grad(|| difference(&model, &dir.join("golden.safetensors")))? {
                d if d <= 1e-5 => {
                    worst = worst.max(d);
                    "equal".to_owned()
                }
                d => format!("**different** by {d:.1e}"),
            },
        };
        outcomes.entry(outcome).or_default().push(name);
    }
    println!("| | | architectures |\n|---|---|---|");
    for (outcome, names) in &outcomes {
        println!("| {outcome} | {} | {} |", names.len(), names.join(", "));
    }
    println!("\nThe largest difference of those that are equal is {worst:.1e}.");
    Ok(())
}
