// Vectors of 16 floats and aligned buffers, for every kernel of this library.
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

inline v16 reciprocal(v16 x) {  // for normal numbers, to a relative error of about 1e-7
#if defined(__AVX512F__)
  const v16 y = reinterpret_cast<v16>(_mm512_rcp14_ps(reinterpret_cast<__m512>(x)));
  return y * (2.0f - x * y);  // one Newton step, faster than a division
#else
  return 1.0f / x;
#endif
}

// Computes exp to a relative error of about 1e-7 (Cephes polynomial), with arguments clamped to [-87, 87].
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

template <class T>
struct Array {  // zeroed, 64-byte aligned
  std::unique_ptr<T, decltype(&std::free)> memory{nullptr, &std::free};
  void resize(size_t n) {
    const size_t bytes = (n * sizeof(T) + 64 + 63) / 64 * 64;
    memory.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
    if (!memory) throw std::bad_alloc();
    std::memset(memory.get(), 0, bytes);
  }
  T* data() const { return memory.get(); }
  operator T*() const { return data(); }
};
typedef Array<float> Buffer;

class FlushDenormals {  // set per thread: denormal numbers cost a hundred cycles each and do not matter here
#if defined(__SSE__)
  unsigned saved = _mm_getcsr();
 public:
  FlushDenormals() { _mm_setcsr(saved | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved); }
#endif
};

}  // namespace
