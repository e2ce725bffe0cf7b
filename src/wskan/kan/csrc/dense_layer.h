// One layer of a basis whose functions are nonzero everywhere: three matrix products on a mini-batch.
//
// Let k be a pair of an input neuron and one of its rows (the base function first, then the basis functions), b a
// sample and q an output neuron. Then
//   Y[b][q] = sum_k F[k][b] E[k][q],
//   dE[k][q] = sum_b F[k][b] dY[b][q],
//   dX[p][b] = sum_{k of p} F'[k][b] sum_q E[k][q] dY[b][q].
// F and F' are stored in tiles of 16 samples, [B/16][k][16], so that each product reads contiguous memory.
#pragma once

#include "parameters.h"

namespace {

template <class Functions>
struct DenseLayer : Parameters {  // in E, the base weights are in the row before those of a neuron's functions
  static constexpr int S = 8;      // rows or samples that a product keeps in registers
  // T knots, B samples, R functions, G intervals; K is the number of all k, rounded up to a multiple of S
  int T, B, R, G, K, tiles, base_kind, degree;
  bool first;
  Buffer knots, X, Y, dY, dX;            // [I][T], [I][B], [B][OP], [B][OP], [I][B]
  Buffer F, slope, dE, dYT, padded, along;  // [tiles][K][16] twice, [K][OP], [O][16 tiles], [16 tiles], [I][16 tiles]

  void setup(int n_in, int n_out, int grid, int order, int batch, int kind, bool is_first) {
    R = Functions::size(grid, order);
    allocate(n_in, n_out, R, 1, R + 1);
    T = grid + 1; G = grid; degree = order; B = batch; base_kind = kind; first = is_first;
    K = (I * rows + S - 1) / S * S;
    tiles = (B + 15) / 16;
    E.resize(K * OP); dE.resize(K * OP); knots.resize(I * T);
    X.resize(I * B); Y.resize(B * OP + 16); dY.resize(B * OP + 16); dX.resize(I * B);
    F.resize(size_t(tiles) * K * 16); slope.resize(first ? 0 : size_t(tiles) * K * 16);
    dYT.resize(O * tiles * 16); padded.resize(tiles * 16); along.resize(I * tiles * 16);
  }

  void read(const float* b, const float* s, const float* c, const float* m, const float* t) {
    Parameters::read(b, s, c, m);
    std::memcpy(knots, t, I * T * sizeof(float));
    refresh();
    for (int p = 0; p < I; ++p) std::memcpy(E + p * rows * OP, wb + p * OP, OP * sizeof(float));
  }

  void write(float* b, float* s, float* c, float* t) {
    Parameters::write(b, s, c);
    std::memcpy(t, knots, I * T * sizeof(float));
  }

  void forward() {
    evaluate();
    if (!wide) return accumulate_narrow();
    int block = 0;
    for (; block + 32 <= OP; block += 32) accumulate<2>(block);
    if (block < OP) accumulate<1>(block);
  }

  // Computes gradients from dY and takes a step of the parameters. Writes the gradient of the input to dX if wanted.
  void backward(bool want_input, const AdamStep& adam) {
    for (int b = 0; b < B; ++b)
      for (int q = 0; q < O; ++q) dYT[q * tiles * 16 + b] = dY[b * OP + q];
    if (want_input) descend();
    if (wide) {
      int block = 0;
      for (; block + 32 <= OP; block += 32) gradient<2>(block);
      if (block < OP) gradient<1>(block);
    } else {
      gradient_narrow();
    }
    for (int p = 0; p < I; ++p) {
      update(p, adam, dE + p * rows * OP, dE + p * rows * OP);
      std::memcpy(E + p * rows * OP, wb + p * OP, OP * sizeof(float));
    }
  }

  bool adapt(float, double) { return true; }  // never called: these grids stay as they are

  template <class Visit>
  void each(int p, Visit visit) const {
    for (int b = 0; b < B; ++b) {
      const float* value = F.data() + (size_t(b / 16) * K + p * rows) * 16 + b % 16;
      visit(Sample{b, 1, 1, value + 16, 16, value[0]});
    }
  }

