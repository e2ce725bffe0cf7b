// One layer of B-splines: its basis functions on a mini-batch.
#pragma once

#include "parameters.h"

namespace {

template <int K>
struct SplineLayer : Parameters {  // E has K rows of zeros before and after those of a neuron's functions
  static constexpr int R = K + 1;  // basis functions that are not zero on an interval
  int T, B, POS, base_kind;
  bool sparse;
  Buffer dE, dbase;                                  // for one neuron: [C+2K][OP], [OP]
  Buffer knots, poly, origin, inverse;               // [I][T], [I][T+1][R][R], [I][T+1] twice
  Buffer X, Y, dY, dX;                               // [I][B], [B][OP], [B][OP], [I][B]
  Buffer U, N, S, dS, scratch;                       // [I][POS], [I][R][POS], [I][POS] twice; scratch for one neuron
  std::vector<int32_t> order, start, count, bucket;  // [I][POS], [I][T+1] twice, [B]
  // Most pixels of an image are exactly zero. If at least an eighth of the samples of an input are zero, they are left
  // out of the order and treated together. Kept are their number, the first row of their bucket, the values of the K+1
  // functions ([I][R]), the sum that they add to every output and the gradient summed over samples ([OP] each).
  std::vector<int32_t> zeros, zero_row;
  std::vector<uint8_t> moving;  // whether an input has had a gradient so far
  Buffer still, common, total;

  void setup(int n_in, int n_out, int grid, int /*degree*/, int batch, int kind, bool first) {
    allocate(n_in, n_out, grid + K, K, grid + 3 * K);
    T = grid + 2 * K + 1; B = batch; base_kind = kind;
    sparse = first && wide;
    POS = (B + 15) / 16 * 16 + 16 * (T + 2);
    dE.resize(rows * OP);
    for (Buffer* b : {&dbase, &common, &total}) b->resize(OP);
    still.resize(I * R); zeros.assign(I, 0); zero_row.assign(I, 0); moving.assign(I, 0);
    knots.resize(I * T); poly.resize(I * (T + 1) * R * R); origin.resize(I * (T + 1)); inverse.resize(I * (T + 1));
    X.resize(I * B + 16); Y.resize(B * OP + 16); dY.resize(B * OP + 16); dX.resize(I * B + 16);
    U.resize(I * POS); N.resize(I * R * POS); S.resize(I * POS); dS.resize(I * POS); scratch.resize((R + 6) * POS);
    order.assign(I * POS + 16, 0); start.assign(I * (T + 1), 0); count.assign(I * (T + 1), 0); bucket.assign(B + 16, 0);
  }

  void read(const float* b, const float* s, const float* c, const float* m, const float* t) {
    Parameters::read(b, s, c, m);
    std::fill(moving.begin(), moving.end(), 0);
    std::memcpy(knots, t, I * T * sizeof(float));
    for (int p = 0; p < I; ++p) tabulate(p);
    refresh();
  }

  void write(float* b, float* s, float* c, float* t) {
    Parameters::write(b, s, c);
    std::memcpy(t, knots, I * T * sizeof(float));
  }

