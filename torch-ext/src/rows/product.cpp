// 8-bit layers whose product is made here, for processors with AVX-512 VNNI, by tiles on those with AMX, too: a band of rows goes through the product and everything after
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

#if defined(__AMX_INT8__)

constexpr int64_t TALL = 16;  // rows of a tile
constexpr int64_t DEEP = 64;  // bytes of a tile's row: sixteen steps
constexpr int64_t BAND_ROOM = 1 << 20; // of a second-level cache of 2 MiB

// Sixteen rows of the sums of sixteen columns, of which `left` are there.
INLINE void give(const int32_t *sums, float *to, int64_t to_step, int64_t left) {
  for (int64_t r = 0; r < TALL; ++r) {
    const F s = reinterpret_cast<F>(_mm512_cvtepi32_ps(_mm512_load_si512(sums + r * LANES)));
    if (left >= LANES) store(to + r * to_step, s);
    else store_part(to + r * to_step, left, s);
  }
}

// Thirty-two rows, or with `HIGH` 1 sixteen, by a panel of V vectors, two vectors at a time: four tiles of sums, two of rows, two of weights.
template <int HIGH, int V>
INLINE void tiles(const uint8_t *x, int64_t width, const int8_t *w, int64_t steps, float *to, int64_t to_step, int64_t columns) {
  alignas(64) int32_t sums[4][TALL * LANES];
  for (int v = 0; v < V; v += 2) {
    const bool two = v + 1 < V;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const int8_t *at = w + v * DEEP;
    for (int64_t k = 0; k < steps * STEP; k += DEEP, at += V * DEEP * (DEEP / STEP)) {
      _tile_loadd(4, x + k, width);
      _tile_loadd(6, at, V * DEEP);
      _tile_dpbusd(0, 4, 6);
      if (HIGH == 2) {
        _tile_loadd(5, x + TALL * width + k, width);
        _tile_dpbusd(2, 5, 6);
      }
      if (two) {
        _tile_loadd(7, at + DEEP, V * DEEP);
        _tile_dpbusd(1, 4, 7);
        if (HIGH == 2) _tile_dpbusd(3, 5, 7);
      }
    }
    _tile_stored(0, sums[0], DEEP);
    give(sums[0], to + v * LANES, to_step, columns - v * LANES);
    if (two) {
      _tile_stored(1, sums[1], DEEP);
      give(sums[1], to + (v + 1) * LANES, to_step, columns - (v + 1) * LANES);
    }
    if (HIGH == 2) {
      _tile_stored(2, sums[2], DEEP);
      give(sums[2], to + TALL * to_step + v * LANES, to_step, columns - v * LANES);
      if (two) {
        _tile_stored(3, sums[3], DEEP);
        give(sums[3], to + TALL * to_step + (v + 1) * LANES, to_step, columns - (v + 1) * LANES);
      }
    }
  }
}

// As many rows as fill tiles: where the others begin.
template <int V>
INLINE int64_t tall(const uint8_t *x, int64_t width, int64_t rows, const int8_t *w, int64_t steps, float *to, int64_t to_step,
                    int64_t columns) {
  int64_t r = 0;
  // A row that ends within a tile would be read past its end.
  if (width % DEEP) return r;
  for (; r + 2 * TALL <= rows; r += 2 * TALL) tiles<2, V>(x + r * width, width, w, steps, to + r * to_step, to_step, columns);
  for (; r + TALL <= rows; r += TALL) tiles<1, V>(x + r * width, width, w, steps, to + r * to_step, to_step, columns);
  return r;
}

// All eight tiles of sixteen rows of 64 bytes, as long as this lives.
struct Tiles {
  Tiles() {
    alignas(64) uint8_t all[64] = {1};
    for (int i = 0; i < 8; ++i) all[16 + 2 * i] = DEEP, all[48 + i] = TALL;
    _tile_loadconfig(all);
  }
  ~Tiles() { _tile_release(); }
};

// Rows of a band: with what they become they stay in the cache.
INLINE int64_t band(const Product &p) {
  const int64_t rows = BAND_ROOM / (5 * p.after.width) / (2 * TALL) * (2 * TALL);
  return rows < 2 * TALL ? 2 * TALL : rows > 256 ? 256 : rows;
}

#else

struct Tiles {
  Tiles() {}
};

template <int V>
INLINE int64_t tall(const uint8_t *, int64_t, int64_t, const int8_t *, int64_t, float *, int64_t, int64_t) {
  return 0;
}

// Rows of a band: with what they become they fill half of a cache of 1 MiB.
INLINE int64_t band(const Product &) { return 48; }

#endif

// `rows` rows by a panel of V vectors.
template <int V>
INLINE void whole(const uint8_t *x, int64_t width, int64_t rows, const int8_t *w, int64_t steps, float *to, int64_t to_step,
                  int64_t columns) {
  const int64_t r = tall<V>(x, width, rows, w, steps, to, to_step, columns);
  panel<V>(x + r * width, width, rows - r, w, steps, to + r * to_step, to_step, columns);
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
    return whole<1>(x, width, rows, w, p.steps, to, step, columns);
  case 2:
    return whole<2>(x, width, rows, w, p.steps, to, step, columns);
  case 3:
    return whole<3>(x, width, rows, w, p.steps, to, step, columns);
  default:
    return whole<4>(x, width, rows, w, p.steps, to, step, columns);
  }
}

INLINE int64_t panels(const Product &p) { return (p.after.width + WIDE * LANES - 1) / (WIDE * LANES); }

} // namespace

extern "C" {

// Of many rows: those from `begin` to `end`, band after band. Where only bytes are wanted, each band's sums take the place of the last one's.
void NAME(ute_product)(int64_t begin, int64_t end, void *given) {
  const auto &p = *static_cast<const Product *>(given);
  const Tiles tiles;
  const int64_t tall = band(p);
  float *to = p.after.sums + begin * p.after.width;
  for (int64_t row = begin; row < end; row += tall) {
    const int64_t last = row + tall < end ? row + tall : end;
    for (int64_t index = 0; index < panels(p); ++index) sums(p, index, row, last, to);
    finish_rows(p.after, row, last, to);
    if (!p.after.next.bytes) to += tall * p.after.width;
  }
}

// Of few rows, `rows`: the sums of panels from `begin` to `end`.
void NAME(ute_panels)(int64_t begin, int64_t end, void *given) {
  const auto &p = *static_cast<const Product *>(given);
  const Tiles tiles;
  for (int64_t index = begin; index < end; ++index) sums(p, index, 0, p.rows, p.after.sums);
}

// Whether this process may use tiles: Linux gives them to who asks.
int64_t NAME(ute_tiles)() {
#if defined(__AMX_INT8__) && defined(__linux__)
  constexpr long ARCH_PRCTL = 158, REQUEST = 0x1023, TILE_DATA = 18;
  long failed;
  __asm__ volatile("syscall" : "=a"(failed) : "a"(ARCH_PRCTL), "D"(REQUEST), "S"(TILE_DATA) : "rcx", "r11", "memory");
  return failed == 0;
#else
  return 0;
#endif
}

} // extern "C"
