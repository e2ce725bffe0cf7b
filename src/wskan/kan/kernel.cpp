// Trains B-spline KANs, one KAN a thread, everything in cache.
//
// A sample touches only the k+1 basis functions that are not zero at its x. For each input neuron the mini-batch is sorted by knot interval, so that inside a
// "bucket" the k+1 rows of coefficients are constant: they stay in registers while its samples stream past. On an interval each basis function is one
// polynomial of degree k, tabulated whenever the knots move, so evaluating the basis is Horner's rule, 16 samples at a time.
//
// Rows of coefficients are contiguous in the output neuron and padded to a multiple of 16 ("wide" layers); layers of at most 4 outputs are vectorised over
// samples instead ("narrow"). Plain C++17 with the vector extensions of gcc and clang; any instruction set. The arithmetic of a KAN never
// depends on the other KANs or on the number of threads, so its result is the same to the bit.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <thread>
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

struct Problem {  // everything the KANs have in common
  int32_t layers, grid, degree, base, loss;
  const int32_t* widths;
  float **base_weight, **spline_weight, **coef, **mask, **knots;  // of each layer, [K, ...]
  int64_t points, batch, steps;
  const float* inputs;
  int64_t input_stride;  // 0 when all KANs share the inputs
  const float* targets;  // [K, N, out] for the mean squared error
  const int64_t* labels; // [K, N] for cross-entropy
  const uint64_t* seeds;
  const float* rates;    // learning rate of each step
  const uint8_t* adapt;  // whether a step begins with a grid update
  float grid_eps;
  double* losses;
};

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

template <int K>
struct LayerState {
  static constexpr int R = K + 1;  // basis functions that are not zero on an interval
  int I, O, OP, C, T, B, POS, rows, base_kind;
  bool wide;
  Buffer base, spline, coef, mask, wb, E, dE, dbase, mb, vb, ms, vs, mc, vc;  // [I][OP], [I][C][OP], E and dE [I][C+2K][OP]
  Buffer knots, poly, origin, inverse;                                          // [I][T], [I][T+1][R][R], [I][T+1] twice
  Buffer X, Y, dY, dX;                                                          // [I][B], [B][OP], [B][OP], [I][B]
  Buffer U, N, S, dS, scratch;                                                  // [I][POS], [I][R][POS], [I][POS] twice; scratch of one neuron
  std::vector<int32_t> order, start, count, bucket;                             // [I][POS], [I][T+1] twice, [B]

  void setup(int n_in, int n_out, int grid, int batch, int kind) {
    I = n_in; O = n_out; C = grid + K; T = grid + 2 * K + 1; B = batch; base_kind = kind;
    wide = O > 4;
    OP = wide ? (O + 15) / 16 * 16 : O;
    rows = C + 2 * K;
    POS = (B + 15) / 16 * 16 + 16 * (T + 2);
    for (Buffer* b : {&base, &spline, &mask, &wb, &dbase, &mb, &vb, &ms, &vs}) b->resize(I * OP);
    for (Buffer* b : {&coef, &mc, &vc}) b->resize(I * C * OP);
    E.resize(I * rows * OP); dE.resize(I * rows * OP);
    knots.resize(I * T); poly.resize(I * (T + 1) * R * R); origin.resize(I * (T + 1)); inverse.resize(I * (T + 1));
    X.resize(I * B + 16); Y.resize(B * OP + 16); dY.resize(B * OP + 16); dX.resize(I * B + 16);
    U.resize(I * POS); N.resize(I * R * POS); S.resize(I * POS); dS.resize(I * POS); scratch.resize((R + 6) * POS);
    order.assign(I * POS + 16, 0); start.assign(I * (T + 1), 0); count.assign(I * (T + 1), 0); bucket.assign(B + 16, 0);
  }

  void read(const float* b, const float* s, const float* c, const float* m, const float* t) {
    for (Buffer* z : {&mb, &vb, &ms, &vs}) std::memset(*z, 0, I * OP * sizeof(float));
    for (Buffer* z : {&mc, &vc}) std::memset(*z, 0, I * C * OP * sizeof(float));
    for (int p = 0; p < I; ++p)
      for (int q = 0; q < O; ++q) {
        const int edge = p * O + q;
        base[p * OP + q] = b[edge]; spline[p * OP + q] = s[edge]; mask[p * OP + q] = m[edge];
        for (int i = 0; i < C; ++i) coef[(p * C + i) * OP + q] = c[edge * C + i];
      }
    std::memcpy(knots, t, I * T * sizeof(float));
    for (int p = 0; p < I; ++p) tabulate(p);
    refresh();
  }

