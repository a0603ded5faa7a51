//! Seconds and memory of a contrastive loss, forward and backward: `contrastive_memory softmax|sigmoid TILE B D THREADS ROUNDS` → JSON.
//!
//! TILE as the term's key: 0 is the whole matrix, `auto` what a recipe gets that says nothing. The memory is how much the process grew at most beyond the vectors and
//! their gradients. benches/contrastive.py runs it beside open_clip.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::Instant;
use tch::{Device, Kind, Tensor};
use unisono_fusion::objective::{Contrastive, Items, Sigmoid, View};

/// A line of /proc/self/status, in bytes.
fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args[i].parse::<i64>().unwrap();
    let tile = (args[1] != "auto").then(|| number(1) as usize);
    let (n, d, rounds) = (number(2), number(3), number(5));
    tch::set_num_threads(number(4) as i32);
    unisono_torch_ext::library::keep_freed_memory();
    tch::manual_seed(1);
    let unit = || {
        let x = Tensor::randn([n, d], (Kind::Float, Device::Cpu));
        (&x / x.norm_scalaropt_dim(2, [-1i64].as_slice(), true)).detach().set_requires_grad(true)
    };
    let (mut x, mut y) = (unit(), unit());
    let (mut scale, bias) = (Tensor::from(2.6592f32).set_requires_grad(true), Tensor::from(-10f32));
    let items = Items { labels: (0..n as u64).collect(), texts: vec![None; n as usize], ..Items::default() };
    let mut step = || {
        let view = |t: &Tensor| View { vectors: t.shallow_clone(), rows: (0..n as usize).collect() };
        let loss = match args[0].as_str() {
            "softmax" => {
                Contrastive { tile, ..Contrastive::default() }.loss(&view(&x), &view(&y), &items, &scale)
            }
            _ => Sigmoid { tile, ..Sigmoid::default() }.loss(&view(&x), &view(&y), &items, &scale, &bias),
        };
        let loss = loss.unwrap().unwrap();
        [&mut x, &mut y, &mut scale].into_iter().for_each(|t| t.zero_grad());
        let begun = Instant::now();
        loss.backward();
        (loss.double_value(&[]), begun.elapsed().as_secs_f64())
    };
    // The gradients' own memory is not the loss's.
    let before = status("VmRSS") + (2 * n * d * 4) as f64;
    let mut best = f64::INFINITY;
    let mut backward = f64::INFINITY;
    let mut loss = 0.0;
    for _ in 0..rounds {
        let begun = Instant::now();
        let of_backward;
        (loss, of_backward) = step();
        best = best.min(begun.elapsed().as_secs_f64());
        backward = backward.min(of_backward);
    }
    let peak = (status("VmHWM") - before).max(0.0);
    println!("{}", serde_json::json!({ "loss": loss, "seconds": best, "backward": backward, "bytes": peak }));
}
