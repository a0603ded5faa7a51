//! Vectors in the shared space.

use crate::Result;
use tch::{Kind, Tensor};

/// `[N, D]` unit vectors against `[M, D]` → `[N, M]` cosine similarities.
///
/// # Errors
/// Another D on one side.
pub fn similarity(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(a.f_matmul(&b.f_transpose(0, 1)?)?)
}

/// `[N, D]` → its numbers, row-major, fp32.
///
/// # Errors
/// libtorch's.
pub fn to_vec(vectors: &Tensor) -> Result<Vec<f32>> {
    let flat = vectors.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?;
    Ok(Vec::<f32>::try_from(&flat)?)
}
