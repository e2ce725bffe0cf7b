// Forward and backward pass of messages over the edges of one graph.
#pragma once

#include "rows.h"

extern "C" {

struct Block {
  int64_t graphs;
  int32_t bfloat16, n, m, f, h, threads;
  int32_t column[4];  // first column of each kind in the product, or -1
  int32_t wide;       // columns of the product: kinds * h
  Half half[4];
  const void *x, *mask;                   // [B, E, f], [B, E] or null
  const void *first_t, *first;            // [f, wide] and its transpose
  const void *second_t, *second, *bias;   // [h, h] from activation to edge, its transpose, [h]; null without kind 2
  float *into, *outof;                    // [B, m, h], [B, n, h], zeroed
  void* updated;                          // [B, E, h]
  const float *d_into, *d_outof;          // gradients of those
  const void* d_updated;
  void* d_x;                              // [B, E, f] or null
  float *d_first_t, *d_second_t, *d_bias; // zeroed
};
}

namespace {

template <class T>
struct Weights {  // packed once for all threads
  Array<Cell<T>> first_t, first, second_t, second;
  Weights(const Block& b, bool gradients) {
    pack_to<T>(first_t, b.first_t, b.f, b.wide);
    pack_to<T>(second_t, gradients ? nullptr : b.second_t, b.h, b.h);
    pack_to<T>(first, gradients && b.d_x ? b.first : nullptr, b.wide, b.f);
    pack_to<T>(second, gradients ? b.second : nullptr, b.h, b.h);
  }
};

template <class T>
struct Scratch {  // of one thread
  int wide, narrow;              // numbers from row to row
  Buffer sums, result;           // [kStrip, wide], [kStrip, narrow]
  Array<T> slopes, activations;  // [kTile, wide], [kTile, narrow]
  Array<Cell<T>> a, b;           // matrices with other cells
  Buffer d_first_t, d_second_t, d_bias;
  Scratch(const Block& block, bool gradients)
      : wide(distance(block.wide)), narrow(distance(std::max(block.h, block.f))) {
    const size_t rows = scratch_rows(int64_t(block.n) * block.m, gradients);
    sums.resize(size_t(kStrip) * wide);
    result.resize(size_t(kStrip) * narrow);
    slopes.resize(rows * wide);
    activations.resize(rows * narrow);
    a.resize(rows * narrow);
    b.resize(rows * wide);
    if (!gradients) return;
    d_first_t.resize(size_t(block.f) * block.wide);
    d_second_t.resize(size_t(block.h) * block.h);
    d_bias.resize(block.h);
  }
  void add_to(const Block& block) {
    if (!d_bias) return;
    add(block.d_first_t, static_cast<float*>(d_first_t), int64_t(block.f) * block.wide);
    if (block.d_second_t) add(block.d_second_t, static_cast<float*>(d_second_t), int64_t(block.h) * block.h);
    if (block.d_bias) add(block.d_bias, static_cast<float*>(d_bias), block.h);
  }
};

// Product of all first layers and a strip's edges, to `s.sums`.
template <class T>
void multiply(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t first, int rows) {
  int lda = b.f;
  const Cell<T>* x = rows_of_cells(row<T>(b.x, first, b.f), rows, b.f, lda, s.a.data());
  product<false>(rows, b.wide, cells<T>(b.f), x, lda, weights.first_t.data(), 0, s.sums, s.wide, false);
}

// Whether edge q of a run exists, so that its messages count.
inline bool exists(const Block& b, int64_t first, int q) {
  return !b.mask || static_cast<const uint8_t*>(b.mask)[first + q];
}

// Activations of a run's edges; `first` is the number of the first edge. Those of kind 0 are added up at targets, those
// of kind 1 at sources, and those of kind 2 are stored in one row each.
template <int kind, class T>
void activate(const Block& b, Scratch<T>& s, int64_t g, int64_t first, const Run& run) {
  const int h = b.h;
  for (int c = 0; c < h; c += 16) {
    const Ends<T> ends(b.half[kind], g, run, b.n, b.m, h, c);
    const float* sums = s.sums + int64_t(run.row) * s.wide + b.column[kind] + c;
    float *into = b.into + (g * b.m + run.j) * h + c, *outof = b.outof + (g * b.n + run.i) * h + c;
    T* activations = s.activations + int64_t(run.row) * s.narrow + c;
    const v16 source = ends.from_source();
    v16 total{};
    for (int q = 0; q < run.rows; ++q) {
      if (kind < 2 && !exists(b, first, q)) continue;
      const v16 t = load(sums + int64_t(q) * s.wide) + source + ends.from_target(q), a = t * sigmoid<T>(t);
      if (kind == 0) store(into + int64_t(q) * h, load(into + int64_t(q) * h) + a);
      if (kind == 1) total += a;
      if (kind == 2) store(activations + int64_t(q) * s.narrow, a);
    }
    if (kind == 1) store(outof, load(outof) + total);
  }
}

// Updated edges of a run: states (x itself or kind 3) plus the second layer's `s.result` and bias.
template <bool states, class T>
void update_run(const Block& b, Scratch<T>& s, int64_t g, int64_t first, const Run& run) {
  const int h = b.h;
  for (int c = 0; c < h; c += 16) {
    const Ends<T> ends(b.half[3], g, run, b.n, b.m, h, c);
    const float *sums = s.sums + int64_t(run.row) * s.wide + b.column[3] + c,
                *result = s.result + int64_t(run.row) * s.narrow + c;
    const T* x = row<T>(b.x, first, h) + c;
    T* updated = static_cast<T*>(b.updated) + first * h + c;
    const v16 bias = load(static_cast<const T*>(b.bias) + c), source = ends.from_source();
    for (int q = 0; q < run.rows; ++q) {
      const v16 state = states ? load(sums + int64_t(q) * s.wide) + source + ends.from_target(q) : load(x + q * h);
      store(updated + q * h, state + bias + load(result + int64_t(q) * s.narrow));
    }
  }
}

template <class T>
void forward(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  const int h = b.h;
  for (int64_t begin = 0; begin < edges; begin += kStrip) {
    const int rows = int(std::min<int64_t>(kStrip, edges - begin));
    const int64_t first = g * edges + begin;
    multiply(b, weights, s, first, rows);
    over_runs(begin, rows, b.m, [&](const Run& run) {
      activate<0>(b, s, g, first + run.row, run);
      if (b.column[1] >= 0) activate<1>(b, s, g, first + run.row, run);
      if (b.column[2] >= 0) activate<2>(b, s, g, first + run.row, run);
    });
    if (b.column[2] < 0) continue;
    int lda = s.narrow;
    const Cell<T>* a = rows_of_cells(s.activations.data(), rows, h, lda, s.a.data());
    product<false>(rows, h, cells<T>(h), a, lda, weights.second_t.data(), 0, s.result, s.narrow, false);
    over_runs(begin, rows, b.m, [&](const Run& run) {
      b.column[3] < 0 ? update_run<false>(b, s, g, first + run.row, run)
                      : update_run<true>(b, s, g, first + run.row, run);
    });
  }
}

// Gradients of the arguments of `activate`, to the nodes and to `s.slopes` from row `at` on. For kind 2, gradients of
// the activations are in `s.result`, and the activations are recomputed.
template <int kind, class T>
void differentiate(const Block& b, Scratch<T>& s, int64_t g, int64_t first, const Run& run, int at) {
  const int h = b.h;
  for (int c = 0; c < h; c += 16) {
    const Ends<T> ends(b.half[kind], g, run, b.n, b.m, h, c);
    const float* sums = s.sums + int64_t(run.row) * s.wide + b.column[kind] + c;
    const float* gradients = kind == 0   ? b.d_into + (g * b.m + run.j) * h + c
                             : kind == 1 ? b.d_outof + (g * b.n + run.i) * h + c
                                         : s.result + int64_t(run.row) * s.narrow + c;
    const int64_t step = kind == 0 ? h : kind == 1 ? 0 : s.narrow;
    T* slopes = s.slopes + int64_t(at) * s.wide + b.column[kind] + c;
    T* activations = s.activations + int64_t(at) * s.narrow + c;
    const v16 source = ends.from_source();
    v16 total{};
    for (int q = 0; q < run.rows; ++q) {
      const v16 t = load(sums + int64_t(q) * s.wide) + source + ends.from_target(q), gate = sigmoid<T>(t),
                value = t * gate;
      v16 slope = load(gradients + q * step) * (gate + value * (1.0f - gate));
      if (kind < 2 && !exists(b, first, q)) slope = v16{};
      store(slopes + int64_t(q) * s.wide, slope);
      if (kind == 2) store(activations + int64_t(q) * s.narrow, value);
      ends.add_to_target(q, slope);
      total += slope;
    }
    ends.add_to_source(total);
  }
}

// The same for kind 3, which has no activation: copies gradients of updated edges to `s.slopes` and adds them at nodes.
template <class T>
void pass_on(const Block& b, Scratch<T>& s, int64_t g, const T* through, const Run& run, int at) {
  for (int c = 0; c < b.h; c += 16) {
    const Ends<T> ends(b.half[3], g, run, b.n, b.m, b.h, c);
    v16 total{};
    for (int q = 0; q < run.rows; ++q) {
      const v16 d = load(through + int64_t(run.row + q) * b.h + c);
      store(s.slopes + int64_t(at + q) * s.wide + b.column[3] + c, d);
      ends.add_to_target(q, d);
      total += d;
    }
    ends.add_to_source(total);
  }
}

// Slopes and activations of a strip, from row `at` on.
template <class T>
void differentiate_strip(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t g, int64_t begin, int rows,
                         int at, const T* through) {
  const int64_t first = g * b.n * b.m + begin;
  multiply(b, weights, s, first, rows);
  if (through) {
    int lda = b.h;
    const Cell<T>* a = rows_of_cells(through, rows, b.h, lda, s.a.data());
    product<false>(rows, b.h, cells<T>(b.h), a, lda, weights.second.data(), 0, s.result, s.narrow, false);
  }
  over_runs(begin, rows, b.m, [&](const Run& run) {
    differentiate<0>(b, s, g, first + run.row, run, at + run.row);
    if (b.column[1] >= 0) differentiate<1>(b, s, g, first + run.row, run, at + run.row);
    if (b.column[2] >= 0) differentiate<2>(b, s, g, first + run.row, run, at + run.row);
    if (b.column[3] >= 0) pass_on(b, s, g, through, run, at + run.row);
  });
}

// Gradients of a strip's edges, from the slopes in row `at` and below.
template <class T>
void through_first_layers(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t first, int rows, int at,
                          const T* through) {
  int lda = s.wide;
  const Cell<T>* d = rows_of_cells(s.slopes + int64_t(at) * s.wide, rows, b.wide, lda, s.b.data());
  product<false>(rows, b.f, cells<T>(b.wide), d, lda, weights.first.data(), 0, s.result, s.narrow, false);
  T* d_x = static_cast<T*>(b.d_x) + first * b.f;
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < b.f; c += 16) {
      const v16 v = load(s.result + int64_t(r) * s.narrow + c);
      store(d_x + r * b.f + c, through && b.column[3] < 0 ? v + load(through + r * b.h + c) : v);
    }
}

template <class T>
void backward(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  const int h = b.h;
  for (int64_t begin = 0; begin < edges; begin += kTile) {
    const int rows = int(std::min<int64_t>(kTile, edges - begin));
    const int64_t first = g * edges + begin;
    const T* through = b.column[2] < 0 ? nullptr : row<T>(b.d_updated, first, h);
    for (int at = 0; at < rows; at += kStrip)
      differentiate_strip(b, weights, s, g, begin + at, std::min(kStrip, rows - at), at, row<T>(through, at, h));
    product_of_columns(rows, row<T>(b.x, first, b.f), b.f, b.f, s.slopes.data(), s.wide, b.wide, s.d_first_t,
                       s.a.data(), s.b.data());
    if (through) {
      product_of_columns(rows, s.activations.data(), s.narrow, h, through, h, h, s.d_second_t, s.a.data(), s.b.data());
      add_rows(s.d_bias.data(), through, h, rows, h);
    }
    if (!b.d_x) continue;
    for (int at = 0; at < rows; at += kStrip)
      through_first_layers(b, weights, s, first + at, std::min(kStrip, rows - at), at, row<T>(through, at, h));
  }
}

}  // namespace
