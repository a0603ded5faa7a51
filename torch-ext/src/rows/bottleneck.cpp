// The inverted bottleneck (Sandler et al. 2018) in one go for processors with AVX-512: a band of an image's rows is widened, seen channel by
// channel and narrowed while it lies in a core's second-level cache. A number's sum is in one order, whatever the band that it falls into.
// `bottleneck.rs` is the Rust face.

#include "layer.h"

// All numbers are single, channels last; `inner` and `output` are channels filled up to whole vectors, with zeros.
struct Bottleneck {
  const float *x;                         // [B, H, W, input]
  float *out;                             // [B, ⌈H / stride⌉, ⌈W / stride⌉, narrow]
  const float *expand, *expand_bias;      // panels of [input, 64], [inner]; or null: `x` is as wide as `inner` and wide already
  const float *depthwise, *depthwise_bias; // [kernel, kernel, inner], [inner]
  const float *project, *project_bias;    // panels of [channels, 64], [output]
  float *room;                            // for each piece of work: [room_step]
  int64_t room_step;
  int64_t batch, height, width;
  int64_t input, channels, narrow; // channels in, within, out
  int64_t kernel, stride, top, left;
  int64_t rows; // rows of a band, of what comes out
  int64_t pieces;
  int64_t activation;
  int64_t residual; // `x` is added
};

namespace {

INLINE int64_t whole(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

constexpr int64_t WIDE = 4; // vectors of a panel

// Where the places of a product come from and go to.
struct Places {
  const float *x;
  int64_t step; // from one place to the next
  float *to;
  int64_t to_step, columns; // columns: numbers of a place that there is room for
  int64_t line, skip;       // after so many places, so many more numbers to the next one
  const float *onto;        // added last, step by step as `to` without skips; or null
};

template <int64_t activation, int R, int V>
INLINE void tile(const Places &p, int64_t first, const float *w, const float *bias, int64_t k) {
  F s[R][V];
  for (int v = 0; v < V; ++v)
    for (int r = 0; r < R; ++r) s[r][v] = load(bias + v * LANES);
  const float *x = p.x + first * p.step;
  for (int64_t i = 0; i < k; ++i, w += V * LANES)
    for (int r = 0; r < R; ++r) {
      const F a = all(x[r * p.step + i]);
      for (int v = 0; v < V; ++v) s[r][v] += a * load(w + v * LANES);
    }
  int64_t line = first / p.line, at = first - line * p.line;
  float *to = p.to + first * p.to_step + line * p.skip;
  const float *onto = p.onto ? p.onto + first * p.to_step : nullptr;
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) {
      const int64_t left = p.columns - v * LANES;
      F y = activate<activation>(s[r][v]);
      if (left >= LANES) {
        if (onto) y += load(onto + v * LANES);
        store(to + v * LANES, y);
      } else {
        if (onto) y += load_part(onto + v * LANES, left, 0);
        store_part(to + v * LANES, left, y);
      }
    }
    to += p.to_step;
    if (onto) onto += p.to_step;
    if (++at == p.line) at = 0, to += p.skip;
  }
}

template <int64_t activation, int R, int V>
INLINE int64_t tiles(const Places &p, int64_t first, int64_t n, const float *w, const float *bias, int64_t k) {
  for (; first + R <= n; first += R) tile<activation, R, V>(p, first, w, bias, k);
  return first;
}

template <int64_t activation, int V, int MOST_ROWS>
static void panel(const Places &p, int64_t n, const float *w, const float *bias, int64_t k) {
  int64_t i = tiles<activation, MOST_ROWS, V>(p, 0, n, w, bias, k);
  i = tiles<activation, 4, V>(p, i, n, w, bias, k);
  i = tiles<activation, 2, V>(p, i, n, w, bias, k);
  tiles<activation, 1, V>(p, i, n, w, bias, k);
}

// `n` places of `k` numbers each, times `w`, panels of [k, 64] (the last one of as many vectors as are left).
template <int64_t activation>
static void product(Places p, int64_t n, const float *w, const float *bias, int64_t k, int64_t columns) {
  for (int64_t first = 0; first < columns; first += WIDE * LANES) {
    const int64_t vectors = (columns - first + LANES - 1) / LANES;
    switch (vectors < WIDE ? vectors : WIDE) {
    case 1:
      panel<activation, 1, 12>(p, n, w, bias, k);
      break;
    case 2:
      panel<activation, 2, 12>(p, n, w, bias, k);
      break;
    case 3:
      panel<activation, 3, 8>(p, n, w, bias, k);
      break;
    default:
      panel<activation, 4, 6>(p, n, w, bias, k);
    }
    w += k * WIDE * LANES, bias += WIDE * LANES, p.to += WIDE * LANES, p.columns -= WIDE * LANES;
    if (p.onto) p.onto += WIDE * LANES;
  }
}

// N places side by side of one row, one vector of channels.
template <int64_t activation, int N>
INLINE void see(const float *x, int64_t line, int64_t inner, int64_t kernel, int64_t stride, const float *w, F bias, float *to) {
  F s[N];
  for (auto &v : s) v = bias;
  for (int64_t i = 0; i < kernel; ++i, x += line) {
    const float *at = x;
    for (int64_t j = 0; j < kernel; ++j, at += inner, w += inner) {
      const F a = load(w);
      for (int n = 0; n < N; ++n) s[n] += a * load(at + n * stride * inner);
    }
  }
  for (int n = 0; n < N; ++n) store(to + n * inner, activate<activation>(s[n]));
}

