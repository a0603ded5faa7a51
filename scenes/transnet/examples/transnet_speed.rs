//! Frames a second through TransNetV2 on the CPU: `transnet_speed DIR FRAMES THREADS BATCH ROUNDS` → one JSON line a round.
//! DIR: a folder with the network, ours or as the reference ships it.
//! FRAMES: a file of raw 48x27 RGB frames. benches/transnet.py runs it beside the reference.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::time::Instant;
use tch::Device;
use unisono_transnet::{FRAME, TransNet, TransNetStream};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args[i].parse::<usize>().unwrap();
    tch::set_num_threads(number(2) as i32);
    unisono_torch_ext::library::keep_freed_memory();
    let net = TransNet::load(Path::new(&args[0]), Device::Cpu).unwrap();
    let bytes = std::fs::read(&args[1]).unwrap();
    for round in 0..=number(4) {
        let begun = Instant::now();
        let mut stream = TransNetStream::new(&net, number(3));
        let mut found = Vec::new();
        for frame in bytes.chunks_exact(FRAME) {
            found.extend(stream.push(frame).unwrap());
        }
        found.extend(stream.finish().unwrap());
        let seconds = begun.elapsed().as_secs_f64();
        let most = found.iter().map(|b| b.single).fold(0.0, f32::max);
        // The first round warms up.
        if round > 0 {
            println!("{{\"frames\":{},\"seconds\":{seconds},\"most\":{most}}}", found.len());
        }
    }
}
