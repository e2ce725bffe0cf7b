// Forward and backward pass of an MLP over the edges of one graph.
#pragma once

#include "normal.h"

extern "C" {

struct EdgeMLP {
  int64_t graphs;
  int32_t bfloat16, n, m, f, h, out, threads;
  int32_t residual;                        // add x; out is then f
  uint32_t dropped;                        // probability of dropping a number of the result, times 2^32
  float dropout_scale, eps;                // factor of the other numbers; small number of the normalisation
  uint64_t seed;
  Half half;
  const void *x;                           // [B, E, f]
  const void *first_t, *first;             // [f, h] and its transpose
  const void *second_t, *second, *bias;    // [h, out] and its transpose, [out]
  void* y;                                 // [B, E, out]
  const void* d_y;
  void* d_x;                               // [B, E, f]
  float *d_first_t, *d_second_t, *d_bias;  // zeroed
};
}

namespace {

typedef uint32_t u16 __attribute__((vector_size(64), aligned(4), may_alias));

struct Dropout {  // of one row: a hash of (seed, row, column)
  uint32_t key, dropped;
  float scale;
  Dropout(const EdgeMLP& b, int64_t row) : dropped(b.dropped), scale(b.dropout_scale) {
    uint64_t z = b.seed + uint64_t(row + 1) * 0x9E3779B97F4A7C15ull;  // SplitMix64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    key = uint32_t(z ^ (z >> 31));
  }
  v16 operator()(int c) const {  // factors of 16 numbers
    u16 z = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    z = (z + uint32_t(c)) * 0x9E3779B9u + key;  // MurmurHash3's last steps
    z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
    z = (z ^ (z >> 13)) * 0xC2B2AE35u;
    z ^= z >> 16;
    return z >= dropped ? splat(scale) : v16{};
  }
};

template <class T>
struct EdgeMLPWeights {  // packed once for all threads
  Array<Cell<T>> first_t, first, second_t, second;
  EdgeMLPWeights(const EdgeMLP& b, bool gradients) {
    pack_to<T>(first_t, b.first_t, b.f, b.h);
    pack_to<T>(second_t, gradients ? nullptr : b.second_t, b.h, b.out);
    pack_to<T>(first, gradients ? b.first : nullptr, b.h, b.f);
    pack_to<T>(second, gradients ? b.second : nullptr, b.out, b.h);
  }
};

template <class T>
struct EdgeMLPScratch {  // of one thread
  int wide;                                       // numbers from row to row
  Buffer sums, result;                            // [kStrip, wide]
  Array<T> normal, activations, through, slopes;  // [kTile, wide]
  Buffer mean, scale;                             // [kTile], of the rows of normal
  Array<Cell<T>> a, b;                            // matrices with other cells
  Buffer d_first_t, d_second_t, d_bias;
  EdgeMLPScratch(const EdgeMLP& block, bool gradients) : wide(distance(std::max({block.f, block.h, block.out}))) {
    const size_t edges = scratch_rows(int64_t(block.n) * block.m, gradients);
    for (Buffer* buffer : {&sums, &result}) buffer->resize(size_t(kStrip) * wide);
    for (auto* rows : {&normal, &activations, &through, &slopes}) rows->resize(edges * wide);
    for (Buffer* buffer : {&mean, &scale}) buffer->resize(edges);
    for (auto* matrix : {&a, &b}) matrix->resize(edges * wide);
    if (!gradients) return;
    d_first_t.resize(size_t(block.f) * block.h);
    d_second_t.resize(size_t(block.h) * block.out);
    d_bias.resize(block.out);
  }
  void add_to(const EdgeMLP& block) {
    if (!d_bias) return;
    add(block.d_first_t, static_cast<float*>(d_first_t), int64_t(block.f) * block.h);
    add(block.d_second_t, static_cast<float*>(d_second_t), int64_t(block.h) * block.out);
    add(block.d_bias, static_cast<float*>(d_bias), block.out);
  }
};

// Product of the first layer and a strip's edges, to `s.sums`; normalised values, to `s.normal` from row `at` on.
template <class T>
void first_layer(const EdgeMLP& b, const EdgeMLPWeights<T>& weights, EdgeMLPScratch<T>& s, int64_t first, int rows,
                 int at) {
  T* normalised = s.normal + int64_t(at) * s.wide;
  const Strip<T> strip{row<T>(b.x, first, b.f), rows, b.f, s.mean + at, s.scale + at};
  strip.measure(b.eps);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < b.f; c += 16) store(normalised + int64_t(r) * s.wide + c, strip.normal(r, c));
  int lda = s.wide;
  const Cell<T>* x = rows_of_cells(normalised, rows, b.f, lda, s.a.data());
  product<false>(rows, b.h, cells<T>(b.f), x, lda, weights.first_t.data(), 0, s.sums, s.wide, false);
}

template <class T>
void activate(const EdgeMLP& b, EdgeMLPScratch<T>& s, int64_t g, const Run& run) {
  for (int c = 0; c < b.h; c += 16) {
    const Ends<T> ends(b.half, g, run, b.n, b.m, b.h, c);
    const int64_t at = int64_t(run.row) * s.wide + c;
    const v16 source = ends.from_source();
    for (int q = 0; q < run.rows; ++q) {
      const v16 t = load(s.sums + at + int64_t(q) * s.wide) + source + ends.from_target(q);
      store(s.activations + at + int64_t(q) * s.wide, t * sigmoid<T>(t));
    }
  }
}

