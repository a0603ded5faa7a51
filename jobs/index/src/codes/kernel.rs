//! Products of vectors in every form, with what vectors the processor has: found once, the same numbers with each.

use std::sync::LazyLock;

/// Partial sums that run side by side: enough to fill the vector units of any processor, and one fixed order of additions, so a
/// similarity depends neither on the number of threads nor on the processor.
const LANES: usize = 32;
/// Codes of bytes are as long as a multiple of this.
pub(crate) const BYTES: usize = 64;

/// What the processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

static LEVEL: LazyLock<Level> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512vpopcntdq")
        {
            return Level::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            return Level::Avx2;
        }
    }
    Level::Plain
});

/// Whether it has the widest: what [tiles](super::tile) need.
pub(crate) fn is_wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    return *LEVEL == Level::Avx512;
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// One product in three builds of the same lines.
macro_rules! product {
    ($(#[$doc:meta])* $name:ident, $body:ident, $avx2:ident, $avx512:ident, $a:ty, $b:ty, $out:ty) => {
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name(a: &[$a], b: &[$b]) -> $out {
            match *LEVEL {
                Level::Plain => $body(a, b),
                // SAFETY: the features were found on this processor.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { x86::$avx2(a, b) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { x86::$avx512(a, b) },
            }
        }
    };
}

product! {
    /// The dot product of two vectors `[D]`; of two lengths, the shorter counts.
    dot, dot_plain, dot_avx2, dot_avx512, f32, f32, f32
}
product! {
    /// The dot product of bfloat16s, as their bits, with floats.
    dot_bf16, bf16_plain, bf16_avx2, bf16_avx512, u16, f32, f32
}
product! {
    /// The dot product of bytes from 0 with signed ones; both as long as a multiple of [`BYTES`].
    dot_bytes, bytes_plain, bytes_avx2, bytes_avx512, u8, i8, i32
}
product! {
    /// In how many bits they differ.
    differ, differ_plain, differ_avx2, differ_avx512, u64, u64, u32
}

#[inline(always)]
fn sum_of_products<T: Copy>(a: &[T], b: &[f32], float: impl Fn(T) -> f32) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += float(x[lane]) * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| float(*x) * y).sum();
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn dot_plain(a: &[f32], b: &[f32]) -> f32 {
    sum_of_products(a, b, |v| v)
}

#[inline(always)]
fn bf16_plain(a: &[u16], b: &[f32]) -> f32 {
    sum_of_products(a, b, |v| f32::from_bits(u32::from(v) << 16))
}

#[inline(always)]
fn bytes_plain(a: &[u8], b: &[i8]) -> i32 {
    // Products of 16 bits and their sums of two are what processors have an instruction for.
    a.iter().zip(b).map(|(x, y)| i32::from(i16::from(*x)) * i32::from(i16::from(*y))).sum()
}

#[inline(always)]
fn differ_plain(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

/// Asks the processor to fetch what will be read soon.
#[inline]
pub(crate) fn fetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint: nothing is read, and the address is one of the slice's.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BYTES, bf16_plain, bytes_plain, differ_plain, dot_plain};
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32,
        _mm512_setzero_si512,
    };

    #[target_feature(enable = "avx2")]
    pub(super) fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
        dot_plain(a, b)
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn dot_avx512(a: &[f32], b: &[f32]) -> f32 {
        dot_plain(a, b)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn bf16_avx2(a: &[u16], b: &[f32]) -> f32 {
        bf16_plain(a, b)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn bf16_avx512(a: &[u16], b: &[f32]) -> f32 {
        bf16_plain(a, b)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn bytes_avx2(a: &[u8], b: &[i8]) -> i32 {
        bytes_plain(a, b)
    }

    #[target_feature(enable = "avx2,popcnt")]
    pub(super) fn differ_avx2(a: &[u64], b: &[u64]) -> u32 {
        differ_plain(a, b)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
    pub(super) fn differ_avx512(a: &[u64], b: &[u64]) -> u32 {
        differ_plain(a, b)
    }

    #[target_feature(enable = "avx512f")]
    fn load(bytes: &[u8; BYTES]) -> __m512i {
        // SAFETY: 64 bytes are read of a reference to 64; no alignment is asked for.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    fn signed(bytes: &[i8; BYTES]) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    /// One instruction for 64 products, which no loop becomes by itself.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn bytes_avx512(a: &[u8], b: &[i8]) -> i32 {
        let (a, b) = (a.as_chunks::<BYTES>().0, b.as_chunks::<BYTES>().0);
        let (a_pairs, a_last) = a.as_chunks::<2>();
        let (b_pairs, b_last) = b.as_chunks::<2>();
        let (mut even, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for ([a0, a1], [b0, b1]) in a_pairs.iter().zip(b_pairs) {
            even = _mm512_dpbusd_epi32(even, load(a0), signed(b0));
            odd = _mm512_dpbusd_epi32(odd, load(a1), signed(b1));
        }
        for (a0, b0) in a_last.iter().zip(b_last) {
            even = _mm512_dpbusd_epi32(even, load(a0), signed(b0));
        }
        _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn floats() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-1f32..1.0, 0..300)
    }

    proptest! {
        #[test]
        fn every_processor_computes_the_same_bits(a in floats(), b in floats()) {
            prop_assert_eq!(dot(&a, &b).to_bits(), dot_plain(&a, &b).to_bits());
            let halves: Vec<u16> = a.iter().map(|v| (v.to_bits() >> 16) as u16).collect();
            prop_assert_eq!(dot_bf16(&halves, &b).to_bits(), bf16_plain(&halves, &b).to_bits());
            let naive: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            prop_assert!((f64::from(dot(&a, &b)) - naive).abs() < 1e-4);
        }

        #[test]
        fn bytes_and_bits(blocks in 0usize..6, seed in any::<u64>()) {
            let byte = |n: usize| (seed.rotate_left((n % 64) as u32).wrapping_mul(n as u64 + 1) >> 32) as u8;
            let a: Vec<u8> = (0..blocks * BYTES).map(byte).collect();
            let b: Vec<i8> = (0..blocks * BYTES).map(|n| byte(n + 7) as i8).collect();
            let naive: i64 = a.iter().zip(&b).map(|(x, y)| i64::from(*x) * i64::from(*y)).sum();
            prop_assert_eq!(i64::from(dot_bytes(&a, &b)), naive);
            let words = |from: usize| -> Vec<u64> { (0..blocks * 3).map(|n| seed.wrapping_mul((n + from) as u64 | 1)).collect() };
            let (x, y) = (words(1), words(90));
            let naive: u32 = x.iter().zip(&y).map(|(a, b)| (0..64).filter(|bit| (a ^ b) >> bit & 1 == 1).count() as u32).sum();
            prop_assert_eq!(differ(&x, &y), naive);
        }
    }

    #[test]
    fn the_largest_bytes_do_not_overflow() {
        let (a, b) = (vec![255u8; 8192], vec![-128i8; 8192]);
        assert_eq!(dot_bytes(&a, &b), -255 * 128 * 8192);
        fetch(&a);
    }
}
