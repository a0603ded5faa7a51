//! How much arithmetic this machine does: to say how much of it a training step reaches.

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
