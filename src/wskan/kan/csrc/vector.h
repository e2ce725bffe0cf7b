// Vectors of 16 floats, aligned buffers, random numbers and Adam's step.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>
#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace {

typedef float v16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t i16 __attribute__((vector_size(64), aligned(4), may_alias));

inline v16 load(const float* p) { return *reinterpret_cast<const v16*>(p); }
inline void store(float* p, v16 v) { *reinterpret_cast<v16*>(p) = v; }
inline v16 splat(float x) { return v16{} + x; }

inline float sum(v16 v) {
  typedef float v8 __attribute__((vector_size(32)));
  typedef float v4 __attribute__((vector_size(16)));
  v8 a, b;
  std::memcpy(&a, &v, 32);
  std::memcpy(&b, reinterpret_cast<const char*>(&v) + 32, 32);
  a += b;
  v4 c, d;
  std::memcpy(&c, &a, 16);
  std::memcpy(&d, reinterpret_cast<const char*>(&a) + 16, 16);
  c += d;
  return (c[0] + c[2]) + (c[1] + c[3]);
}

inline v16 square_root(v16 v) {
#if defined(__AVX512F__)
  return reinterpret_cast<v16>(_mm512_sqrt_ps(reinterpret_cast<__m512>(v)));
#else
  for (int i = 0; i < 16; ++i) v[i] = std::sqrt(v[i]);
  return v;
#endif
}

// exp to about 1e-7 relative (Cephes polynomial), for arguments clamped to [-87, 87].
inline v16 exponential(v16 x) {
  x = x > 87.0f ? splat(87.0f) : x;
  x = x < -87.0f ? splat(-87.0f) : x;
  const float magic = 12582912.0f;  // adding it rounds to the nearest integer
  v16 shifted = x * 1.44269504088896341f + magic;
  v16 n = shifted - magic;
  v16 r = x - n * 0.693359375f + n * 2.12194440e-4f;
  v16 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  i16 bits;
  std::memcpy(&bits, &shifted, 64);
  bits = (bits - 0x4B400000 + 127) << 23;
  v16 scale;
  std::memcpy(&scale, &bits, 64);
  return p * scale;
}

// to[j][i] = from[i][j], for n rows of m numbers.
__attribute__((noinline)) void transpose(const float* from, int from_stride, int n, int m, float* to, int to_stride) {
  for (int j = 0; j < m; j += 16)
    for (int i = 0; i < n; i += 16)
      for (int b = j; b < std::min(j + 16, m); ++b)
        for (int a = i; a < std::min(i + 16, n); ++a) to[b * to_stride + a] = from[a * from_stride + b];
}

inline uint64_t splitmix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;

// The same mini-batch as wskan.kan.minibatches: a partial Fisher-Yates shuffle that depends on (seed, step) alone.
__attribute__((noinline)) void minibatch(uint64_t seed, int64_t step, int64_t n, int64_t batch, std::vector<int32_t>& order) {
  for (int64_t i = 0; i < n; ++i) order[i] = int32_t(i);
  if (batch >= n) return;
  const uint64_t base = splitmix64(seed + kGolden);
  for (int64_t i = 0; i < batch; ++i) {
    const uint64_t random = splitmix64(base + kGolden * uint64_t(step * batch + i + 1)) >> 32;
    std::swap(order[i], order[i + int64_t((random * uint64_t(n - i)) >> 32)]);
  }
}

struct Buffer {  // zeroed, 64-byte aligned
  std::unique_ptr<float, decltype(&std::free)> data{nullptr, &std::free};
  void resize(size_t n) {
    const size_t bytes = (n * sizeof(float) + 64 + 63) / 64 * 64;
    data.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!data) throw std::bad_alloc();
    std::memset(data.get(), 0, bytes);
  }
  operator float*() { return data.get(); }
};

constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEps = 1e-8f;  // torch.optim.Adam's defaults

struct AdamStep {
  float rate, correction;  // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  inline v16 operator()(v16 w, v16 g, float* m, float* v) const {
    const v16 first = load(m) + (g - load(m)) * (1 - kBeta1);
    const v16 second = load(v) * kBeta2 + g * g * (1 - kBeta2);
    store(m, first);
    store(v, second);
    return w - rate * first / (square_root(second) * correction + kEps);
  }
  inline void operator()(float& w, float g, float& m, float& v) const {
    m += (g - m) * (1 - kBeta1);
    v = v * kBeta2 + g * g * (1 - kBeta2);
    w -= rate * m / (std::sqrt(v) * correction + kEps);
  }
};

}  // namespace
