//! The face of `attend.cpp`.

use super::{kernel, plain, refused, run};
use crate::Result;
use std::ffi::c_void;
use std::ptr::null;
use tch::{Device, Kind, Tensor};

kernel! {
    attend_kernel = ute_attend_plain, ute_attend_avx2, ute_attend_avx512;
}

/// `Attend` of `attend.cpp`.
#[repr(C)]
struct RawAttend {
    q: *const f32,
    k: *const f32,
    v: *const f32,
    out: *mut f32,
    seen: *const u8,
    added: *const f32,
    q_step: [i64; 3],
    k_step: [i64; 3],
    v_step: [i64; 3],
    mask_step: [i64; 3],
    heads: i64,
    groups: i64,
    queries: i64,
    keys: i64,
    width: i64,
    causal: i64,
    scale: f32,
}

/// Numbers that the kernel takes at a time, and the most that a head may have: its room is on a thread's stack.
const LANES: i64 = 16;
const WIDEST: i64 = 256;
/// Queries of one piece of work.
const BLOCK: i64 = 64;
/// From so many keys on, which every block of queries reads again, a head's are laid side by side first.
const LONG: i64 = 512;

/// What queries see of the keys.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// Everything.
    All,
    /// The last query sees every key, the one before it all but the last, and so on.
    Causal,
    /// Bool (true = seen) or fp32 (added to the scores); broadcasts to `[B, H, T, S]`.
    Mask(&'a Tensor),
}

/// Whether [`attend`] takes heads of `width` numbers on `device`.
pub fn attends(width: i64, device: Device) -> bool {
    device == Device::Cpu && (1..=WIDEST).contains(&width)
}

/// `softmax(q kᵀ / √D) v` in single precision: `q` `[B, H, T, D]`, `k` and `v` `[B, G, S, D]`, G a divisor of H → `[B, H, T, D]`, which lies
/// in memory as `[B, T, H, D]` where D is a multiple of 16. A query that sees nothing gets zeros. What a query gets depends on the keys that it sees and on nothing
/// else, bit for bit.
///
/// # Errors
/// Other shapes, a width that [`attends`] refuses, or tensors that are not on a CPU.
pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor, seen: Seen) -> Result<Tensor> {
    let [(b, h, t, narrow), (kb, g, s, kd)] = [q.size4()?, k.size4()?];
    if v.size() != k.size() || kb != b || kd != narrow || g < 1 || h % g != 0 || !attends(narrow, q.device())
    {
        return Err(refused(&format!(
            "attention of {:?} to keys {:?} and values {:?}: expected [B, H, T, D] and two of [B, G, S, D], D up to {WIDEST}",
            q.size(),
            k.size(),
            v.size()
        )));
    }
    let [q, k, v] = [rows_of(q)?, rows_of(k)?, rows_of(v)?];
    let [k, v] = match t >= BLOCK && s >= LONG {
        true => [k.f_contiguous()?, v.f_contiguous()?],
        false => [k, v],
    };
    let d = q.size4()?.3;
    let mask = match seen {
        Seen::Mask(mask) => {
            let kind = if mask.kind() == Kind::Bool { Kind::Bool } else { Kind::Float };
            // A row of keys lies side by side; what is the same for all samples, heads or queries is not repeated.
            let own = mask.size().iter().rev().skip(1).rev().copied().chain([s]).collect::<Vec<_>>();
            let mask = plain(&mask.f_expand(&own, true)?, kind)?;
            Some(mask.f_expand([b, h, t, s], true)?)
        }
        Seen::All | Seen::Causal => None,
    };
    let out = Tensor::f_empty([b, t, h, d], (Kind::Float, Device::Cpu))?;
    let (bools, floats) = match &mask {
        Some(mask) if mask.kind() == Kind::Bool => (mask.data_ptr().cast_const().cast(), null()),
        Some(mask) => (null(), mask.data_ptr().cast_const().cast()),
        None => (null(), null()),
    };
    let mut raw = RawAttend {
        q: q.data_ptr().cast(),
        k: k.data_ptr().cast(),
        v: v.data_ptr().cast(),
        out: out.data_ptr().cast(),
        seen: bools,
        added: floats,
        q_step: steps(&q),
        k_step: steps(&k),
        v_step: steps(&v),
        mask_step: mask.as_ref().map_or([0; 3], steps),
        heads: h,
        groups: g,
        queries: t,
        keys: s,
        width: d,
        causal: i64::from(matches!(seen, Seen::Causal)),
        scale: (1.0 / (narrow as f64).sqrt()) as f32,
    };
    let pieces = b * h * ((t + BLOCK - 1) / BLOCK);
    // SAFETY: all are fp32 (the mask bool or fp32) on a CPU, of the sizes and steps just read from them, the last axis side by side; `out` is
    // fresh; all live through the call.
    unsafe { run(attend_kernel(), pieces, t.min(BLOCK) * s * d / 4, &mut raw)? };
    Ok(out.f_narrow(3, 0, narrow)?.f_transpose(1, 2)?)
}