  void write(float* b, float* s, float* c, float* t) {
    for (int p = 0; p < I; ++p)
      for (int q = 0; q < O; ++q) {
        const int edge = p * O + q;
        b[edge] = base[p * OP + q]; s[edge] = spline[p * OP + q];
        for (int i = 0; i < C; ++i) c[edge * C + i] = coef[(p * C + i) * OP + q];
      }
    std::memcpy(t, knots, I * T * sizeof(float));
  }

  // E = spline_weight * mask * coef, with K rows of zeros before and after, and wb = base_weight * mask.
  void refresh() {
    for (int p = 0; p < I; ++p)
      for (int q = 0; q < OP; ++q) {
        const int j = p * OP + q;
        wb[j] = base[j] * mask[j];
        for (int i = 0; i < C; ++i) E[(p * rows + K + i) * OP + q] = coef[(p * C + i) * OP + q] * (spline[j] * mask[j]);
      }
  }

  // The polynomials of the K+1 basis functions on every interval, by Cox-de Boor (appendix B) in u = (x - t_j) / (t_{j+1} - t_j). Bucket c = j + 1 holds
  // interval j; buckets 0 and T are the outside of the extended knots, where every basis function is zero.
  void tabulate(int p) {
    const float* t = knots + p * T;
    float* table = poly + size_t(p) * (T + 1) * R * R;
    std::memset(table, 0, (T + 1) * R * R * sizeof(float));
    std::memset(origin + p * (T + 1), 0, (T + 1) * sizeof(float));
    std::memset(inverse + p * (T + 1), 0, (T + 1) * sizeof(float));
    for (int j = 0; j + 1 < T; ++j) {
      const double h = double(t[j + 1]) - t[j];
      if (!(h > 0)) continue;
      origin[p * (T + 1) + j + 1] = t[j];
      inverse[p * (T + 1) + j + 1] = float(1 / h);
      double now[R][R] = {}, next[R][R];
      now[K][0] = 1;  // slot r is basis function j - K + r
      for (int d = 1; d <= K; ++d) {
        std::memset(next, 0, sizeof(next));
        for (int r = K - d; r <= K; ++r) {
          const int i = j - K + r;
          if (i < 0 || i + d + 1 > T - 1) continue;
          const double left = double(t[i + d]) - t[i], right = double(t[i + d + 1]) - t[i + 1];
          if (left == 0 || right == 0) continue;  // as pykan: the whole 0/0 term is zero
          for (int e = 0; e < d; ++e) {
            next[r][e] += now[r][e] * (double(t[j]) - t[i]) / left;
            next[r][e + 1] += now[r][e] * h / left;
            if (r < K) {
              next[r][e] += now[r + 1][e] * (double(t[i + d + 1]) - t[j]) / right;
              next[r][e + 1] -= now[r + 1][e] * h / right;
            }
          }
        }
        std::memcpy(now, next, sizeof(now));
      }
      if (j > C - 1) {  // no such function K: its row is zero, so let it complete the sum to one, which backward() relies on
        std::memset(now[K], 0, sizeof(now[K]));
        now[K][0] = 1;
        for (int r = 0; r < K; ++r)
          for (int e = 0; e <= K; ++e) now[K][e] -= now[r][e];
      }
      for (int r = 0; r < R; ++r)
        for (int e = 0; e < R; ++e) table[((j + 1) * R + r) * R + e] = float(now[r][e]);
    }
  }

  int first_row(int c) const { return c > 0 && c < T ? c - 1 : 0; }

