//! Products of several rows with many queries at once, for processors with AVX-512: each number that is read counts for all of them.
//!
//! Queries lie side by side, sixteen in a register; a number of a row is spread over a register and multiplied with all sixteen, so that no sum is taken across
//! one. That is what makes a matrix product several times as fast as one dot product after another.

/// Rows of a tile.
pub(crate) const ROWS: usize = 6;
/// Queries in a register.
pub(crate) const LANES: usize = 16;
/// Registers of queries in a tile at most: with [`ROWS`] of them 24 sums, which leaves registers for what is multiplied.
pub(crate) const GROUPS: usize = 4;
/// Queries of a tile.
pub(crate) const WIDE: usize = LANES * GROUPS;

/// Scores of a tile, row after row.
pub(crate) type Scores = [[f32; WIDE]; ROWS];

/// Up to [`WIDE`] queries, side by side.
#[derive(Debug, Clone)]
pub(crate) enum Panel {
    /// Of every place of a vector in turn the queries' numbers, sixteen after sixteen.
    Floats {
        /// Registers of queries.
        groups: usize,
        /// `[D, groups]`.
        values: Vec<[f32; LANES]>,
    },
    /// Of every four places in turn the queries' four bytes.
    Bytes {
        /// Registers of queries.
        groups: usize,
        /// `[D / 4, groups]`.
        values: Vec<[i8; 4 * LANES]>,
        /// What each product has too much, since rows count from [`ZERO`](super::ZERO) on.
        zeros: Box<[i32; WIDE]>,
        /// What each query's bytes are multiples of.
        scales: Box<[f32; WIDE]>,
    },
}

impl Panel {
    /// Of queries `[D]`, [`WIDE`] at most.
    pub(crate) fn of_floats(queries: &[&[f32]]) -> Self {
        let groups = queries.len().div_ceil(LANES).clamp(1, GROUPS);
        let dim = queries.first().map_or(0, |query| query.len());
        let mut values = vec![[0.0; LANES]; dim * groups];
        for (n, query) in queries.iter().enumerate() {
            for (step, value) in values.chunks_exact_mut(groups).zip(*query) {
                step[n / LANES][n % LANES] = *value;
            }
        }
        Self::Floats { groups, values }
    }

    /// Of queries as bytes, each with its scale and its zero, [`WIDE`] at most.
    pub(crate) fn of_bytes(queries: &[(&[i8], f32, i32)]) -> Self {
        let groups = queries.len().div_ceil(LANES).clamp(1, GROUPS);
        let steps = queries.first().map_or(0, |(codes, ..)| codes.len() / 4);
        let mut values = vec![[0; 4 * LANES]; steps * groups];
        let (mut zeros, mut scales) = ([0; WIDE], [0.0; WIDE]);
        for (n, (codes, scale, zero)) in queries.iter().enumerate() {
            (zeros[n], scales[n]) = (*zero, *scale);
            for (step, four) in values.chunks_exact_mut(groups).zip(codes.as_chunks::<4>().0) {
                let at = 4 * (n % LANES);
                step[n / LANES][at..at + 4].copy_from_slice(four);
            }
        }
        Self::Bytes { groups, values, zeros: Box::new(zeros), scales: Box::new(scales) }
    }
}

/// Whether this processor has them.
pub(crate) fn is_there() -> bool {
    super::kernel::is_wide()
}