/// fp32 on a CPU with each head's numbers side by side, zeros after them where their number is an odd one; else a view stays one.
fn rows_of(x: &Tensor) -> Result<Tensor> {
    let single = x.f_to_kind(Kind::Float)?;
    let rest = single.size().last().map_or(0, |d| d % LANES);
    let single = if rest == 0 { single } else { single.f_constant_pad_nd([0, LANES - rest])? };
    match single.stride().last() {
        Some(1) if single.device() == Device::Cpu => Ok(single),
        _ => plain(&single, Kind::Float),
    }
}

/// From one to the next of all axes but the last.
fn steps(x: &Tensor) -> [i64; 3] {
    let stride = x.stride();
    std::array::from_fn(|axis| stride.get(axis).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(shape: &[i64], speed: f64) -> Tensor {
        let n: i64 = shape.iter().product();
        ((Tensor::arange(n, (Kind::Double, Device::Cpu)) * speed).sin() * 2.0)
            .view(shape)
            .to_kind(Kind::Float)
    }

    /// Attention written out for one query, in double precision.
    fn naive(
        q: &[f64],
        k: &[Vec<f64>],
        v: &[Vec<f64>],
        scores: impl Fn(usize, f64) -> Option<f64>,
    ) -> Vec<f64> {
        let scale = 1.0 / (q.len() as f64).sqrt();
        let weights: Vec<f64> = (0..k.len())
            .map(|j| {
                let dot = q.iter().zip(&k[j]).map(|(a, b)| a * b).sum::<f64>() * scale;
                scores(j, dot).map_or(0.0, f64::exp)
            })
            .collect();
        let total = weights.iter().sum::<f64>();
        let share = if total == 0.0 { 0.0 } else { 1.0 / total };
        (0..q.len()).map(|d| weights.iter().zip(v).map(|(w, v)| w * v[d]).sum::<f64>() * share).collect()
    }

    fn row(x: &Tensor, at: [i64; 3]) -> Vec<f64> {
        let row = x.select(0, at[0]).select(0, at[1]).select(0, at[2]);
        Vec::try_from(row.to_kind(Kind::Double)).unwrap()
    }

    #[test]
    fn it_is_its_formula_under_every_mask() {
        // Heads that share keys; lengths that end within a vector, within a block of queries, within a chunk of keys.
        for (b, h, g, t, s, d) in [
            (2, 4, 2, 5, 5, 16),
            (1, 2, 2, 1, 9, 32),
            (2, 3, 3, 6, 6, 20),
            (1, 2, 2, 4, 4, 6),
            (2, 2, 1, 70, 70, 48),
            (1, 1, 1, 3, 150, 64),
            (1, 2, 1, 131, 131, 80),
        ] {
            let all = wave(&[b, t.max(s), h + 2 * g, d], 0.37).transpose(1, 2);
            let (q, k, v) = (
                all.narrow(1, 0, h).narrow(2, 0, t),
                all.narrow(1, h, g).narrow(2, 0, s),
                all.narrow(1, h + g, g).narrow(2, 0, s),
            );
            let keys = (Tensor::arange(s, (Kind::Int64, Device::Cpu)) + 1).view([1, 1, 1, s]);
            let lengths = Tensor::from_slice(&[(s / 2).max(1), s][..b as usize]).view([b, 1, 1, 1]);
            let bools = keys.le_tensor(&lengths);
            let floats = wave(&[1, h, t, s], 0.11);
            let nothing = Tensor::zeros([1, 1, t, s], (Kind::Bool, Device::Cpu));
            for (name, seen) in [
                ("all", Seen::All),
                ("causal", Seen::Causal),
                ("bools", Seen::Mask(&bools)),
                ("floats", Seen::Mask(&floats)),
                ("nothing", Seen::Mask(&nothing)),
            ] {
                let found = attend(&q, &k, &v, seen).unwrap();
                assert_eq!(found.size(), [b, h, t, d]);
                for at in [[0, 0, 0], [b - 1, h - 1, t - 1], [0, h - 1, t / 2]] {
                    let of = |x: &Tensor| -> Vec<Vec<f64>> {
                        (0..s).map(|j| row(x, [at[0], at[1] / (h / g), j])).collect()
                    };
                    let want = naive(&row(&q, at), &of(&k), &of(&v), |j, score| match name {
                        "causal" => (j as i64 <= at[2] + s - t).then_some(score),
                        "bools" => ((j as i64) < lengths.int64_value(&[at[0], 0, 0, 0])).then_some(score),
                        "floats" => Some(score + floats.double_value(&[0, at[1], at[2], j as i64])),
                        "nothing" => None,
                        _ => Some(score),
                    });
                    for (a, b) in row(&found, at).iter().zip(&want) {
                        assert!((a - b).abs() < 3e-6, "{name} {at:?} of {:?}: {a}, {b}", q.size());
                    }
                }
            }
        }
    }

    /// Whatever stands beside a sequence, and however far it is padded.
    #[test]
    fn a_sequence_alone_is_the_same_in_any_batch() {
        let all = wave(&[3, 260, 3, 2, 32], 0.61);
        for t in [1i64, 2, 15, 16, 17, 64, 129] {
            let of = |batch: &Tensor, n: i64, seen: Seen| {
                let [q, k, v] = [0, 1, 2].map(|i| batch.narrow(1, 0, n).select(2, i).transpose(1, 2));
                attend(&q, &k, &v, seen).unwrap()
            };
            let alone = of(&all.narrow(0, 1, 1), t, Seen::All);
            let before = of(&all.narrow(0, 1, 1), t, Seen::Causal);
            for n in [t, t + 1, t + 14, 200, 260] {
                let real = Tensor::arange(n, (Kind::Int64, Device::Cpu)).lt(t).view([1, 1, 1, n]);
                let beside = of(&all, n, Seen::Mask(&real)).narrow(0, 1, 1).narrow(2, 0, t);
                assert!(beside == alone, "{t} of {n}");
                let after = of(&all, n, Seen::Causal).narrow(0, 1, 1).narrow(2, 0, t);
                assert!(after == before, "{t} of {n}");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so_and_other_shapes_are_refused() {
        let x = wave(&[1, 1, 3, 16], 0.5);
        let _ = x.select(2, 1).fill_(f64::NAN);
        let found = attend(&x, &x, &x, Seen::All).unwrap();
        assert!(found.isnan().all().int64_value(&[]) == 1);
        let narrow = wave(&[1, 1, 3, 8], 0.5);
        assert!(attends(8, Device::Cpu) && !attends(0, Device::Cpu) && !attends(257, Device::Cpu));
        for (q, k) in [(&x, &narrow), (&x, &wave(&[2, 1, 3, 16], 0.5)), (&x, &wave(&[3, 16], 0.5))] {
            assert!(attend(q, k, k, Seen::All).is_err());
        }
    }
}
