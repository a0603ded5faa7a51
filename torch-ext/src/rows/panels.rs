//! Weights as the products of `product.cpp` and `bottleneck.cpp` read them.

use crate::Result;
use tch::Tensor;

/// Numbers of a vector, vectors of a panel.
pub(super) const LANES: i64 = 16;
pub(super) const WIDE: i64 = 4;

/// `weight` `[out, in]` in panels of 64 columns (outputs), the last one of as many vectors as are left: of a panel `step` inputs after `step`
/// inputs, of those each column's side by side. Zeros fill up the last vector and the last step. All in one axis.
pub(super) fn panels(weight: &Tensor, step: i64) -> Result<Tensor> {
    let (output, input) = weight.size2()?;
    let (steps, vectors) = ((input + step - 1) / step, (output + LANES - 1) / LANES);
    let ends = [0, steps * step - input, 0, vectors * LANES - output];
    let padded = weight.f_constant_pad_nd(ends)?.f_view([vectors, LANES, steps, step])?;
    let of = |first: i64, count: i64, wide: i64| -> Result<Tensor> {
        let all = padded.f_narrow(0, first, count * wide)?.f_view([count, wide, LANES, steps, step])?;
        Ok(all.f_permute([0, 3, 1, 2, 4])?.f_flatten(0, -1)?)
    };
    let (whole, rest) = (vectors / WIDE, vectors % WIDE);
    let mut parts = Vec::new();
    if whole > 0 {
        parts.push(of(0, whole, WIDE)?);
    }
    if rest > 0 {
        parts.push(of(whole * WIDE, 1, rest)?);
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn every_number_has_its_place() {
        for (output, input, step) in [(5i64, 3i64, 1i64), (64, 8, 4), (150, 7, 4), (33, 2, 1), (16, 1, 4)] {
            let weight =
                (Tensor::arange(output * input, (Kind::Float, Device::Cpu)) + 1).view([output, input]);
            let laid = Vec::<f32>::try_from(panels(&weight, step).unwrap()).unwrap();
            let (steps, vectors) = ((input + step - 1) / step, (output + LANES - 1) / LANES);
            assert_eq!(laid.len() as i64, steps * step * vectors * LANES);
            for (i, &found) in laid.iter().enumerate() {
                let panel = i as i64 / (WIDE * LANES * steps * step);
                let columns = (vectors - panel * WIDE).min(WIDE) * LANES;
                let at = i as i64 - panel * WIDE * LANES * steps * step;
                let (group, rest) = (at / (columns * step), at % (columns * step));
                let (o, k) = (panel * WIDE * LANES + rest / step, group * step + rest % step);
                let want = if o < output && k < input { (o * input + k + 1) as f32 } else { 0.0 };
                assert_eq!(found, want, "{output} {input} {step}: {i}");
            }
        }
    }
}
