//! A linear layer through `linear` (MKL on x86) beside the same product as a 1×1 convolution over channels-last memory (oneDNN),
//! forward and backward, alternating: `cargo run --release -p unisono-encoders --example linear_speed`.

use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Rows, features in, features out: a batch of tokens through the query-key-value layer, an MLP's two layers, a wide model's.
const SHAPES: [[i64; 3]; 4] = [[4608, 192, 576], [4608, 192, 384], [4608, 384, 192], [2048, 768, 3072]];
const ROUNDS: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{} threads; median of {ROUNDS} rounds, GFLOP/s of forward and backward",
        tch::get_num_threads()
    );
    println!("{:>18}  {:>7}  {:>12}  {:>6}", "rows×in→out", "linear", "convolution", "ratio");
    for [rows, input, output] in SHAPES {
        let options = (Kind::Float, Device::Cpu);
        let x = Tensor::f_randn([rows, input], options)?.f_set_requires_grad(true)?;
        let weight = Tensor::f_randn([output, input], options)?.f_set_requires_grad(true)?;
        let upstream = Tensor::f_randn([rows, output], options)?;
        let linear = || x.f_linear(&weight, None::<&Tensor>);
        let convolution = || {
            let kernel = weight.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
            let pixels = x.f_view([1, rows, 1, input])?.f_permute([0, 3, 1, 2])?;
            let y = pixels.f_conv2d(&kernel, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1)?;
            y.f_permute([0, 2, 3, 1])?.f_reshape([rows, output])
        };
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            a.push(seconds(&linear, &upstream)?);
            b.push(seconds(&convolution, &upstream)?);
        }
        let flop = 6.0 * (rows * input * output) as f64 / 1e9;
        let [a, b] = [median(a), median(b)].map(|s| flop / s);
        println!("{:>18}  {a:>7.0}  {b:>12.0}  {:>6.2}", format!("{rows}×{input}→{output}"), b / a);
    }
    Ok(())
}

fn seconds(
    product: &dyn Fn() -> Result<Tensor, tch::TchError>,
    upstream: &Tensor,
) -> Result<f64, tch::TchError> {
    let begun = Instant::now();
    product()?.f_mul(upstream)?.f_sum(Kind::Float)?.f_backward()?;
    Ok(begun.elapsed().as_secs_f64())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
