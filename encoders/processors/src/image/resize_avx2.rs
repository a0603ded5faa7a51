//! The two passes of `resize` with AVX2, the same sums in other steps: a weight of 32 bits is split into
//! `high · 2¹¹ + low`, so that each half times a byte fits the 16-bit multiply-add, which takes two taps at once. Sums wrap, and what
//! is put together again is exact.

use super::taps::{BITS, Taps, byte};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_packs_epi32, _mm_packus_epi16,
    _mm_set1_epi32, _mm_slli_epi32, _mm_srai_epi32, _mm256_add_epi32, _mm256_broadcastsi128_si256,
    _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_madd_epi16,
    _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi32, _mm256_srai_epi32, _mm256_unpackhi_epi16, _mm256_unpacklo_epi16,
};

/// Bits of a weight's low part.
const LOW: i32 = 11;
/// Rows that share a load of the weights.
const ROWS: usize = 4;
const HALF: i32 = 1 << (BITS - 1);

/// Two taps' high and low parts, each as the two 16-bit halves of a number.
fn pair(a: i32, b: i32) -> (i32, i32) {
    let join = |a: i32, b: i32| (a & 0xffff) | (b << 16);
    let low = (1 << LOW) - 1;
    (join(a >> LOW, b >> LOW), join(a & low, b & low))
}

#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: sixteen bytes are read from a reference to sixteen; no alignment is asked for.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// The sixteen bytes at `at`; `None` past the end.
fn sixteen(bytes: &[u8], at: usize) -> Option<&[u8; 16]> {
    bytes.get(at..)?.first_chunk()
}

/// Rows of `width` pixels → rows of `out_width`.
#[target_feature(enable = "avx2")]
pub(super) fn horizontal(bytes: &[u8], width: usize, taps: &Taps, out_width: usize) -> Vec<u8> {
    let (stride, out_stride) = (width * 3, out_width * 3);
    let groups = taps.most.div_ceil(4);
    // Four taps at a time: high parts of taps 0 and 1, of 2 and 3, then the low parts.
    let mut weights = Vec::with_capacity(out_width * groups);
    for i in 0..out_width {
        let (_, row) = taps.window(i);
        weights.extend(row.chunks(4).map(|w| {
            let at = |k: usize| w.get(k).copied().unwrap_or(0);
            let ((h01, l01), (h23, l23)) = (pair(at(0), at(1)), pair(at(2), at(3)));
            [h01, h23, l01, l23]
        }));
    }
    // Windows of four taps are read as sixteen bytes and may reach past a row, where their weights are zero.
    let padded = (width + 4).max(groups * 4) * 3 + 16;
    let mut rows = vec![0u8; padded * ROWS];
    let mut out = vec![0u8; bytes.len() / stride.max(1) * out_stride];
    for (from, to) in bytes.chunks(stride * ROWS).zip(out.chunks_mut(out_stride * ROWS)) {
        for (padded, row) in rows.chunks_exact_mut(padded).zip(from.chunks_exact(stride)) {
            padded[..stride].copy_from_slice(row);
        }
        for i in 0..out_width {
            let first = taps.window(i).0 * 3;
            let pixels = four_rows(&rows, padded, first, &weights[i * groups..(i + 1) * groups]);
            for (to, pixel) in to.chunks_exact_mut(out_stride).zip(pixels) {
                to[i * 3..i * 3 + 3].copy_from_slice(&pixel.to_le_bytes()[..3]);
            }
        }
    }
    out
}

/// One pixel of each row: red, green and blue in the lower bytes.
#[target_feature(enable = "avx2")]
fn four_rows(rows: &[u8], padded: usize, first: usize, weights: &[[i32; 4]]) -> [u32; ROWS] {
    // Red, green and blue of taps 0 and 1 as pairs of 16 bits, then of taps 2 and 3.
    let pairs = _mm256_setr_epi8(
        0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, //
        6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1,
    );
    let (highs, lows) =
        (_mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3));
    let mut high = [_mm256_setzero_si256(); ROWS];
    let mut low = high;
    for (g, w) in weights.iter().enumerate() {
        // SAFETY: sixteen bytes are read from a reference to four numbers of four.
        let w = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(w.as_ptr().cast()) });
        let (wh, wl) = (_mm256_permutevar8x32_epi32(w, highs), _mm256_permutevar8x32_epi32(w, lows));
        for r in 0..ROWS {
            let Some(bytes) = sixteen(rows, r * padded + first + g * 12) else { continue };
            let p = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load(bytes)), pairs);
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(p, wh));
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(p, wl));
        }
    }
    let mut out = [0; ROWS];
    for r in 0..ROWS {
        let halves = |v: __m256i| _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        let sum = _mm_add_epi32(_mm_slli_epi32::<LOW>(halves(high[r])), halves(low[r]));
        let levels = _mm_srai_epi32::<{ BITS as i32 }>(_mm_add_epi32(sum, _mm_set1_epi32(HALF)));
        let words = _mm_packs_epi32(levels, levels);
        out[r] = _mm_cvtsi128_si32(_mm_packus_epi16(words, words)) as u32;
    }
    out
}

/// Weighted sum of as many rows of `stride` bytes as there are weights → one row.
#[target_feature(enable = "avx2")]
pub(super) fn sum_rows(rows: &[u8], stride: usize, weights: &[i32], to: &mut [u8]) {
    let (chunks, rest) = to.as_chunks_mut::<16>();
    for (c, to) in chunks.iter_mut().enumerate() {
        let mut sums = [_mm256_setzero_si256(); 4];
        let mut rows = rows.get(c * 16..).unwrap_or_default();
        for w in weights.chunks(2) {
            let Some(a) = sixteen(rows, 0) else { break };
            // Past the last row its weight is zero, and the one before stands in for it.
            let b = sixteen(rows, stride).unwrap_or(a);
            let (wh, wl) = pair(w[0], w.get(1).copied().unwrap_or(0));
            let (wh, wl) = (_mm256_set1_epi32(wh), _mm256_set1_epi32(wl));
            let (a, b) = (_mm256_cvtepu8_epi16(load(a)), _mm256_cvtepu8_epi16(load(b)));
            let (ab, cd) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
            for (sum, (p, w)) in sums.iter_mut().zip([(ab, wh), (cd, wh), (ab, wl), (cd, wl)]) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(p, w));
            }
            rows = rows.get(2 * stride..).unwrap_or_default();
        }
        let level = |high: __m256i, low: __m256i| {
            let sum = _mm256_add_epi32(_mm256_slli_epi32::<LOW>(high), low);
            _mm256_srai_epi32::<{ BITS as i32 }>(_mm256_add_epi32(sum, _mm256_set1_epi32(HALF)))
        };
        let words = _mm256_packs_epi32(level(sums[0], sums[2]), level(sums[1], sums[3]));
        // Bytes 0 to 7 lie in the first quarter, 8 to 15 in the third.
        let packed = _mm256_permute4x64_epi64::<0b00_00_10_00>(_mm256_packus_epi16(words, words));
        // SAFETY: sixteen bytes are written to a reference to sixteen.
        unsafe {
            std::arch::x86_64::_mm_storeu_si128(to.as_mut_ptr().cast(), _mm256_castsi256_si128(packed))
        };
    }
    let done = chunks.len() * 16;
    for (i, to) in rest.iter_mut().enumerate() {
        let column = rows.iter().skip(done + i).step_by(stride);
        let sum = column.zip(weights).map(|(b, w)| i32::from(*b) * w).sum();
        *to = byte(sum);
    }
}
