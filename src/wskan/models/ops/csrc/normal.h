// Normalisation of edges, and the sum of the normalised values of a graph's edges.
#pragma once

#include "rows.h"

extern "C" {

struct NormalSums {
  int64_t graphs, edges;
  int32_t bfloat16, f, threads;
  float eps;
  const void *x, *mask;  // [B, E, f], [B, E] or null
  float* sums;           // [B, f], zeroed
  const float* d_sums;
  const void* through;   // [B, E, f], other gradients of x, or null
  void* d_x;             // [B, E, f]
};
}

namespace {

// The sum of each of 16 vectors, in order.
inline v16 sums_of(const v16 x[kStrip]) {
  v16 out;
#if defined(__AVX512F__)
  __m512 y[16], z[8];
  const auto add = [](__m512 a, __m512 b) { return _mm512_add_ps(a, b); };
  for (int i = 0; i < 16; ++i) y[i] = reinterpret_cast<__m512>(x[i]);
  for (int i = 0; i < 8; ++i)
    z[i] = add(_mm512_unpacklo_ps(y[2 * i], y[2 * i + 1]), _mm512_unpackhi_ps(y[2 * i], y[2 * i + 1]));
  const auto fours = [&](int i) {
    const __m512d a = _mm512_castps_pd(z[i]), b = _mm512_castps_pd(z[i + 1]);
    return add(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  };
  const auto lanes = [&](__m512 a, __m512 b) {
    return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  };
  out = reinterpret_cast<v16>(lanes(lanes(fours(0), fours(2)), lanes(fours(4), fours(6))));
#else
  for (int i = 0; i < 16; ++i) out[i] = sum(x[i]);
#endif
  return out;
}

template <class T>
struct Strip {  // at most 16 contiguous rows of f numbers, with the mean and 1 / deviation of each
  const T* x;
  int rows, f;
  float *mean, *scale;  // [16]

  v16 normal(int r, int c) const { return (load(x + int64_t(r) * f + c) - mean[r]) * scale[r]; }

  void measure(float eps) const {
    v16 part[kStrip] = {};
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < f; c += 16) part[r] += load(x + int64_t(r) * f + c);
    store(mean, sums_of(part) / float(f));
    for (int r = 0; r < rows; ++r) {
      part[r] = v16{};
      for (int c = 0; c < f; c += 16) {
        const v16 d = load(x + int64_t(r) * f + c) - mean[r];
        part[r] += d * d;
      }
    }
    store(scale, 1.0f / square_root(sums_of(part) / float(f) + eps));
  }

  // Gradients of the rows from those of their normalised values (`ld` numbers from row to row), plus `residual`.
  void backward(const float* gradient, int ld, const T* residual, T* out) const {
    v16 total[kStrip] = {}, along[kStrip] = {};
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < f; c += 16) {
        const v16 g = load(gradient + int64_t(r) * ld + c);
        total[r] += g;
        along[r] += g * normal(r, c);
      }
    alignas(64) float shift[kStrip], slope[kStrip];
    store(shift, sums_of(total) / float(f));
    store(slope, sums_of(along) / float(f));
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < f; c += 16) {
        const v16 d = (load(gradient + int64_t(r) * ld + c) - shift[r] - normal(r, c) * slope[r]) * scale[r];
        store(out + int64_t(r) * f + c, residual ? d + load(residual + int64_t(r) * f + c) : d);
      }
  }
};

struct Nothing {  // weights and scratch of a pass that needs none
  template <class Block>
  Nothing(const Block&, bool) {}
  template <class Block>
  void add_to(const Block&) {}
};

// Visits each strip of a graph's edges, with mean and deviation computed, and the number of its first edge among all.
template <class T, class Visit>
void over_strips(const NormalSums& b, int64_t g, Visit visit) {
  alignas(64) float mean[kStrip], scale[kStrip];
  for (int64_t begin = 0; begin < b.edges; begin += kStrip) {
    const int64_t first = g * b.edges + begin;
    const Strip<T> strip{row<T>(b.x, first, b.f), int(std::min<int64_t>(kStrip, b.edges - begin)), b.f, mean, scale};
    strip.measure(b.eps);
    visit(strip, first, row<uint8_t>(b.mask, first, 1));
  }
}

template <class T>
void normal_sums_forward(const NormalSums& b, const Nothing&, Nothing&, int64_t g) {
  float* sums = b.sums + g * b.f;
  over_strips<T>(b, g, [&](const Strip<T>& strip, int64_t, const uint8_t* mask) {
    for (int c = 0; c < b.f; c += 16) {
      v16 total = load(sums + c);
      for (int r = 0; r < strip.rows; ++r)
        if (!mask || mask[r]) total += strip.normal(r, c);
      store(sums + c, total);
    }
  });
}

template <class T>
void normal_sums_backward(const NormalSums& b, const Nothing&, Nothing&, int64_t g) {
  over_strips<T>(b, g, [&](const Strip<T>& strip, int64_t first, const uint8_t* mask) {
    const T* through = row<T>(b.through, first, b.f);
    T* d_x = static_cast<T*>(b.d_x) + first * b.f;
    strip.backward(b.d_sums + g * b.f, 0, through, d_x);
    for (int r = 0; r < strip.rows; ++r)
      if (mask && !mask[r])
        for (int c = 0; c < b.f; c += 16) store(d_x + r * b.f + c, through ? load(through + r * b.f + c) : v16{});
  });
}

}  // namespace