  // Sort the batch of neuron p into buckets, each beginning at a multiple of 16. Bucket c holds the x with t_{c-1} <= x < t_c.
  __attribute__((noinline)) void sort(int p) {
    const float *x = X + p * B, *t = knots + p * T;
    int32_t *pos = &order[p * POS], *first = &start[p * (T + 1)], *number = &count[p * (T + 1)], at = 0;
    float* sorted = scratch;
#if defined(__AVX512F__)
    const int blocks = (B + 15) / 16;
    uint16_t *below = reinterpret_cast<uint16_t*>(bucket.data()), *above = below + blocks;  // which samples reach the last knot, the next knot
    for (int i = 0; i < blocks; ++i) below[i] = uint16_t(i * 16 + 16 <= B ? 0xFFFF : (1 << (B - i * 16)) - 1);
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int c = 0; c <= T; ++c) {
      const __m512 edge = _mm512_set1_ps(t[std::min(c, T - 1)]);
      unsigned any = 0;
      for (int i = 0; i < blocks; ++i) {
        above[i] = c < T ? _mm512_mask_cmp_ps_mask(below[i], _mm512_loadu_ps(x + i * 16), edge, _CMP_GE_OQ) : 0;
        any |= below[i] ^ above[i];
      }
      first[c] = at;
      for (int i = 0; i < (any ? blocks : 0); ++i) {
        const __mmask16 here = below[i] ^ above[i];
        _mm512_storeu_ps(sorted + at, _mm512_maskz_compress_ps(here, _mm512_loadu_ps(x + i * 16)));
        _mm512_storeu_si512(pos + at, _mm512_maskz_compress_epi32(here, _mm512_add_epi32(lanes, _mm512_set1_epi32(i * 16))));
        at += __builtin_popcount(here);
      }
      std::swap(below, above);
      _mm512_storeu_ps(sorted + at, _mm512_setzero_ps());  // harmless numbers for unused lanes
      number[c] = at - first[c];
      at = first[c] + (number[c] + 15) / 16 * 16;
    }
#else
    int32_t* c = bucket.data();
    std::memset(c, 0, B * sizeof(int32_t));
    for (int j = 0; j < T; ++j) {
      const float edge = t[j];
      for (int b = 0; b < B; ++b) c[b] += x[b] >= edge;
    }
    std::memset(number, 0, (T + 1) * sizeof(int32_t));
    for (int b = 0; b < B; ++b) ++number[c[b]];
    for (int j = 0; j <= T; ++j) {
      first[j] = at;
      at += (number[j] + 15) / 16 * 16;
      number[j] = 0;
    }
    std::memset(sorted, 0, at * sizeof(float));  // harmless numbers for unused lanes
    for (int b = 0; b < B; ++b) {
      const int32_t to = first[c[b]] + number[c[b]]++;
      pos[to] = b;
      sorted[to] = x[b];
    }
#endif
  }

  // Values of the K+1 functions and of the base function, and the derivative of the latter, in sorted order.
  __attribute__((noinline)) void evaluate(int p) {
    const float* sorted = scratch;
    float *u = U + p * POS, *value = N + size_t(p) * R * POS, *s = S + p * POS, *ds = dS + p * POS;
    for (int c = 0; c <= T; ++c) {
      const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
      const float* a = poly + (size_t(p) * (T + 1) + c) * R * R;
      const float zero = origin[p * (T + 1) + c], scale = inverse[p * (T + 1) + c];
      for (int i = from; i < to; i += 16) {
        const v16 x = load(sorted + i), y = (x - zero) * scale;
        store(u + i, y);
        for (int r = 0; r < R; ++r) {
          v16 f = splat(a[r * R + K]);
          for (int e = K - 1; e >= 0; --e) f = f * y + a[r * R + e];
          store(value + r * POS + i, f);
        }
        if (base_kind == 0) {
          const v16 sigmoid = 1.0f / (1.0f + exponential(-x));
          store(s + i, x * sigmoid);
          store(ds + i, sigmoid * (1.0f + x * (1.0f - sigmoid)));
        } else {
          store(s + i, base_kind == 1 ? x : splat(0.0f));
          store(ds + i, splat(base_kind == 1 ? 1.0f : 0.0f));
        }
      }
    }
  }

  template <int V>
  void accumulate(int p, int block) {
    const float *value = N + size_t(p) * R * POS, *s = S + p * POS;
    const int32_t* pos = &order[p * POS];
    v16 w[V];
    for (int v = 0; v < V; ++v) w[v] = load(wb + p * OP + (block + v) * 16);
    for (int c = 0; c <= T; ++c) {
      const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
      if (from == to) continue;
      v16 e[R][V];
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) e[r][v] = load(E + (p * rows + first_row(c) + r) * OP + (block + v) * 16);
      for (int i = from; i < to; ++i) {
        float* y = Y + pos[i] * OP + block * 16;
        for (int v = 0; v < V; ++v) {
          v16 total = load(y + v * 16) + s[i] * w[v];
          for (int r = 0; r < R; ++r) total += value[r * POS + i] * e[r][v];
          store(y + v * 16, total);
        }
      }
    }
  }

  __attribute__((noinline)) void accumulate_narrow(int p) {
    const float *value = N + size_t(p) * R * POS, *s = S + p * POS;
    const int32_t* pos = &order[p * POS];
    float* result = scratch;
    for (int c = 0; c <= T; ++c) {
      const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
      for (int q = 0; q < O; ++q) {
        const float* e = E + (p * rows + first_row(c)) * OP + q;
        for (int i = from; i < to; i += 16) {
          v16 total = load(s + i) * wb[p * OP + q];
          for (int r = 0; r < R; ++r) total += load(value + r * POS + i) * e[r * OP];
          store(result + i, total);
        }
        for (int i = from; i < to; ++i) Y[pos[i] * OP + q] += result[i];
      }
    }
  }

  void forward() {
    std::memset(Y, 0, size_t(B) * OP * sizeof(float));
    for (int p = 0; p < I; ++p) {
      sort(p);
      evaluate(p);
      if (!wide) { accumulate_narrow(p); continue; }
      int block = 0;
      for (; block + 2 <= OP / 16; block += 2) accumulate<2>(p, block);
      if (block < OP / 16) accumulate<1>(p, block);
    }
  }

  // Derivatives of functions 1..K on neuron p. The K+1 functions sum to a constant, so function 0 needs none: see reverse().
  __attribute__((noinline)) void slopes(int p, float* slope) {
    const float* u = U + p * POS;
    for (int c = 0; c <= T; ++c) {
      const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
      const float* a = poly + (size_t(p) * (T + 1) + c) * R * R;
      const float scale = inverse[p * (T + 1) + c];
      for (int i = from; i < to; i += 16) {
        const v16 y = load(u + i);
        for (int r = 1; r < R; ++r) {
          v16 f = splat(a[r * R + K] * (K * scale));
          for (int e = K - 1; e >= 1; --e) f = f * y + a[r * R + e] * (e * scale);
          store(slope + (r - 1) * POS + i, f);
        }
      }
    }
  }

  template <int V, bool kInput>
  void reverse(int p, int block, const float* slope, float* dx) {
    const float *value = N + size_t(p) * R * POS, *s = S + p * POS, *ds = dS + p * POS;
    const int32_t* pos = &order[p * POS];
    v16 w[V], dw[V] = {};
    for (int v = 0; v < V; ++v) w[v] = load(wb + p * OP + (block + v) * 16);
    for (int c = 0; c <= T; ++c) {
      const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
      if (from == to) continue;
      const size_t row = size_t(p * rows + first_row(c)) * OP + block * 16;
      v16 difference[R][V], de[R][V] = {};
      for (int r = 1; r < R; ++r)
        for (int v = 0; v < V; ++v) difference[r][v] = load(E + row + r * OP + v * 16) - load(E + row + v * 16);
      for (int i = from; i < to; ++i) {
        const float* g = dY + pos[i] * OP + block * 16;
        v16 along = {};
        for (int v = 0; v < V; ++v) {
          const v16 gv = load(g + v * 16);
          for (int r = 0; r < R; ++r) de[r][v] += value[r * POS + i] * gv;
          dw[v] += s[i] * gv;
          if (kInput) {
            v16 tangent = ds[i] * w[v];
            for (int r = 1; r < R; ++r) tangent += slope[(r - 1) * POS + i] * difference[r][v];
            along += tangent * gv;
          }
        }
        if (kInput) dx[pos[i]] += sum(along);
      }
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) {
          float* to_row = dE + row + r * OP + v * 16;
          store(to_row, load(to_row) + de[r][v]);
        }
    }
    for (int v = 0; v < V; ++v) store(dbase + p * OP + (block + v) * 16, dw[v]);
  }

  __attribute__((noinline)) void reverse_narrow(int p, const float* slope, float* dx) {
    const float *value = N + size_t(p) * R * POS, *s = S + p * POS, *ds = dS + p * POS;
    const int32_t* pos = &order[p * POS];
    float *g = scratch + K * POS, *along = scratch + (K + 1) * POS;
    for (int q = 0; q < O; ++q) {
      v16 dw = {};
      const float w = wb[p * OP + q];
      for (int c = 0; c <= T; ++c) {
        const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
        if (from == to) continue;
        for (int i = from; i < to; ++i) g[i] = dY[pos[i] * OP + q];
        for (int i = to; i % 16; ++i) g[i] = 0.0f;
        const size_t row = size_t(p * rows + first_row(c)) * OP + q;
        v16 de[R] = {};
        for (int i = from; i < to; i += 16) {
          const v16 gv = load(g + i);
          v16 tangent = load(ds + i) * w;
          for (int r = 0; r < R; ++r) de[r] += load(value + r * POS + i) * gv;
          for (int r = 1; r < R; ++r) tangent += load(slope + (r - 1) * POS + i) * (E[row + r * OP] - E[row]);
          dw += load(s + i) * gv;
          store(along + i, tangent * gv);
        }
        for (int i = from; i < to; ++i) dx[pos[i]] += along[i];
        for (int r = 0; r < R; ++r) dE[row + r * OP] += sum(de[r]);
      }
      dbase[p * OP + q] = sum(dw);
    }
  }

  // Gradients of E and wb from dY; of the input, into dX, where a layer below wants it.
  __attribute__((noinline)) void backward(bool want_input) {
    std::memset(dE, 0, size_t(I) * rows * OP * sizeof(float));
    std::memset(dX, 0, size_t(I) * B * sizeof(float));
    float* slope = scratch;
    for (int p = 0; p < I; ++p) {
      float* dx = dX + p * B;
      if (want_input || !wide) slopes(p, slope);
      if (!wide) { reverse_narrow(p, slope, dx); continue; }
      int block = 0;
      for (; block + 2 <= OP / 16; block += 2) want_input ? reverse<2, true>(p, block, slope, dx) : reverse<2, false>(p, block, slope, dx);
      if (block < OP / 16) want_input ? reverse<1, true>(p, block, slope, dx) : reverse<1, false>(p, block, slope, dx);
    }
  }

  // Chain rule from E = spline_weight * mask * coef to its factors, one Adam step, and the new E, in one pass.
  __attribute__((noinline)) void update(const AdamStep& adam) {
    for (int p = 0; p < I; ++p) {
      int q = 0;
      for (; q + 16 <= OP; q += 16) {
        const int j = p * OP + q;
        const v16 m = load(mask + j), s = load(spline + j), scale = s * m;
        v16 ds = {};
        for (int i = 0; i < C; ++i) ds += load(dE + (p * rows + K + i) * OP + q) * load(coef + (p * C + i) * OP + q);
        const v16 fresh = adam(s, ds * m, ms + j, vs + j);
        store(spline + j, fresh);
        const v16 b = adam(load(base + j), load(dbase + j) * m, mb + j, vb + j);
        store(base + j, b);
        store(wb + j, b * m);
        for (int i = 0; i < C; ++i) {
          const int at = (p * C + i) * OP + q, row = (p * rows + K + i) * OP + q;
          const v16 c = adam(load(coef + at), load(dE + row) * scale, mc + at, vc + at);
          store(coef + at, c);
          store(E + row, c * (fresh * m));
        }
      }
      for (; q < OP; ++q) {
        const int j = p * OP + q;
        const float m = mask[j], scale = spline[j] * m;
        float ds = 0;
        for (int i = 0; i < C; ++i) ds += dE[(p * rows + K + i) * OP + q] * coef[(p * C + i) * OP + q];
        adam(spline[j], ds * m, ms[j], vs[j]);
        adam(base[j], dbase[j] * m, mb[j], vb[j]);
        wb[j] = base[j] * m;
        for (int i = 0; i < C; ++i) {
          const int at = (p * C + i) * OP + q, row = (p * rows + K + i) * OP + q;
          adam(coef[at], dE[row] * scale, mc[at], vc[at]);
          E[row] = coef[at] * (spline[j] * m);
        }
      }
    }
  }

  // One grid update from the current inputs X, as pykan's update_grid_from_samples: knots at the quantiles of the batch (mixed with grid_eps of a uniform
  // grid), coefficients refitted to the old spline by least squares. Both splines are linear in their coefficients, so the refit is one C x C matrix
  // T = argmin |A_new T - A_old| for all outputs of the neuron.
  bool adapt(float eps) {
    std::vector<float> x(B), old_value(size_t(B) * R);
    std::vector<int> old_row(B);
    std::vector<double> gram(C * C), cross(C * C);
    std::vector<float> before(size_t(C) * OP);
    for (int p = 0; p < I; ++p) {
      std::memcpy(x.data(), X + p * B, B * sizeof(float));
      for (float value : x)
        if (!std::isfinite(value)) return false;
      sort(p);
      evaluate(p);
      each(p, [&](int b, int row, const float* value) {
        old_row[b] = row;
        for (int r = 0; r < R; ++r) old_value[b * R + r] = value[r * POS];
      });
      std::sort(x.begin(), x.end());
      place(p, x, eps);
      tabulate(p);
      sort(p);
      evaluate(p);
      std::fill(gram.begin(), gram.end(), 0.0);
      std::fill(cross.begin(), cross.end(), 0.0);
      each(p, [&](int b, int row, const float* value) {
        for (int r = 0; r < R; ++r) {
          const int i = row + r - K;
          if (i < 0 || i >= C) continue;
          const double f = value[r * POS];
          for (int s = 0; s < R; ++s) {
            if (const int j = row + s - K; j >= 0 && j < C) gram[i * C + j] += f * value[s * POS];
            if (const int j = old_row[b] + s - K; j >= 0 && j < C) cross[i * C + j] += f * old_value[b * R + s];
          }
        }
      });
      solve(gram, cross);
      std::memcpy(before.data(), coef + size_t(p) * C * OP, size_t(C) * OP * sizeof(float));
      float* after = coef + size_t(p) * C * OP;
      std::memset(after, 0, size_t(C) * OP * sizeof(float));
      for (int i = 0; i < C; ++i)
        for (int j = 0; j < C; ++j) {
          const float weight = float(cross[i * C + j]);
          for (int q = 0; q < OP; ++q) after[i * OP + q] += weight * before[j * OP + q];
        }
    }
    refresh();
    return true;
  }

  template <class Visit>
  void each(int p, Visit visit) const {
    for (int c = 0; c <= T; ++c)
      for (int i = start[p * (T + 1) + c], to = i + count[p * (T + 1) + c]; i < to; ++i)
        visit(order[p * POS + i], first_row(c), N.data.get() + size_t(p) * R * POS + i);
  }

  // pykan's get_grid and extend_grid.
  void place(int p, const std::vector<float>& x, float eps) {
    const int G = C - K;
    float* t = knots + p * T + K;
    const float step = (x[B - 1] - x[0]) / G;
    for (int i = 0; i <= G; ++i) {
      const float quantile = i < G ? x[int(double(B) / G * i)] : x[B - 1];
      t[i] = eps * (x[0] + step * i) + (1 - eps) * quantile;
    }
    const float h = (t[G] - t[0]) / G;
    for (int i = 1; i <= K; ++i) {
      t[-i] = t[0] - h * i;
      t[G + i] = t[G] + h * i;
    }
  }

  // cross <- pinv(gram) cross: Cholesky where gram is well conditioned, else its eigenvectors with LAPACK's cut-off for single precision.
  void solve(std::vector<double>& gram, std::vector<double>& cross) const {
    std::vector<double> a = gram;
    double largest = 0;
    for (int i = 0; i < C; ++i) largest = std::max(largest, a[i * C + i]);
    bool good = largest > 0;
    for (int j = 0; j < C && good; ++j) {
      for (int k = std::max(0, j - K); k < j; ++k) a[j * C + j] -= a[j * C + k] * a[j * C + k];
      good = a[j * C + j] > 1e-8 * largest;
      if (!good) break;
      a[j * C + j] = std::sqrt(a[j * C + j]);
      for (int i = j + 1; i <= std::min(C - 1, j + K); ++i) {  // gram is banded
        for (int k = std::max(0, i - K); k < j; ++k) a[i * C + j] -= a[i * C + k] * a[j * C + k];
        a[i * C + j] /= a[j * C + j];
      }
    }
    if (!good) return pseudo_solve(gram, cross);
    for (int i = 0; i < C; ++i) {
      for (int k = std::max(0, i - K); k < i; ++k)
        for (int j = 0; j < C; ++j) cross[i * C + j] -= a[i * C + k] * cross[k * C + j];
      for (int j = 0; j < C; ++j) cross[i * C + j] /= a[i * C + i];
    }
    for (int i = C - 1; i >= 0; --i) {
      for (int k = i + 1; k <= std::min(C - 1, i + K); ++k)
        for (int j = 0; j < C; ++j) cross[i * C + j] -= a[k * C + i] * cross[k * C + j];
      for (int j = 0; j < C; ++j) cross[i * C + j] /= a[i * C + i];
    }
  }

  void pseudo_solve(std::vector<double>& a, std::vector<double>& cross) const {
    std::vector<double> vectors(C * C, 0.0), result(C * C, 0.0);
    for (int i = 0; i < C; ++i) vectors[i * C + i] = 1;
    for (int sweep = 0; sweep < 30; ++sweep) {  // cyclic Jacobi
      double off = 0, diagonal = 0;
      for (int i = 0; i < C; ++i)
        for (int j = 0; j < C; ++j) (i == j ? diagonal : off) += a[i * C + j] * a[i * C + j];
      if (!(off > 1e-26 * diagonal)) break;
      for (int i = 0; i < C; ++i)
        for (int j = i + 1; j < C; ++j) {
          if (a[i * C + j] == 0) continue;
          const double theta = (a[j * C + j] - a[i * C + i]) / (2 * a[i * C + j]);
          const double tangent = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
          const double cosine = 1 / std::sqrt(tangent * tangent + 1), sine = tangent * cosine;
          for (int k = 0; k < C; ++k) rotate(a[k * C + i], a[k * C + j], cosine, sine);
          for (int k = 0; k < C; ++k) rotate(a[i * C + k], a[j * C + k], cosine, sine);
          for (int k = 0; k < C; ++k) rotate(vectors[k * C + i], vectors[k * C + j], cosine, sine);
        }
    }
    double largest = 0;
    for (int i = 0; i < C; ++i) largest = std::max(largest, a[i * C + i]);
    const double cutoff = double(std::numeric_limits<float>::epsilon()) * std::max(B, C);
    for (int e = 0; e < C; ++e) {
      if (!(a[e * C + e] > cutoff * cutoff * largest)) continue;
      for (int j = 0; j < C; ++j) {
        double dot = 0;
        for (int k = 0; k < C; ++k) dot += vectors[k * C + e] * cross[k * C + j];
        for (int i = 0; i < C; ++i) result[i * C + j] += vectors[i * C + e] * dot / a[e * C + e];
      }
    }
    cross = result;
  }

  static void rotate(double& x, double& y, double cosine, double sine) {
    const double z = cosine * x - sine * y;
    y = sine * x + cosine * y;
    x = z;
  }
};