template <class T>
void edge_mlp_forward(const EdgeMLP& b, const EdgeMLPWeights<T>& weights, EdgeMLPScratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  for (int64_t begin = 0; begin < edges; begin += kStrip) {
    const int rows = int(std::min<int64_t>(kStrip, edges - begin));
    const int64_t first = g * edges + begin;
    first_layer(b, weights, s, first, rows, 0);
    over_runs(begin, rows, b.m, [&](const Run& run) { activate(b, s, g, run); });
    int lda = s.wide;
    const Cell<T>* a = rows_of_cells(s.activations.data(), rows, b.h, lda, s.a.data());
    product<false>(rows, b.out, cells<T>(b.h), a, lda, weights.second_t.data(), 0, s.result, s.wide, false);
    const T* bias = static_cast<const T*>(b.bias);
    for (int r = 0; r < rows; ++r) {
      const T* x = b.residual ? row<T>(b.x, first + r, b.f) : nullptr;
      T* y = static_cast<T*>(b.y) + (first + r) * b.out;
      const Dropout dropout(b, first + r);
      for (int c = 0; c < b.out; c += 16) {
        v16 t = load(s.result + int64_t(r) * s.wide + c) + load(bias + c);
        if (b.dropped) t *= dropout(c);
        store(y + c, x ? t + load(x + c) : t);
      }
    }
  }
}

// From gradients of activations in `s.result`: gradients of their arguments, to the nodes and to `s.slopes` from row
// `at` on. Also recomputes the activations.
template <class T>
void differentiate(const EdgeMLP& b, EdgeMLPScratch<T>& s, int64_t g, const Run& run, int at) {
  for (int c = 0; c < b.h; c += 16) {
    const Ends<T> ends(b.half, g, run, b.n, b.m, b.h, c);
    const int64_t from = int64_t(run.row) * s.wide + c, to = int64_t(at) * s.wide + c;
    const v16 source = ends.from_source();
    v16 total{};
    for (int q = 0; q < run.rows; ++q) {
      const int64_t step = int64_t(q) * s.wide;
      const v16 t = load(s.sums + from + step) + source + ends.from_target(q), gate = sigmoid<T>(t), value = t * gate;
      const v16 slope = load(s.result + from + step) * (gate + value * (1.0f - gate));
      store(s.activations + to + step, value);
      store(s.slopes + to + step, slope);
      ends.add_to_target(q, slope);
      total += slope;
    }
    ends.add_to_source(total);
  }
}

// Gradients behind the dropout of a strip, its slopes and its activations, from row `at` on.
template <class T>
void differentiate_strip(const EdgeMLP& b, const EdgeMLPWeights<T>& weights, EdgeMLPScratch<T>& s, int64_t g,
                         int64_t begin, int rows, int at) {
  const int64_t first = g * b.n * b.m + begin;
  first_layer(b, weights, s, first, rows, at);
  T* through = s.through + int64_t(at) * s.wide;
  for (int r = 0; r < rows; ++r) {
    const Dropout dropout(b, first + r);
    const T* d_y = row<T>(b.d_y, first + r, b.out);
    for (int c = 0; c < b.out; c += 16)
      store(through + int64_t(r) * s.wide + c, b.dropped ? load(d_y + c) * dropout(c) : load(d_y + c));
  }
  int lda = s.wide;
  const Cell<T>* a = rows_of_cells(through, rows, b.out, lda, s.a.data());
  product<false>(rows, b.h, cells<T>(b.out), a, lda, weights.second.data(), 0, s.result, s.wide, false);
  over_runs(begin, rows, b.m, [&](const Run& run) { differentiate(b, s, g, run, at + run.row); });
}

// Gradients of a strip's edges, from the slopes in row `at` and below.
template <class T>
void through_first_layer(const EdgeMLP& b, const EdgeMLPWeights<T>& weights, EdgeMLPScratch<T>& s, int64_t first,
                         int rows, int at) {
  int lda = s.wide;
  const Cell<T>* d = rows_of_cells(s.slopes + int64_t(at) * s.wide, rows, b.h, lda, s.b.data());
  product<false>(rows, b.f, cells<T>(b.h), d, lda, weights.first.data(), 0, s.result, s.wide, false);
  const Strip<T> x{row<T>(b.x, first, b.f), rows, b.f, s.mean + at, s.scale + at};
  x.backward(s.result, s.wide, row<T>(b.residual ? b.d_y : nullptr, first, b.f), static_cast<T*>(b.d_x) + first * b.f);
}

template <class T>
void edge_mlp_backward(const EdgeMLP& b, const EdgeMLPWeights<T>& weights, EdgeMLPScratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  for (int64_t begin = 0; begin < edges; begin += kTile) {
    const int rows = int(std::min<int64_t>(kTile, edges - begin));
    for (int at = 0; at < rows; at += kStrip)
      differentiate_strip(b, weights, s, g, begin + at, std::min(kStrip, rows - at), at);
    product_of_columns(rows, s.activations.data(), s.wide, b.h, s.through.data(), s.wide, b.out, s.d_second_t,
                       s.a.data(), s.b.data());
    product_of_columns(rows, s.normal.data(), s.wide, b.f, s.slopes.data(), s.wide, b.h, s.d_first_t, s.a.data(),
                       s.b.data());
    add_rows(s.d_bias.data(), s.through.data(), s.wide, rows, b.out);
    for (int at = 0; at < rows; at += kStrip)
      through_first_layer(b, weights, s, g * edges + begin + at, std::min(kStrip, rows - at), at);
  }
}

}  // namespace
