// Vectors of sixteen numbers, which the compiler cuts into what the processor has, for the kernels beside this file. build.rs compiles each
// of them once for every set of instructions, under names that end in UNISONO_ISA; `mod.rs` takes the best that the processor has.
//
// No header of libtorch or of the C++ library is included: an inline function from one, compiled here for AVX-512, might be the copy that
// the linker keeps for everybody.

#pragma once

#include <stdint.h>

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define NAME(name) JOIN(name, UNISONO_ISA)
#define INLINE static inline __attribute__((always_inline))

// Sixteen of the thirty-two numbers of two vectors, by their places.
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, I{__VA_ARGS__})
#endif

namespace {

constexpr int64_t LANES = 16;
typedef float F __attribute__((vector_size(64), aligned(4)));
typedef int32_t I __attribute__((vector_size(64), aligned(4)));
typedef uint8_t B __attribute__((vector_size(16), aligned(1)));
typedef int8_t S __attribute__((vector_size(16), aligned(1)));

constexpr float INF = __builtin_inff();

// erf(x) ≈ x P(x²) / Q(x²) up to ERF_END, where it is 1 to the last place: fitted in double precision to 6e-8.
constexpr float ERF_END = 4.0f;
constexpr float ERF_P[] = {1.12837868f,     0.213942672f,     0.0524332073f, 0.00429295941f,
                           0.000155533927f, -1.99029899e-06f, 1.92170674e-08f};
constexpr float ERF_Q[] = {1.0f, 0.522929414f, 0.120798787f, 0.0155509157f, 0.00109801302f};

INLINE F all(float v) { return F{} + v; }
INLINE F min(F a, F b) { return a < b ? a : b; }
INLINE F max(F a, F b) { return a > b ? a : b; }
INLINE F load(const float *p) { return *reinterpret_cast<const F *>(p); }
INLINE void store(float *p, F v) { *reinterpret_cast<F *>(p) = v; }

// The first `n` of sixteen; the others are `rest`.
INLINE F load_part(const float *p, int64_t n, float rest) {
  F v = all(rest);
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
INLINE void store_part(float *p, int64_t n, F v) {
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

INLINE float sum(F v) {
  float s = 0;
  for (int64_t i = 0; i < LANES; ++i) s += v[i];
  return s;
}

// e^x to a unit in the last place or two; below -87 the smallest normal number, above 87 the largest. NaN stays NaN.
INLINE F exp(F x) {
  x = x < -87.0f ? all(-87.0f) : x;
  x = x > 87.0f ? all(87.0f) : x;
  // Added to 1.5 · 2^23, a number's integer part is the low bits of the sum.
  const F shifted = x * 1.44269504f + 12582912.0f;
  const F n = shifted - 12582912.0f;
  const F r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  F y = all(1.0f / 5040);
  y = y * r + 1.0f / 720;
  y = y * r + 1.0f / 120;
  y = y * r + 1.0f / 24;
  y = y * r + 1.0f / 6;
  y = y * r + 0.5f;
  y = y * r + 1.0f;
  y = y * r + 1.0f;
  const I power = (reinterpret_cast<const I &>(shifted) << 23) + 0x3f800000;
  return y * reinterpret_cast<const F &>(power);
}

INLINE F sigmoid(F x) { return 1.0f / (1.0f + exp(-x)); }

// The error function, within 5e-7.
INLINE F erf(F x) {
  x = min(max(x, all(-ERF_END)), all(ERF_END));
  const F s = x * x;
  F p = all(ERF_P[6]), q = all(ERF_Q[4]);
  for (int i = 5; i >= 0; --i) p = p * s + ERF_P[i];
  for (int i = 3; i >= 0; --i) q = q * s + ERF_Q[i];
  return x * p / q;
}

} // namespace