template <int K>
class Trainer {
 public:
  explicit Trainer(const Problem& problem) : P(problem), layers(problem.layers), order(problem.points) {
    for (int l = 0; l < P.layers; ++l) layers[l].setup(P.widths[l], P.widths[l + 1], P.grid, int(P.batch), P.base);
  }

  void run(int64_t k) {
    const float* inputs = P.inputs + k * P.input_stride;
    for (int l = 0; l < P.layers; ++l) {
      const int64_t edges = int64_t(layers[l].I) * layers[l].O;
      layers[l].read(P.base_weight[l] + k * edges, P.spline_weight[l] + k * edges, P.coef[l] + k * edges * layers[l].C,
                     P.mask[l] + k * edges, P.knots[l] + k * layers[l].I * layers[l].T);
    }
    double beta1 = 1, beta2 = 1;
    bool good = true;
    for (int64_t step = 0; step < P.steps && good; ++step) {
      minibatch(P.seeds[k], step, P.points, P.batch, order);
      gather(inputs, order.data());
      if (P.adapt[step])
        for (int l = 0; l < P.layers && good; ++l) {
          good = layers[l].adapt(P.grid_eps);
          if (l + 1 < P.layers) advance(l);
        }
      forward();
      good = good && std::isfinite(loss(k, order.data(), 0, true));
      for (int l = P.layers - 1; l >= 0; --l) {
        layers[l].backward(l > 0);
        if (l > 0) {
          auto &upper = layers[l], &lower = layers[l - 1];
          transpose(upper.dX, upper.B, upper.I, upper.B, lower.dY, lower.OP);
        }
      }
      beta1 *= kBeta1;
      beta2 *= kBeta2;
      const AdamStep adam{float(P.rates[step] / (1 - beta1)), float(1 / std::sqrt(1 - beta2))};
      for (auto& layer : layers) layer.update(adam);
    }
    P.losses[k] = good ? evaluate(k, inputs) : std::numeric_limits<double>::quiet_NaN();
    for (int l = 0; l < P.layers; ++l) {
      const int64_t edges = int64_t(layers[l].I) * layers[l].O;
      layers[l].write(P.base_weight[l] + k * edges, P.spline_weight[l] + k * edges, P.coef[l] + k * edges * layers[l].C,
                      P.knots[l] + k * layers[l].I * layers[l].T);
    }
  }