  // Tabulates the polynomials of the K+1 basis functions on every interval, by Cox-de Boor (paper, appendix B) in
  // u = (x - t_j) / (t_{j+1} - t_j). Bucket c = j + 1 holds interval j. Buckets 0 and T are outside the extended knots,
  // where every basis function is zero.
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
          if (left == 0 || right == 0) continue;  // as in pykan, the whole 0/0 term is zero
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
      if (j > C - 1) {  // there is no function K; its row is zero, so it may complete the sum to 1 for backward()
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

  // Decides whether the zeros of neuron p are treated together; returns the number of samples left to sort.
  int gather_zeros(int p) {
    const float *x = X + p * B, *t = knots + p * T;
    int n = 0, c = 0;
    for (int b = 0; b < B; ++b) n += x[b] == 0.0f;
    zeros[p] = 8 * n < B ? 0 : n;
    for (int j = 0; j < T; ++j) c += t[j] <= 0.0f;
    zero_row[p] = first_row(c);
    const float* a = poly + (size_t(p) * (T + 1) + c) * R * R;
    const float u = -origin[p * (T + 1) + c] * inverse[p * (T + 1) + c];
    for (int r = 0; r < R; ++r) {
      float f = a[r * R + K];
      for (int e = K - 1; e >= 0; --e) f = f * u + a[r * R + e];
      still[p * R + r] = zeros[p] ? f : 0.0f;
    }
    return B - zeros[p];
  }

  // Returns whether neuron p can have no gradient on this batch: it is always zero, and its functions are zero there.
  bool idle(int p) {
    bool zero = zeros[p] == B;
    for (int r = 0; r < R; ++r) zero = zero && still[p * R + r] == 0.0f;
    return zero;
  }

  // Sorts the batch of neuron p into buckets, each of which begins at a multiple of 16. Bucket c holds the x with
  // t_{c-1} <= x < t_c.
  __attribute__((noinline)) void sort(int p) {
    const float *x = X + p * B, *t = knots + p * T;
    int32_t *pos = &order[p * POS], *first = &start[p * (T + 1)], *number = &count[p * (T + 1)], at = 0;
    float* sorted = scratch;
    if (sparse && !gather_zeros(p)) {  // none left to sort
      std::memset(first, 0, (T + 1) * sizeof(int32_t));
      std::memset(number, 0, (T + 1) * sizeof(int32_t));
      return;
    }
    const bool skip = zeros[p] > 0;
#if defined(__AVX512F__)
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int samples = B;
    int32_t* which = nullptr;  // the samples that are left if zeros are treated together
    if (skip) {
      float* left = scratch + POS;
      which = reinterpret_cast<int32_t*>(scratch + 2 * POS);
      samples = 0;
      for (int b = 0; b < B; b += 16) {
        const __mmask16 valid = b + 16 <= B ? 0xFFFF : (1 << (B - b)) - 1;
        const __mmask16 here =
            _mm512_mask_cmp_ps_mask(valid, _mm512_loadu_ps(x + b), _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_ps(left + samples, _mm512_maskz_compress_ps(here, _mm512_loadu_ps(x + b)));
        _mm512_storeu_si512(
            which + samples, _mm512_maskz_compress_epi32(here, _mm512_add_epi32(lanes, _mm512_set1_epi32(b))));
        samples += __builtin_popcount(here);
      }
      x = left;
    }
    const int blocks = (samples + 15) / 16;
    // The samples that reach the last knot, and those that reach the next knot.
    uint16_t *below = reinterpret_cast<uint16_t*>(bucket.data()), *above = below + blocks;
    for (int i = 0; i < blocks; ++i)
      below[i] = uint16_t(i * 16 + 16 <= samples ? 0xFFFF : (1 << (samples - i * 16)) - 1);
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
        const __m512i places =
            skip ? _mm512_loadu_si512(which + i * 16) : _mm512_add_epi32(lanes, _mm512_set1_epi32(i * 16));
        _mm512_storeu_si512(pos + at, _mm512_maskz_compress_epi32(here, places));
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
    for (int b = 0; b < B; ++b) number[c[b]] += !(skip && x[b] == 0.0f);
    for (int j = 0; j <= T; ++j) {
      first[j] = at;
      at += (number[j] + 15) / 16 * 16;
      number[j] = 0;
    }
    std::memset(sorted, 0, at * sizeof(float));  // harmless numbers for unused lanes
    for (int b = 0; b < B; ++b) {
      if (skip && x[b] == 0.0f) continue;
      const int32_t to = first[c[b]] + number[c[b]]++;
      pos[to] = b;
      sorted[to] = x[b];
    }
#endif
  }

  // Computes the K+1 functions, the base function and its derivative, in sorted order.
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
        v16 slope;
        store(s + i, base_value(base_kind, x, slope));
        store(ds + i, slope);
      }
    }
  }

  // spline_passes.h
  template <int V, bool kZeros>
  void accumulate(int p, int block);
  __attribute__((noinline)) void accumulate_narrow(int p);
  void forward();
  template <class Visit>
  void each(int p, Visit visit) const;
  __attribute__((noinline)) void slopes(int p, float* slope);
  template <int V, bool kInput>
  void reverse(int p, int block, const float* slope, float* dx);
  __attribute__((noinline)) void reverse_narrow(int p, const float* slope, float* dx);
  __attribute__((noinline)) void backward(bool want_input, const AdamStep& adam);

  // spline_adapt.h
  __attribute__((noinline)) bool adapt(float eps, double rcond);
  void place(int p, const std::vector<float>& x, float eps);
  void solve(std::vector<double>& gram, std::vector<double>& cross, double cutoff) const;
  __attribute__((noinline)) void pseudo_solve(std::vector<double>& a, std::vector<double>& cross, double cutoff) const;
  static void insert_zeros(std::vector<float>& x, int n);
  static void rotate(double* x, double* y, int n, double cosine, double sine);
};

}  // namespace