 private:
  // Computes F, and F' if it will be needed.
  __attribute__((noinline)) void evaluate() {
    tiles = (B + 15) / 16;
    std::memset(padded, 0, tiles * 16 * sizeof(float));
    for (int p = 0; p < I; ++p) {
      const Functions functions(knots + p * T, G, degree);
      std::memcpy(padded, X + p * B, B * sizeof(float));
      for (int t = 0; t < tiles; ++t) {
        const size_t at = (size_t(t) * K + p * rows) * 16;
        const v16 x = load(padded + t * 16);
        v16 steep;
        store(F + at, base_value(base_kind, x, steep));
        if (!first) store(slope + at, steep);
        functions(x, F + at + 16, first ? nullptr : slope + at + 16);
      }
    }
  }

  template <int V>
  __attribute__((noinline)) void accumulate(int block) {
    for (int b = 0; b < B; b += S) {
      const float *f = F + size_t(b / 16) * K * 16 + b % 16, *e = E + block;
      v16 y[S][V] = {};
      for (int k = 0; k < I * rows; ++k, f += 16, e += OP) {
        v16 row[V];
        for (int v = 0; v < V; ++v) row[v] = load(e + v * 16);
        for (int i = 0; i < S; ++i)
          for (int v = 0; v < V; ++v) y[i][v] += f[i] * row[v];
      }
      for (int i = 0; i < S && b + i < B; ++i)
        for (int v = 0; v < V; ++v) store(Y + (b + i) * OP + block + v * 16, y[i][v]);
    }
  }

  __attribute__((noinline)) void accumulate_narrow() {
    for (int t = 0; t < tiles; ++t) {
      const float *f = F + size_t(t) * K * 16, *e = E;
      v16 y[4] = {};
      for (int k = 0; k < I * rows; ++k, f += 16, e += O)
        for (int q = 0; q < O; ++q) y[q] += load(f) * e[q];
      for (int b = t * 16; b < std::min(B, t * 16 + 16); ++b)
        for (int q = 0; q < O; ++q) Y[b * OP + q] = y[q][b % 16];
    }
  }

  template <int V>
  __attribute__((noinline)) void gradient(int block) {
    for (int k = 0; k < K; k += S) {
      v16 sum[S][V] = {};
      for (int b = 0; b < B; ++b) {
        const float *f = F + (size_t(b / 16) * K + k) * 16 + b % 16, *g = dY + b * OP + block;
        v16 row[V];
        for (int v = 0; v < V; ++v) row[v] = load(g + v * 16);
        for (int i = 0; i < S; ++i)
          for (int v = 0; v < V; ++v) sum[i][v] += f[i * 16] * row[v];
      }
      for (int i = 0; i < S; ++i)
        for (int v = 0; v < V; ++v) store(dE + (k + i) * OP + block + v * 16, sum[i][v]);
    }
  }

  __attribute__((noinline)) void gradient_narrow() {
    for (int k = 0; k < I * rows; ++k)
      for (int q = 0; q < O; ++q) {
        v16 total = {};
        for (int t = 0; t < tiles; ++t) total += load(F + (size_t(t) * K + k) * 16) * load(dYT + (q * tiles + t) * 16);
        dE[k * OP + q] = sum(total);
      }
  }

  // Computes dX.
  __attribute__((noinline)) void descend() {
    for (int t = 0; t < tiles; ++t) {
      for (int p = 0; p < I; ++p) store(along + (p * tiles + t) * 16, splat(0.0f));
      for (int k = 0; k < K; k += S) {
        v16 back[S] = {};
        const float* e = E + k * OP;
        for (int q = 0; q < O; ++q) {
          const v16 g = load(dYT + (q * tiles + t) * 16);
          for (int i = 0; i < S; ++i) back[i] += e[i * OP + q] * g;
        }
        for (int i = 0; i < S && k + i < I * rows; ++i) {
          float* to = along + ((k + i) / rows * tiles + t) * 16;
          store(to, load(to) + load(slope + (size_t(t) * K + k + i) * 16) * back[i]);
        }
      }
    }
    for (int p = 0; p < I; ++p) std::memcpy(dX + p * B, along + p * tiles * 16, B * sizeof(float));
  }
};

}  // namespace