/// The products of rows `[D]` with the queries of a panel of floats. Only where [they are there](is_there).
pub(crate) fn floats(rows: [&[f32]; ROWS], panel: &Panel, scores: &mut Scores) {
    #[cfg(target_arch = "x86_64")]
    if let Panel::Floats { groups, values } = panel
        && is_there()
    {
        // SAFETY: the features were found on this processor.
        unsafe {
            match groups {
                1 => x86::floats::<1>(rows, values, scores),
                2 => x86::floats::<2>(rows, values, scores),
                3 => x86::floats::<3>(rows, values, scores),
                _ => x86::floats::<4>(rows, values, scores),
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (rows, panel, scores);
}

/// The products of rows of bytes, of these scales, with the queries of a panel of bytes. Only where [they are there](is_there).
pub(crate) fn bytes(rows: [&[u8]; ROWS], row_scales: [f32; ROWS], panel: &Panel, scores: &mut Scores) {
    #[cfg(target_arch = "x86_64")]
    if let Panel::Bytes { groups, values, zeros, scales } = panel
        && is_there()
    {
        // SAFETY: as above.
        unsafe {
            match groups {
                1 => x86::bytes::<1>(rows, row_scales, values, (zeros, scales), scores),
                2 => x86::bytes::<2>(rows, row_scales, values, (zeros, scales), scores),
                3 => x86::bytes::<3>(rows, row_scales, values, (zeros, scales), scores),
                _ => x86::bytes::<4>(rows, row_scales, values, (zeros, scales), scores),
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (rows, row_scales, panel, scores);
}

/// Which of a row's scores are at least as high as the least that each query still takes: a bit each.
pub(crate) fn passing(scores: &[f32; WIDE], least: &[f32; WIDE]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_there() {
        // SAFETY: as above.
        return unsafe { x86::passing(scores, least) };
    }
    let bit = |mask, n: usize| mask | u64::from(scores[n] >= least[n]) << n;
    (0..WIDE).fold(0, bit)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{GROUPS, LANES, ROWS, Scores, WIDE};
    use std::arch::x86_64::{
        __m512, __m512i, _CMP_GE_OQ, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi32,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps, _mm512_sub_epi32,
    };

    #[target_feature(enable = "avx512f")]
    fn load(values: &[f32; LANES]) -> __m512 {
        // SAFETY: 64 bytes are read of a reference to 64; no alignment is asked for.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[target_feature(enable = "avx512f")]
    fn load_bytes(values: &[i8; 4 * LANES]) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    fn load_numbers(values: &[i32; LANES]) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    fn store(to: &mut [f32; LANES], value: __m512) {
        // SAFETY: 64 bytes are written to a reference to 64; no alignment is asked for.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn floats<const G: usize>(rows: [&[f32]; ROWS], values: &[[f32; LANES]], scores: &mut Scores) {
        let steps = values.as_chunks::<G>().0;
        let n = rows.iter().fold(steps.len(), |n, row| n.min(row.len()));
        let [a, b, c, d, e, f] = rows;
        let (steps, rows) = (&steps[..n], [&a[..n], &b[..n], &c[..n], &d[..n], &e[..n], &f[..n]]);
        let mut sums = [[_mm512_setzero_ps(); G]; ROWS];
        for at in 0..n {
            let mut queries = [_mm512_setzero_ps(); G];
            for g in 0..G {
                queries[g] = load(&steps[at][g]);
            }
            for r in 0..ROWS {
                let value = _mm512_set1_ps(rows[r][at]);
                for g in 0..G {
                    sums[r][g] = _mm512_fmadd_ps(value, queries[g], sums[r][g]);
                }
            }
        }
        for (scores, sums) in scores.iter_mut().zip(sums) {
            for (to, sum) in scores.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
                store(to, sum);
            }
        }
    }

    #[inline(always)]
    fn four(row: &[u8], n: usize) -> &[[u8; 4]] {
        &row.as_chunks::<4>().0[..n]
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn bytes<const G: usize>(
        rows: [&[u8]; ROWS],
        row_scales: [f32; ROWS],
        values: &[[i8; 4 * LANES]],
        (zeros, scales): (&[i32; WIDE], &[f32; WIDE]),
        scores: &mut Scores,
    ) {
        let steps = values.as_chunks::<G>().0;
        let n = rows.iter().fold(steps.len(), |n, row| n.min(row.len() / 4));
        let [a, b, c, d, e, f] = rows;
        let (steps, rows) =
            (&steps[..n], [four(a, n), four(b, n), four(c, n), four(d, n), four(e, n), four(f, n)]);
        let mut sums = [[_mm512_setzero_si512(); G]; ROWS];
        for at in 0..n {
            let mut queries = [_mm512_setzero_si512(); G];
            for g in 0..G {
                queries[g] = load_bytes(&steps[at][g]);
            }
            for r in 0..ROWS {
                let value = _mm512_set1_epi32(i32::from_le_bytes(rows[r][at]));
                for g in 0..G {
                    sums[r][g] = _mm512_dpbusd_epi32(sums[r][g], value, queries[g]);
                }
            }
        }
        let (zeros, scales) = (zeros.as_chunks::<LANES>().0, scales.as_chunks::<LANES>().0);
        for (r, scores) in scores.iter_mut().enumerate() {
            for (g, to) in scores.as_chunks_mut::<LANES>().0.iter_mut().enumerate().take(G.min(GROUPS)) {
                // The same products in the same order as of one row and one query: the same bits.
                let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[r][g], load_numbers(&zeros[g])));
                let scale = _mm512_mul_ps(load(&scales[g]), _mm512_set1_ps(row_scales[r]));
                store(to, _mm512_mul_ps(sum, scale));
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn passing(scores: &[f32; WIDE], least: &[f32; WIDE]) -> u64 {
        let (scores, least) = (scores.as_chunks::<LANES>().0, least.as_chunks::<LANES>().0);
        let mut mask = 0;
        for g in 0..GROUPS {
            let of = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(load(&scores[g]), load(&least[g]));
            mask |= u64::from(of) << (LANES * g);
        }
        mask
    }
}
