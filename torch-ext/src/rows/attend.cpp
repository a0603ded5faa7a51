// Attention whose every number is summed in one order: a token's result depends neither on its neighbours in the batch nor on how far
// they pad it. `attend.rs` is the Rust face.

#include "lanes.h"

struct Attend {
  const float *q, *k, *v; // [B, H, T, D], [B, G, S, D], D side by side, G a divisor of H
  float *out;             // [B, T, H, D]
  const uint8_t *seen;    // [B, H, T, S], 0 where a query does not see a key; or null
  const float *added;     // [B, H, T, S], added to the scores; or null
  int64_t q_step[3], k_step[3], v_step[3]; // from one to the next of a batch, of heads, of tokens
  int64_t mask_step[3];                    // the same of `seen` or `added`: 0 where it is one for all
  int64_t heads, groups, queries, keys, width;
  int64_t causal;
  float scale;
};

namespace {

constexpr int64_t ROWS = 4;    // queries that go through the products together
constexpr int64_t BLOCK = 64;  // queries of one piece of work
constexpr int64_t CHUNK = 128; // keys that are looked at together
constexpr int64_t WIDEST = 256;

// What the processor has registers of: the sums of a product stay in them.
#if defined(__AVX512F__)
constexpr int NATIVE = 16, WIDE = 4;
#elif defined(__AVX__)
constexpr int NATIVE = 8, WIDE = 1;
#else
constexpr int NATIVE = 4, WIDE = 1;
#endif
constexpr int PARTS = LANES / NATIVE;
typedef float V __attribute__((vector_size(4 * NATIVE), aligned(4)));

// sums[r][n] = Σ_k a[r][k] · b[k][NATIVE n ..]; each sum in the order of k, whatever R and N.
template <int R, int N>
INLINE void product(const float *const *a, const float *b, int64_t b_step, int64_t k, V (&sums)[R][N]) {
  for (auto &row : sums)
    for (auto &s : row) s = V{};
  for (int64_t i = 0; i < k; ++i, b += b_step)
    for (int n = 0; n < N; ++n) {
      const V v = *reinterpret_cast<const V *>(b + n * NATIVE);
      for (int r = 0; r < R; ++r) sums[r][n] += a[r][i] * v;
    }
}

// The scores of the keys in N vectors from `j` on, as long as so many are left: where it ends.
template <int R, int N>
INLINE int64_t score(const Attend &a, const float *const *of, const float *turned, int64_t vectors, int64_t j,
                     float (&scores)[ROWS][CHUNK]) {
  for (; j + N <= vectors; j += N) {
    V s[R][N * PARTS];
    product<R, N * PARTS>(of, turned + j * LANES, CHUNK, a.width, s);
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < N * PARTS; ++n)
        *reinterpret_cast<V *>(scores[r] + j * LANES + n * NATIVE) = s[r][n] * a.scale;
  }
  return j;
}

// The weighted values of `keys` tokens in N vectors from `d` on, added to what is `kept` of the sums, as long as so many are left: where it ends.
template <int R, int N>
INLINE int64_t gather(const Attend &a, const float *const *weights, const float *v, int64_t keys, int64_t d,
                      const float *kept, float *const *to) {
  for (; d + (N - 1) * LANES < a.width; d += N * LANES) {
    V s[R][N * PARTS];
    product<R, N * PARTS>(weights, v + d, a.v_step[2], keys, s);
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < N * PARTS; ++n) {
        V *p = reinterpret_cast<V *>(to[r] + d + n * NATIVE);
        *p = *p * kept[r] + s[r][n];
      }
  }
  return d;
}

// Of sixteen vectors: those whose numbers differ in bit BIT of their places change places across the pair of vectors that differs in it.
template <int BIT>
INLINE void swap(F (&rows)[LANES]) {
#define LOW(l) ((l) & BIT ? (l) - BIT + LANES : (l))
#define HIGH(l) ((l) & BIT ? (l) + LANES : (l) + BIT)
#define PLACES(of) of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7), of(8), of(9), of(10), of(11), of(12), of(13), of(14), of(15)
  for (int i = 0; i < LANES; ++i)
    if (!(i & BIT)) {
      const F a = rows[i], b = rows[i + BIT];
      rows[i] = SHUFFLE(a, b, PLACES(LOW)), rows[i + BIT] = SHUFFLE(a, b, PLACES(HIGH));
    }
#undef LOW
#undef HIGH
#undef PLACES
}

// `keys` rows of `width` → `to` [width, CHUNK], zeros after the last key.
INLINE void transpose(const float *k, int64_t step, int64_t keys, int64_t width, float *to) {
  for (int64_t j = 0; j < keys; j += LANES)
    for (int64_t d = 0; d < width; d += LANES) {
      F rows[LANES];
      for (int64_t i = 0; i < LANES; ++i) rows[i] = j + i < keys ? load(k + (j + i) * step + d) : F{};
      swap<1>(rows), swap<2>(rows), swap<4>(rows), swap<8>(rows);
      for (int64_t i = 0; i < LANES; ++i) store(to + (d + i) * CHUNK + j, rows[i]);
    }
}

// What of a chunk's scores a query sees.
INLINE void hide(const Attend &a, const uint8_t *seen, const float *added, int64_t query, int64_t first, int64_t keys,
                 float *scores) {
  const int64_t last = a.causal ? query + a.keys - a.queries - first + 1 : keys;
  const int64_t n = last < keys ? (last < 0 ? 0 : last) : keys;
  if (seen) {
    for (int64_t j = 0; j < n; ++j) scores[j] = seen[first + j] ? scores[j] : -INF;
  } else if (added) {
    for (int64_t j = 0; j < n; ++j) scores[j] += added[first + j];
  }
  const int64_t all = (keys + LANES - 1) / LANES * LANES;
  for (int64_t j = n; j < all; ++j) scores[j] = -INF;
}

