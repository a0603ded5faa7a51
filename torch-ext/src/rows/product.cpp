// 8-bit layers whose product is made here, for processors with AVX-512 VNNI: a band of rows goes through the product and everything after
// it while it lies in a core's second-level cache. The sums are whole numbers and exact, so that they are those of any other order.
// `layer.rs` is the Rust face.

#include "layer.h"

// Intrinsics are inlined always: no copy of them is left for the linker.
#include <immintrin.h>

// The weights of a product: panels of 64 columns (the last one of as many vectors as are left), of a panel four rows after four rows,
// of four rows each column's four bytes side by side.
struct Product {
  const int8_t *panels;
  int64_t steps; // fours of rows
  int64_t rows;
  Finish after;
};

namespace {

constexpr int64_t WIDE = 4;   // vectors of a panel
constexpr int64_t TILE = 6;   // rows whose sums are in registers
constexpr int64_t BAND = 48;  // rows of a band: with what they become they fill half of a cache of 1 MiB
constexpr int64_t STEP = 4;   // bytes of one instruction's sum

// The sums of ROWS rows and V vectors of columns.
template <int ROWS, int V>
INLINE void tile(const uint8_t *x, int64_t width, const int8_t *panel, int64_t steps, float *to, int64_t to_step, int64_t columns) {
  __m512i sums[ROWS][V];
#pragma GCC unroll 8
  for (auto &row : sums)
#pragma GCC unroll 8
    for (auto &s : row) s = _mm512_setzero_si512();
  for (int64_t k = 0; k < steps; ++k, panel += V * 64, x += STEP) {
    __m512i w[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) w[v] = _mm512_loadu_si512(panel + v * 64);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      int32_t four;
      __builtin_memcpy(&four, x + r * width, STEP);
      const __m512i all = _mm512_set1_epi32(four);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) __asm__("vpdpbusd %2, %1, %0" : "+v"(sums[r][v]) : "v"(all), "v"(w[v]));
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const F s = reinterpret_cast<F>(_mm512_cvtepi32_ps(sums[r][v]));
      float *at = to + r * to_step + v * LANES;
      const int64_t left = columns - v * LANES;
      if (left >= LANES) store(at, s);
      else store_part(at, left, s);
    }
}

// `rows` rows, six at a time.
template <int V>
INLINE void panel(const uint8_t *x, int64_t width, int64_t rows, const int8_t *w, int64_t steps, float *to, int64_t to_step,
                  int64_t columns) {
  int64_t r = 0;
  for (; r + TILE <= rows; r += TILE) tile<TILE, V>(x + r * width, width, w, steps, to + r * to_step, to_step, columns);
  x += r * width, to += r * to_step;
  switch (rows - r) {
  case 5:
    return tile<5, V>(x, width, w, steps, to, to_step, columns);
  case 4:
    return tile<4, V>(x, width, w, steps, to, to_step, columns);
  case 3:
    return tile<3, V>(x, width, w, steps, to, to_step, columns);
  case 2:
    return tile<2, V>(x, width, w, steps, to, to_step, columns);
  case 1:
    return tile<1, V>(x, width, w, steps, to, to_step, columns);
  }
}

// Panel `index` of rows from `begin` to `end`, whose sums lie one after another from `to` on.
static void sums(const Product &p, int64_t index, int64_t begin, int64_t end, float *to) {
  const int64_t first = index * WIDE * LANES, width = p.after.of.width, columns = p.after.width - first;
  const uint8_t *x = p.after.of.bytes + begin * width;
  const int8_t *w = p.panels + first * p.steps * STEP;
  const int64_t rows = end - begin, step = p.after.width;
  to += first;
  switch (columns < WIDE * LANES ? (columns + LANES - 1) / LANES : WIDE) {
  case 1:
    return panel<1>(x, width, rows, w, p.steps, to, step, columns);
  case 2:
    return panel<2>(x, width, rows, w, p.steps, to, step, columns);
  case 3:
    return panel<3>(x, width, rows, w, p.steps, to, step, columns);
  default:
    return panel<4>(x, width, rows, w, p.steps, to, step, columns);
  }
}

INLINE int64_t panels(const Product &p) { return (p.after.width + WIDE * LANES - 1) / (WIDE * LANES); }

} // namespace

extern "C" {

// Of many rows: those from `begin` to `end`, band after band. Where only bytes are wanted, each band's sums take the place of the last one's.
void NAME(ute_product)(int64_t begin, int64_t end, void *given) {
  const auto &p = *static_cast<const Product *>(given);
  float *to = p.after.sums + begin * p.after.width;
  for (int64_t row = begin; row < end; row += BAND) {
    const int64_t last = row + BAND < end ? row + BAND : end;
    for (int64_t index = 0; index < panels(p); ++index) sums(p, index, row, last, to);
    finish_rows(p.after, row, last, to);
    if (!p.after.next.bytes) to += BAND * p.after.width;
  }
}

// Of few rows, `rows`: the sums of panels from `begin` to `end`.
void NAME(ute_panels)(int64_t begin, int64_t end, void *given) {
  const auto &p = *static_cast<const Product *>(given);
  for (int64_t index = begin; index < end; ++index) sums(p, index, 0, p.rows, p.after.sums);
}

} // extern "C"
