//! One space for images, audio files and words: `cargo run --release --example embed -- MODEL image.png audio.wav`
use std::error::Error;
use unisono_jobs::{Device, Embedder, similarity};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [model, image, audio] = paths.as_slice() else {
        return Err("usage: embed MODEL IMAGE AUDIO".into());
    };

    let embedder = Embedder::load(model, Device::Cpu)?;
    let sentences = ["a red double-decker bus", "a cat that smiles", "a ship on the sea"];
    let texts = embedder.texts(&sentences)?; // [3, D], each row of length 1
    let image = embedder.image(image)?; // [D]
    let audio = embedder.audio(audio)?; // [D]

    println!("image and audio: {:+.3}", similarity(&image, &audio));
    for (sentence, text) in sentences.iter().zip(texts.rows()) {
        println!(
            "{sentence:24} image {:+.3}  audio {:+.3}",
            similarity(text, &image),
            similarity(text, &audio)
        );
    }
    Ok(())
}