// The keys up to the last that anything of sample `b` sees, where all its queries see the same.
INLINE int64_t seen_keys(const Attend &a, int64_t b) {
  int64_t n = a.keys;
  if (a.seen && a.mask_step[1] == 0 && a.mask_step[2] == 0)
    while (n > 0 && !a.seen[b * a.mask_step[0] + n - 1]) --n;
  return n;
}

// What is known of a block of queries after some of the keys.
struct Block {
  float sums[BLOCK][WIDEST], most[BLOCK], total[BLOCK];
};

// `R` queries from `i` on, and a chunk of `n` keys from `first` on, whose transpose is `turned`.
template <int R>
INLINE void look(const Attend &a, Block &block, int64_t b, int64_t h, int64_t start, int64_t i, int64_t first, int64_t n,
                 const float *q, const float *turned, const float *values) {
  alignas(64) float scores[ROWS][CHUNK];
  const int64_t vectors = (n + LANES - 1) / LANES;
  const float *of[R], *weights[R];
  float *to[R], kept[R];
  for (int64_t r = 0; r < R; ++r) of[r] = q + (i + r) * a.q_step[2];
  score<R, 1>(a, of, turned, vectors, score<R, WIDE>(a, of, turned, vectors, 0, scores), scores);
  for (int64_t r = 0; r < R; ++r) {
    const int64_t query = i + r, at = query - start;
    const int64_t mask = b * a.mask_step[0] + h * a.mask_step[1] + query * a.mask_step[2];
    weights[r] = scores[r], to[r] = block.sums[at];
    hide(a, a.seen ? a.seen + mask : nullptr, a.added ? a.added + mask : nullptr, query, first, n, scores[r]);
    F high = all(block.most[at]);
    for (int64_t c = 0; c < vectors; ++c) high = max(load(scores[r] + c * LANES), high);
    float top = high[0];
    for (int64_t l = 1; l < LANES; ++l) top = high[l] > top ? high[l] : top;
    // Nothing seen yet: any number that is not infinite will do.
    const float from = top == -INF ? 0 : top;
    kept[r] = block.most[at] == -INF ? 0 : exp(all(block.most[at] - from))[0];
    F added = F{};
    for (int64_t c = 0; c < vectors; ++c) {
      const F s = load(scores[r] + c * LANES);
      const F w = s == -INF ? F{} : exp(s - from);
      added += w;
      store(scores[r] + c * LANES, w);
    }
    block.most[at] = top, block.total[at] = block.total[at] * kept[r] + sum(added);
  }
  int64_t d = gather<R, WIDE>(a, weights, values, n, 0, kept, to);
  if (WIDE > 2) d = gather<R, 2>(a, weights, values, n, d, kept, to);
  gather<R, 1>(a, weights, values, n, d, kept, to);
}

// One block of queries of one head, chunk after chunk of the keys (Milakov & Gimelshein 2018).
INLINE void attend(const Attend &a, int64_t b, int64_t h, int64_t start) {
  alignas(64) float turned[WIDEST * CHUNK];
  alignas(64) Block block;
  const int64_t g = h / (a.heads / a.groups), end = start + BLOCK < a.queries ? start + BLOCK : a.queries;
  const int64_t keys = seen_keys(a, b);
  const float *q = a.q + b * a.q_step[0] + h * a.q_step[1];
  const float *k = a.k + b * a.k_step[0] + g * a.k_step[1];
  const float *v = a.v + b * a.v_step[0] + g * a.v_step[1];
  for (int64_t i = 0; i < end - start; ++i) {
    block.most[i] = -INF, block.total[i] = 0;
    for (int64_t d = 0; d < a.width; d += LANES) store(block.sums[i] + d, F{});
  }
  for (int64_t first = 0; first < keys; first += CHUNK) {
    if (a.causal && first > end - 1 + a.keys - a.queries) break;
    const int64_t n = keys - first < CHUNK ? keys - first : CHUNK;
    const float *values = v + first * a.v_step[2];
    transpose(k + first * a.k_step[2], a.k_step[2], n, a.width, turned);
    int64_t i = start;
    for (; i + ROWS <= end; i += ROWS) look<ROWS>(a, block, b, h, start, i, first, n, q, turned, values);
    for (; i < end; ++i) look<1>(a, block, b, h, start, i, first, n, q, turned, values);
  }
  for (int64_t i = start; i < end; ++i) {
    float *out = a.out + ((b * a.queries + i) * a.heads + h) * a.width;
    // A query that sees nothing gets nothing.
    const float share = block.total[i - start] == 0 ? 0 : 1 / block.total[i - start];
    for (int64_t d = 0; d < a.width; d += LANES) store(out + d, load(block.sums[i - start] + d) * share);
  }
}

} // namespace

extern "C" {

void NAME(ute_attend)(int64_t begin, int64_t end, void *given) {
  const auto &a = *static_cast<const Attend *>(given);
  const int64_t blocks = (a.queries + BLOCK - 1) / BLOCK;
  for (int64_t i = begin; i < end; ++i)
    attend(a, i / (a.heads * blocks), i / blocks % a.heads, i % blocks * BLOCK);
}

} // extern "C"
