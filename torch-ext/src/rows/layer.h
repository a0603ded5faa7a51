// What an 8-bit layer does to each row (token) before and after its product. A row's result depends on nothing but that row: not on how
// many stand beside it, nor on the thread that has it.

#pragma once

#include "lanes.h"

namespace {

enum Activation : int64_t { NONE, RELU, GELU, GELU_TANH, QUICK_GELU, SILU, RELU6, TANH };

template <int64_t activation> INLINE F activate(F x) {
  switch (activation) {
  case RELU:
    return x < 0.0f ? F{} : x;
  case GELU:
    return 0.5f * x * (1.0f + erf(x * 0.707106781f));
  case GELU_TANH:
    return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
  case QUICK_GELU:
    return x * sigmoid(1.702f * x);
  case SILU:
    return x * sigmoid(x);
  case RELU6:
    // NaN stays NaN.
    return x < 0.0f ? F{} : x > 6.0f ? all(6.0f) : x;
  case TANH:
    return 2.0f * sigmoid(2.0f * x) - 1.0f;
  default:
    return x;
  }
}

constexpr int64_t MOST = 16; // numbers of a row that may stand apart

} // namespace

// The arguments of each kernel, as `layer.rs` lays them out.
struct Quantise {
  uint8_t *bytes;   // [rows, width]
  float *scale;     // [rows]
  float *low;       // [rows]
  int64_t *apart;   // [rows], how many numbers stand apart
  int64_t *columns; // [rows, MOST], where
  float *beyond;    // [rows, MOST], in steps of `scale`: how far past the end of the bytes
  int64_t width;
  float levels; // the highest byte
};

struct Finish {
  float *sums;         // [rows, width]: sums of products of bytes; becomes the layer's result
  Quantise of;         // how the activations were made bytes
  const int8_t *turned; // [of.width, width], the weights
  const float *weight; // [width], the scale of each output channel
  const float *column; // [width], the sum of each output channel's weights
  const float *bias;   // [width], or null
  const float *onto;   // [rows, width], added last, or null
  int64_t width;
  int64_t activation;
  Quantise next; // `bytes` is null where nobody wants the result as bytes
};

namespace {

// Of numbers that are normal a ten-millionth lies further out, in root mean squares of its row. A few columns of most language models do
// (Dettmers et al. 2022): a scale that reached them would leave everything else a few steps.
constexpr float FAR = 5.5f;

INLINE bool any(I mask) {
  const B bytes = __builtin_convertvector(mask, B);
  uint64_t halves[2];
  __builtin_memcpy(halves, &bytes, sizeof halves);
  return halves[0] | halves[1];
}

// x ≈ low + scale · byte, but for the numbers that stand apart, whose bytes are the nearest end. A row with a number that is not finite gets
// a scale of NaN, and so everything that comes of it is.
INLINE void quantise(const Quantise &q, int64_t row, const float *x) {
  uint8_t *to = q.bytes + row * q.width;
  const int64_t whole = q.width / LANES * LANES, rest = q.width - whole;
  F low = all(x[0]), high = low, lost = F{}, squares = F{};
  const auto look = [&](F v) { low = min(v, low), high = max(v, high), lost += v * 0.0f, squares += v * v; };
  for (int64_t i = 0; i < whole; i += LANES) look(load(x + i));
  // A row that ends within a vector is filled up with its first number; its squares count too little to matter.
  if (rest) look(load_part(x + whole, rest, x[0]));
  float least = low[0], most = high[0];
  for (int64_t i = 1; i < LANES; ++i) {
    least = low[i] < least ? low[i] : least;
    most = high[i] > most ? high[i] : most;
  }
  const float far = FAR * __builtin_sqrtf(sum(squares) / static_cast<float>(q.width));
  const float bottom = least < -far ? -far : least, top = most > far ? far : most;
  int64_t *columns = q.columns + row * MOST, n = 0;
  float *beyond = q.beyond + row * MOST;
  if (bottom != least || top != most) {
    for (int64_t i = 0; i < q.width && n <= MOST; i += LANES) {
      const int64_t here = i < whole ? LANES : rest;
      const F v = here == LANES ? load(x + i) : load_part(x + i, here, 0);
      if (!any((v < bottom) | (v > top))) continue;
      for (int64_t l = 0; l < here && n <= MOST; ++l) {
        if (v[l] >= bottom && v[l] <= top) continue;
        if (n < MOST) columns[n] = i + l;
        ++n;
      }
    }
  }
  // So many are no exception: the bytes reach to them all.
  const bool all_in = n > MOST;
  if (all_in) n = 0;
  const float from = all_in ? least : bottom, end = all_in ? most : top;
  const float scale = (end - from) / q.levels;
  const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    const float v = x[columns[i]];
    beyond[i] = (v - (v < from ? from : end)) * inverse;
  }
  q.apart[row] = n;
  q.scale[row] = scale + sum(lost);
  q.low[row] = from;
  const auto bytes = [&](F v) {
    v = min(max(v, all(from)), all(end));
    return __builtin_convertvector(__builtin_convertvector((v - from) * inverse + 0.5f, I), B);
  };
  for (int64_t i = 0; i < whole; i += LANES) *reinterpret_cast<B *>(to + i) = bytes(load(x + i));
  if (rest) {
    const B last = bytes(load_part(x + whole, rest, x[0]));
    for (int64_t i = 0; i < rest; ++i) to[whole + i] = last[i];
  }
}