 private:
  const Problem& P;
  std::vector<LayerState<K>> layers;
  std::vector<int32_t> order;

  void gather(const float* inputs, const int32_t* rows) {
    auto& layer = layers[0];
    for (int b = 0; b < layer.B; ++b)
      for (int p = 0; p < layer.I; ++p) layer.X[p * layer.B + b] = inputs[int64_t(rows[b]) * layer.I + p];
  }

  void advance(int l) {
    layers[l].forward();
    if (l + 1 == P.layers) return;
    auto &from = layers[l], &to = layers[l + 1];
    transpose(from.Y, from.OP, from.B, to.I, to.X, to.B);
  }

  void forward() {
    for (int l = 0; l < P.layers; ++l) advance(l);
  }

  // Sum over samples from..B of the loss of each (mean over outputs for the squared error); its gradient for the mean over the batch, into dY.
  double loss(int64_t k, const int32_t* rows, int from, bool gradient) {
    auto& last = layers.back();
    double total = 0;
    for (int b = from; b < last.B; ++b) {
      const float* y = last.Y + b * last.OP;
      float* g = last.dY + b * last.OP;
      if (P.loss == 0) {
        const float* target = P.targets + (k * P.points + rows[b]) * last.O;
        for (int q = 0; q < last.O; ++q) {
          const float error = y[q] - target[q];
          total += double(error) * error / last.O;
          if (gradient) g[q] = error * (2.0f / (float(last.B) * last.O));
        }
      } else {
        const int64_t label = P.labels[k * P.points + rows[b]];
        double sum = 0;
        const float top = *std::max_element(y, y + last.O);
        for (int q = 0; q < last.O; ++q) sum += std::exp(double(y[q]) - top);
        total += std::log(sum) + top - y[label];
        if (gradient)
          for (int q = 0; q < last.O; ++q) g[q] = float((std::exp(double(y[q]) - top) / sum - (q == label)) / last.B);
      }
    }
    return total;
  }

