//! How much arithmetic a training step asks for, from its shapes: to say how much of the machine is reached.

use crate::batch::Shapes;
use unisono_encoders::ModelConfig;
use unisono_encoders::config::{StemConfig, TransformerConfig};

/// Floating-point operations of one step: two a multiply-add, and the backward pass twice the forward pass. Norms,
/// activations and the optimizer are left out, so a rate computed from it is a lower bound.
pub fn of_step(config: &ModelConfig, shapes: &Shapes) -> f64 {
    let mut forward = 0.0;
    let d = config.embed_dim as f64;
    if let Some(c) = &config.text {
        for &(b, t) in &shapes.text {
            forward += b as f64 * (blocks(&c.transformer, t) + 2.0 * c.transformer.width as f64 * d);
        }
    }
    if let Some(c) = &config.image {
        let grid = c.stem.grid(c.size.sides);
        let each = stem(&c.stem, c.size.sides, 3, c.transformer.width, false)
            + blocks(&c.transformer, c.prefix + grid[0] * grid[1])
            + 2.0 * c.transformer.width as f64 * d;
        forward += shapes.images as f64 * each;
    }
    if let Some(c) = &config.audio {
        for &(b, t) in &shapes.audio {
            let grid = c.stem.grid([t, c.mels]);
            let tokens = if c.grid { c.prefix + grid[0] * grid[1] } else { grid[0] };
            let each = stem(&c.stem, [t, c.mels], 1, c.transformer.width, !c.grid)
                + blocks(&c.transformer, tokens)
                + 2.0 * c.transformer.width as f64 * d;
            forward += b as f64 * each;
        }
    }
    3.0 * forward
}

/// One sample of `t` tokens through the blocks.
fn blocks(c: &TransformerConfig, t: i64) -> f64 {
    let (w, h, t) = (c.width as f64, c.hidden() as f64, t as f64);
    let feed_forward = if c.gated { 3.0 } else { 2.0 };
    let linear = 2.0 * t * (4.0 * w * w + feed_forward * w * h);
    let attention = 4.0 * t * t * w;
    c.depth as f64 * (linear + attention)
}

/// One sample through the stem and the layer that gives it the Transformer's width.
fn stem(c: &StemConfig, input: [i64; 2], channels: i64, width: i64, folded: bool) -> f64 {
    let [h, w] = c.grid(input);
    match c {
        StemConfig::Frames { strides, .. } => {
            let (mut frames, mut from, mut sum) = (input[0], input[1], 0.0);
            for stride in strides {
                frames = (frames + stride - 1) / stride;
                sum += 6.0 * (frames * from * width) as f64;
                from = width;
            }
            sum
        }
        StemConfig::Patch { size, .. } => {
            let patch = 2.0 * (h * w * channels * size[0] * size[1] * width) as f64;
            patch + if folded { 2.0 * (h * w * width * width) as f64 } else { 0.0 }
        }
        StemConfig::Conv { layers, .. } => {
            let (mut at, mut from, mut sum) = (input, channels, 0.0);
            for l in layers {
                at = [(at[0] + l.stride[0] - 1) / l.stride[0], (at[1] + l.stride[1] - 1) / l.stride[1]];
                sum += 2.0 * 9.0 * (at[0] * at[1] * from * l.channels) as f64;
                from = l.channels;
            }
            sum + 2.0 * (h * w * from * width) as f64
        }
    }
}

/// This machine's single-precision matrix rate with the threads now set, in FLOP/s: the best of several products of
/// 1024 × 1024 by the route that the towers take.
///
/// # Errors
/// libtorch's.
pub fn machine_rate(device: tch::Device) -> crate::Result<f64> {
    use tch::{Kind, Tensor};
    let n = 1024i64;
    let x = Tensor::f_ones([1, n, n, 1], (Kind::Float, device))?.f_contiguous()?.f_permute([0, 2, 1, 3])?;
    let k = Tensor::f_ones([n, n, 1, 1], (Kind::Float, device))?;
    let mut best = f64::INFINITY;
    tch::no_grad(|| -> crate::Result<()> {
        for _ in 0..8 {
            let start = std::time::Instant::now();
            let y = x.f_conv2d(&k, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1)?;
            // Reading a value waits for the device.
            let _ = y.f_select(1, 0)?.f_sum(Kind::Float)?.double_value(&[]);
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    Ok(2.0 * (n as f64).powi(3) / best)
}
