//! What is drawn while training as a function of the sample: dropout and stochastic depth that a batch cut into parts draws as the whole one does.

use crate::{Error, Result};
use tch::{Device, Tensor};

/// The seed of a pass and what each row of its batch is known by. A draw is a function of (seed, row, place, number within the row): it depends
/// neither on the other rows of the batch, nor on how far rows are padded.
#[derive(Debug, Clone, Copy)]
pub struct Draws<'a> {
    /// Of the step.
    pub seed: u64,
    /// What each row is known by; empty: its number.
    pub rows: &'a [u64],
}

impl<'a> Draws<'a> {
    /// By `seed`, rows known by their numbers.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed, rows: &[] }
    }

    /// What some rows are known by.
    pub fn of(&self, rows: &[usize]) -> Vec<u64> {
        rows.iter().map(|row| self.row(*row)).collect()
    }

    /// What frame `frame` of row `row` is known by.
    pub fn frame(&self, row: usize, frame: usize) -> u64 {
        self.row(row).wrapping_mul(1 << 16).wrapping_add(frame as u64)
    }

    fn row(&self, row: usize) -> u64 {
        self.rows.get(row).copied().unwrap_or(row as u64)
    }

    /// Of `shape` `[B, ..]`, fp32: 0 with the probability `drop`, else 1 / (1 − `drop`). `place` tells draws of one pass apart.
    ///
    /// # Errors
    /// Another number of rows than are known.
    pub fn kept(&self, place: u64, shape: &[i64], drop: f64, device: Device) -> Result<Tensor> {
        let keep = (1.0 - drop).clamp(0.0, 1.0);
        let below = (keep * 4_294_967_296.0) as u64;
        let factor = if keep > 0.0 { keep.recip() as f32 } else { 0.0 };
        self.each(place, shape, device, |drawn| if u64::from(drawn) < below { factor } else { 0.0 })
    }

    /// Of `shape` `[B, ..]`, fp32: numbers from 0 to below 1, all alike probable.
    ///
    /// # Errors
    /// As [`kept`](Self::kept).
    pub fn uniform(&self, place: u64, shape: &[i64], device: Device) -> Result<Tensor> {
        self.each(place, shape, device, |drawn| (drawn >> 8) as f32 * (1.0 / 16_777_216.0))
    }

    fn each(&self, place: u64, shape: &[i64], device: Device, of: impl Fn(u32) -> f32) -> Result<Tensor> {
        let rows = usize::try_from(shape.first().copied().unwrap_or(0)).unwrap_or(0);
        if !self.rows.is_empty() && self.rows.len() != rows {
            let known = self.rows.len();
            return Err(Error::Input(format!("draws for {known} rows, and the batch has {rows}")));
        }
        let each = shape.iter().skip(1).product::<i64>().max(1) as usize;
        let mut values = vec![0f32; rows * each];
        for (row, values) in values.chunks_mut(each).enumerate() {
            let key = mixed(self.seed ^ mixed(self.row(row) ^ mixed(place)));
            let (low, high) = (key as u32, (key >> 32) as u32);
            for (i, value) in values.iter_mut().enumerate() {
                *value = of(hash(i as u32, low, high));
            }
        }
        Ok(Tensor::f_from_slice(&values)?.f_view(shape)?.f_to_device(device)?)
    }
}

/// A place of draws by its name (FNV-1a).
pub fn place(name: &str) -> u64 {
    let step = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// SplitMix64's finaliser.
const fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Number `i` of a row's stream: 32-bit steps that compilers turn into vector instructions (Wellons' `lowbias32`, keyed before and within).
const fn hash(i: u32, low: u32, high: u32) -> u32 {
    let x = i.wrapping_mul(0x9e37_79b9) ^ low;
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d).wrapping_add(high);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    fn drawn(draws: Draws, place: u64, shape: &[i64], drop: f64) -> Tensor {
        draws.kept(place, shape, drop, Device::Cpu).unwrap()
    }

    #[test]
    fn a_row_is_drawn_alike_in_any_batch_and_under_any_padding() {
        let whole = drawn(Draws { seed: 7, rows: &[3, 9, 4] }, 1, &[3, 5, 8], 0.3);
        let part = drawn(Draws { seed: 7, rows: &[9] }, 1, &[1, 4, 8], 0.3);
        assert_eq!(whole.narrow(0, 1, 1).narrow(1, 0, 4), part);
        assert_ne!(whole.get(0), whole.get(1));
        assert_eq!(
            drawn(Draws::seeded(7), 1, &[2, 9], 0.5),
            drawn(Draws { seed: 7, rows: &[0, 1] }, 1, &[2, 9], 0.5)
        );
        for other in [
            drawn(Draws { seed: 8, rows: &[9] }, 1, &[1, 4, 8], 0.3),
            drawn(Draws { seed: 7, rows: &[9] }, 2, &[1, 4, 8], 0.3),
        ] {
            assert_ne!(part, other);
        }
        assert!(Draws { seed: 7, rows: &[1] }.kept(0, &[2, 3], 0.1, Device::Cpu).is_err());
    }

    #[test]
    fn as_many_are_dropped_as_should_be_and_the_rest_makes_up_for_them() {
        for drop in [0.05, 0.3, 0.9] {
            let of = drawn(Draws::seeded(1), place("a.b"), &[100, 2000], drop);
            let dropped = of.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!((dropped - drop).abs() < 4.0 * (drop * (1.0 - drop) / 2e5).sqrt(), "{drop}: {dropped}");
            // Neighbours in a row, and rows above each other, know nothing of each other.
            let x = of.eq(0.0).to_kind(Kind::Double) - drop;
            let all = 2000.0 * 100.0 * drop * (1.0 - drop);
            for (a, b) in
                [(x.narrow(1, 0, 1999), x.narrow(1, 1, 1999)), (x.narrow(0, 0, 99), x.narrow(0, 1, 99))]
            {
                let like = (a * b).sum(Kind::Double).double_value(&[]) / all;
                assert!(like.abs() < 0.012, "{drop}: {like}");
            }
        }
        assert_eq!(
            drawn(Draws::seeded(1), 0, &[2, 3], 0.0),
            Tensor::ones([2, 3], (Kind::Float, Device::Cpu))
        );
        assert_eq!(
            drawn(Draws::seeded(1), 0, &[2, 3], 1.0),
            Tensor::zeros([2, 3], (Kind::Float, Device::Cpu))
        );
    }
}