  // Mean loss over all points; the last mini-batch overlaps the one before it.
  double evaluate(int64_t k, const float* inputs) {
    const int64_t batch = layers[0].B;
    double total = 0;
    for (int64_t done = 0; done < P.points; done += batch) {
      const int64_t begin = std::min(done, P.points - batch);
      for (int64_t b = 0; b < batch; ++b) order[b] = int32_t(begin + b);
      gather(inputs, order.data());
      forward();
      total += loss(k, order.data(), int(done - begin), false);
    }
    return total / double(P.points);
  }
};

class FlushDenormals {  // a thread's own setting: denormal numbers cost a hundred cycles each and carry nothing here
#if defined(__SSE__)
  unsigned saved = _mm_getcsr();
 public:
  FlushDenormals() { _mm_setcsr(saved | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved); }
#endif
};

template <int K>
void train(const Problem& problem, int64_t size, int threads, std::atomic<int64_t>& done, const volatile int32_t* stop, std::atomic<int>& failed) {
  std::atomic<int64_t> next{0};
  auto work = [&] {
    FlushDenormals flush;
    try {
      Trainer<K> trainer(problem);
      for (int64_t k; !*stop && (k = next++) < size; ++done) trainer.run(k);
    } catch (const std::bad_alloc&) {
      failed = 1;
    }
  };
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) pool.emplace_back(work);
  for (auto& thread : pool) thread.join();
}

}  // namespace