template <int64_t activation, int KERNEL, int STRIDE>
INLINE void depthwise(const Bottleneck &b, const float *wide, int64_t line, int64_t width, float *to) {
  const int64_t inner = whole(b.channels);
  for (int64_t c = 0; c < inner; c += LANES) {
    const F bias = load(b.depthwise_bias + c);
    int64_t n = 0;
    const auto from = [&] { return wide + n * STRIDE * inner + c; };
    for (; n + 4 <= width; n += 4)
      see<activation, 4>(from(), line, inner, KERNEL, STRIDE, b.depthwise + c, bias, to + n * inner + c);
    for (; n < width; ++n)
      see<activation, 1>(from(), line, inner, KERNEL, STRIDE, b.depthwise + c, bias, to + n * inner + c);
  }
}

INLINE void zero(float *to, int64_t n) { __builtin_memset(to, 0, n * sizeof(float)); }

// Band after band of those from `begin` to `end`, whose room is `room`.
template <int64_t activation> static void bands(const Bottleneck &b, int64_t begin, int64_t end, float *room) {
  const int64_t inner = whole(b.channels), height = (b.height + b.stride - 1) / b.stride, width = (b.width + b.stride - 1) / b.stride;
  const int64_t count = (height + b.rows - 1) / b.rows;
  // A row of what is wide with the zeros on both ends.
  const int64_t line = ((width - 1) * b.stride + b.kernel > b.left + b.width ? (width - 1) * b.stride + b.kernel : b.left + b.width) * inner;
  const int64_t most = (b.rows - 1) * b.stride + b.kernel;
  float *wide = room, *seen = room + most * line;
  zero(wide, most * line);
  int64_t have = 0, upto = 0; // rows of the image that `wide` holds
  for (int64_t index = begin; index < end; ++index) {
    const int64_t image = index / count, first = index % count * b.rows, last = first + b.rows < height ? first + b.rows : height;
    const int64_t above = first * b.stride - b.top, below = above + (last - first - 1) * b.stride + b.kernel;
    // What the band before has widened already stays, moved to the beginning.
    int64_t next = above;
    if (index > begin && first > 0 && upto > above && have <= above) {
      __builtin_memmove(wide, wide + (above - have) * line, (upto - above) * line * sizeof(float));
      next = upto;
    }
    const float *x = b.x + image * b.height * b.width * b.input;
    const int64_t from = next < 0 ? 0 : next, to = below < b.height ? below : b.height;
    if (next < 0) zero(wide, -next * line);
    if (to > from) {
      float *at = wide + (from - above) * line + b.left * inner;
      if (b.expand) {
        const Places p{x + from * b.width * b.input, b.input, at, inner, inner, b.width, line - b.width * inner, nullptr};
        product<activation>(p, (to - from) * b.width, b.expand, b.expand_bias, b.input, inner);
      } else {
        for (int64_t row = from; row < to; ++row, at += line)
          for (int64_t i = 0; i < b.width; ++i)
            __builtin_memcpy(at + i * inner, x + (row * b.width + i) * b.input, b.input * sizeof(float));
      }
    }
    if (below > b.height) {
      const int64_t rest = below - (b.height > next ? b.height : next);
      zero(wide + (below - rest - above) * line, rest * line);
    }
    have = above, upto = below;
    for (int64_t row = first; row < last; ++row) {
      const float *of = wide + (row - first) * b.stride * line;
      float *to = seen + (row - first) * width * inner;
      if (b.kernel == 3 && b.stride == 1) depthwise<activation, 3, 1>(b, of, line, width, to);
      else if (b.kernel == 3) depthwise<activation, 3, 2>(b, of, line, width, to);
      else if (b.stride == 1) depthwise<activation, 5, 1>(b, of, line, width, to);
      else depthwise<activation, 5, 2>(b, of, line, width, to);
    }
    const int64_t place = (image * height + first) * width;
    const float *onto = b.residual ? b.x + place * b.narrow : nullptr;
    const Places p{seen, inner, b.out + place * b.narrow, b.narrow, b.narrow, INT64_MAX, 0, onto};
    product<NONE>(p, (last - first) * width, b.project, b.project_bias, b.channels, b.narrow);
  }
}

} // namespace

extern "C" {

// Pieces of work from `begin` to `end`, each of as many bands as any other.
void NAME(ute_bottleneck)(int64_t begin, int64_t end, void *given) {
  const auto &b = *static_cast<const Bottleneck *>(given);
  const int64_t height = (b.height + b.stride - 1) / b.stride, all = (height + b.rows - 1) / b.rows * b.batch;
  for (int64_t piece = begin; piece < end; ++piece) {
    const int64_t first = all * piece / b.pieces, last = all * (piece + 1) / b.pieces;
    float *room = b.room + piece * b.room_step;
    switch (b.activation) {
    case RELU:
      bands<RELU>(b, first, last, room);
      break;
    case RELU6:
      bands<RELU6>(b, first, last, room);
      break;
    case SILU:
      bands<SILU>(b, first, last, room);
      break;
    }
  }
}

} // extern "C"