// Σ x w = weight (scale (Σ byte w + Σ beyond w) + low Σ w), w the bytes of an output channel.
template <int64_t activation> INLINE void finish(const Finish &f, int64_t row, float *sums) {
  const float *onto = f.onto ? f.onto + row * f.width : nullptr;
  const float scale = f.of.scale[row], low = f.of.low[row];
  const int64_t apart = f.of.apart[row], *columns = f.of.columns + row * MOST;
  const float *beyond = f.of.beyond + row * MOST;
  const auto value = [&](F sums, F weight, F column, F bias) {
    return activate<activation>(weight * (sums * scale + column * low) + bias);
  };
  int64_t i = 0;
  for (; i + LANES <= f.width; i += LANES) {
    F s = load(sums + i);
    for (int64_t n = 0; n < apart; ++n) {
      const S w = *reinterpret_cast<const S *>(f.turned + columns[n] * f.width + i);
      s += __builtin_convertvector(w, F) * beyond[n];
    }
    const F bias = f.bias ? load(f.bias + i) : F{};
    const F y = value(s, load(f.weight + i), load(f.column + i), bias);
    store(sums + i, onto ? y + load(onto + i) : y);
  }
  if (const int64_t n = f.width - i) {
    const auto part = [&](const float *p) { return p ? load_part(p + i, n, 0) : F{}; };
    F s = part(sums);
    for (int64_t k = 0; k < apart; ++k)
      for (int64_t l = 0; l < n; ++l)
        s[l] += static_cast<float>(f.turned[columns[k] * f.width + i + l]) * beyond[k];
    const F y = value(s, part(f.weight), part(f.column), part(f.bias));
    store_part(sums + i, n, onto ? y + part(onto) : y);
  }
}

template <int64_t activation> INLINE void finish_rows(const Finish &f, int64_t begin, int64_t end, float *sums) {
  for (int64_t row = begin; row < end; ++row, sums += f.width) {
    finish<activation>(f, row, sums);
    if (f.next.bytes) quantise(f.next, row, sums);
  }
}

// Rows from `begin` to `end`, whose sums lie one after another from `sums` on.
static void finish_rows(const Finish &f, int64_t begin, int64_t end, float *sums) {
  switch (f.activation) {
  case RELU:
    return finish_rows<RELU>(f, begin, end, sums);
  case GELU:
    return finish_rows<GELU>(f, begin, end, sums);
  case GELU_TANH:
    return finish_rows<GELU_TANH>(f, begin, end, sums);
  case QUICK_GELU:
    return finish_rows<QUICK_GELU>(f, begin, end, sums);
  case SILU:
    return finish_rows<SILU>(f, begin, end, sums);
  case RELU6:
    return finish_rows<RELU6>(f, begin, end, sums);
  case TANH:
    return finish_rows<TANH>(f, begin, end, sums);
  default:
    return finish_rows<NONE>(f, begin, end, sums);
  }
}

} // namespace
