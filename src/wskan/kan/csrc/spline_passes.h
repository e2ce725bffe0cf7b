// Forward and backward pass of a layer of B-splines.
#pragma once

#include "spline_layer.h"

namespace {

template <int K>
template <int V, bool kZeros>
void SplineLayer<K>::accumulate(int p, int block) {
  const float *value = N + size_t(p) * R * POS, *s = S + p * POS;
  const int32_t* pos = &order[p * POS];
  v16 w[V];
  for (int v = 0; v < V; ++v) w[v] = load(wb + p * OP + (block + v) * 16);
  v16 zero[V] = {};  // the sum for a sample that is zero; every sample gets it, so it is subtracted from the others
  for (int v = 0; kZeros && v < V; ++v) {
    float* to = common + (block + v) * 16;
    for (int r = 0; r < R; ++r)
      zero[v] += still[p * R + r] * load(E + (p * rows + zero_row[p] + r) * OP + (block + v) * 16);
    store(to, load(to) + zero[v]);
  }
  for (int c = 0; c <= T; ++c) {
    const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
    if (from == to) continue;
    v16 e[R][V];
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) e[r][v] = load(E + (p * rows + first_row(c) + r) * OP + (block + v) * 16);
    for (int i = from; i < to; ++i) {
      float* y = Y + pos[i] * OP + block * 16;
      for (int v = 0; v < V; ++v) {
        v16 total = (kZeros ? load(y + v * 16) - zero[v] : load(y + v * 16)) + s[i] * w[v];
        for (int r = 0; r < R; ++r) total += value[r * POS + i] * e[r][v];
        store(y + v * 16, total);
      }
    }
  }
}

template <int K>
void SplineLayer<K>::accumulate_narrow(int p) {
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

template <int K>
void SplineLayer<K>::forward() {
  std::memset(Y, 0, size_t(B) * OP * sizeof(float));
  std::memset(common, 0, OP * sizeof(float));
  for (int p = 0; p < I; ++p) {
    sort(p);
    evaluate(p);
    if (!wide) { accumulate_narrow(p); continue; }
    int block = 0;
    for (; block + 2 <= OP / 16; block += 2) zeros[p] ? accumulate<2, true>(p, block) : accumulate<2, false>(p, block);
    if (block < OP / 16) zeros[p] ? accumulate<1, true>(p, block) : accumulate<1, false>(p, block);
  }
  if (!sparse) return;
  for (int b = 0; b < B; ++b)
    for (int q = 0; q < OP; q += 16) store(Y + b * OP + q, load(Y + b * OP + q) + load(common + q));
}

// Visits every sample of neuron p. Zeros come first and as one sample if they are treated together.
template <int K>
template <class Visit>
void SplineLayer<K>::each(int p, Visit visit) const {
  const float *value = N.data() + size_t(p) * R * POS, *s = S.data() + p * POS;
  if (zeros[p]) visit(Sample{B, zero_row[p], zeros[p], still.data() + p * R, 1, 0.0f});
  for (int c = 0; c <= T; ++c)
    for (int i = start[p * (T + 1) + c], to = i + count[p * (T + 1) + c]; i < to; ++i)
      visit(Sample{order[p * POS + i], first_row(c), 1, value + i, POS, s[i]});
}

// Computes derivatives of functions 1..K on neuron p. The K+1 functions sum to a constant, so function 0 needs none;
// see reverse().
template <int K>
void SplineLayer<K>::slopes(int p, float* slope) {
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

template <int K>
template <int V, bool kInput>
void SplineLayer<K>::reverse(int p, int block, const float* slope, float* dx) {
  const float *value = N + size_t(p) * R * POS, *s = S + p * POS, *ds = dS + p * POS;
  const int32_t* pos = &order[p * POS];
  v16 w[V], dw[V] = {}, taken[V] = {};
  for (int v = 0; v < V; ++v) w[v] = load(wb + p * OP + (block + v) * 16);
  for (int c = 0; c <= T; ++c) {
    const int from = start[p * (T + 1) + c], to = from + count[p * (T + 1) + c];
    if (from == to) continue;
    const size_t row = size_t(p * rows + first_row(c)) * OP + block * 16;
    float* own = dE + first_row(c) * OP + block * 16;
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
        if (!kInput) taken[v] += gv;
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
        float* to_row = own + r * OP + v * 16;
        store(to_row, load(to_row) + de[r][v]);
      }
  }
  for (int v = 0; v < V; ++v) store(dbase + (block + v) * 16, dw[v]);
  if (kInput || !zeros[p]) return;
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      float* to_row = dE + (zero_row[p] + r) * OP + (block + v) * 16;
      store(to_row, load(to_row) + still[p * R + r] * (load(total + (block + v) * 16) - taken[v]));
    }
}

template <int K>
void SplineLayer<K>::reverse_narrow(int p, const float* slope, float* dx) {
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
      for (int r = 0; r < R; ++r) dE[(first_row(c) + r) * OP + q] += sum(de[r]);
    }
    dbase[q] = sum(dw);
  }
}

// Computes gradients of E and wb from dY, neuron by neuron, and takes a step of the neuron's parameters while they are
// in cache. Writes the gradient of the input to dX if wanted.
template <int K>
void SplineLayer<K>::backward(bool want_input, const AdamStep& adam) {
  std::memset(dX, 0, size_t(I) * B * sizeof(float));
  std::memset(total, 0, OP * sizeof(float));
  for (int b = 0; sparse && b < B; ++b)
    for (int q = 0; q < OP; q += 16) store(total + q, load(total + q) + load(dY + b * OP + q));
  float* slope = scratch;
  for (int p = 0; p < I; ++p) {
    float* dx = dX + p * B;
    if (sparse && idle(p) && !moving[p]) continue;  // Adam would change nothing
    moving[p] = 1;
    std::memset(dE, 0, size_t(rows) * OP * sizeof(float));
    if (want_input || !wide) slopes(p, slope);
    if (wide) {
      int block = 0;
      for (; block + 2 <= OP / 16; block += 2)
        want_input ? reverse<2, true>(p, block, slope, dx) : reverse<2, false>(p, block, slope, dx);
      if (block < OP / 16)
        want_input ? reverse<1, true>(p, block, slope, dx) : reverse<1, false>(p, block, slope, dx);
    } else {
      reverse_narrow(p, slope, dx);
    }
    update(p, adam, dE, dbase);
  }
}

}  // namespace