// Returns 0, or 1 when out of memory, or 2 for a degree that is not compiled in. `done` counts finished KANs while it runs; a non-zero `*stop` ends it early.
extern "C" int wskan_fit(int64_t size, int32_t layers, const int32_t* widths, int32_t grid, int32_t degree, int32_t base, int32_t loss, float** base_weight,
                         float** spline_weight, float** coef, float** mask, float** knots, int64_t points, const float* inputs, int64_t input_stride,
                         const float* targets, const int64_t* labels, const uint64_t* seeds, int64_t batch, int64_t steps, const float* rates,
                         const uint8_t* adapt, float grid_eps, int32_t threads, double* losses, int64_t* done, const volatile int32_t* stop) {
  const Problem problem{layers, grid, degree, base, loss, widths, base_weight, spline_weight, coef, mask, knots, points, std::min(batch, points), steps,
                        inputs, input_stride, targets, labels, seeds, rates, adapt, grid_eps, losses};
  static_assert(sizeof(std::atomic<int64_t>) == sizeof(int64_t), "progress counter");
  auto& counter = *reinterpret_cast<std::atomic<int64_t>*>(done);
  std::atomic<int> failed{0};
  switch (degree) {
    case 1: train<1>(problem, size, threads, counter, stop, failed); break;
    case 2: train<2>(problem, size, threads, counter, stop, failed); break;
    case 3: train<3>(problem, size, threads, counter, stop, failed); break;
    case 4: train<4>(problem, size, threads, counter, stop, failed); break;
    case 5: train<5>(problem, size, threads, counter, stop, failed); break;
    default: return 2;
  }
  return failed;
}
