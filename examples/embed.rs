//! One space for pictures, sounds and words: `cargo run --release --example embed -- MODEL picture.png sound.wav`
use std::error::Error;
use unisono_jobs::{Device, Embedder, similarity};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [model, picture, sound] = paths.as_slice() else {
        return Err("usage: embed MODEL PICTURE SOUND".into());
    };

    let embedder = Embedder::load(model, Device::Cpu)?;
    let sentences = ["a red double-decker bus", "a cat that smiles", "a ship on the sea"];
    let texts = embedder.texts(&sentences)?; // [3, D], each row of length 1
    let picture = embedder.image(picture)?; // [D]
    let sound = embedder.sound(sound)?; // [D]

    println!("picture and sound: {:+.3}", similarity(&picture, &sound));
    for (sentence, text) in sentences.iter().zip(texts.rows()) {
        println!(
            "{sentence:24} picture {:+.3}  sound {:+.3}",
            similarity(text, &picture),
            similarity(text, &sound)
        );
    }
    Ok(())
}
