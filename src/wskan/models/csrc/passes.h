// Forward and backward pass over the edges of one graph.
#pragma once

#include "rows.h"

extern "C" {

struct Block {
  int64_t graphs;
  int32_t bfloat16, n, m, f, h, threads;
  int32_t column[3];  // of each kind in the product, or -1
  int32_t wide;       // columns of the product: kinds * h
  Half half[3];
  const void *x, *edge, *mask;            // [B, E, f], [B, E, h], [B, E] or null
  const void *first_t, *first;            // [f, wide] and its transpose
  const void *second_t, *second, *bias;   // [h, h] from activation to edge, its transpose, [h]; null without kind 2
  float *into, *outof;                    // [B, m, h], [B, n, h], zeroed
  void* updated;                          // [B, E, h]
  const float *d_into, *d_outof;          // gradients of those
  const void* d_updated;
  void* d_x;                              // [B, E, f] or null
  float *d_first_t, *d_second_t, *d_bias; // zeroed
  int32_t residual;                       // whether x is edge itself, and d_x includes what passes by the update
};
}

namespace {

template <class T>
struct Weights {  // packed once for all threads
  std::vector<Cell<T>> first_t, first, second_t, second;
  Weights(const Block& b, bool gradients) {
    pack_to<T>(first_t, b.first_t, b.f, b.wide);
    pack_to<T>(second_t, gradients ? nullptr : b.second_t, b.h, b.h);
    pack_to<T>(first, gradients && b.d_x ? b.first : nullptr, b.wide, b.f);
    pack_to<T>(second, gradients ? b.second : nullptr, b.h, b.h);
  }
};

template <class T>
struct Scratch {  // of one thread
  int wide, narrow;             // distances of rows
  Buffer sums, result;          // [kTile, wide], [kTile, narrow]
  std::vector<T> slopes, activations;  // likewise
  std::vector<Cell<T>> a, b;    // matrices with other cells
  Buffer d_first_t, d_second_t, d_bias;
  Scratch(const Block& block, bool gradients)
      : wide(block.wide + kPad), narrow(std::max(block.h, block.f) + kPad), slopes(size_t(kTile) * wide), activations(size_t(kTile) * narrow),
        a(size_t(kTile) * narrow), b(size_t(kTile) * wide) {
    sums.resize(size_t(kTile) * wide);
    result.resize(size_t(kTile) * narrow);
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

// The first layers' edge halves, to `s.sums`.
template <class T>
void multiply(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t first, int rows) {
  int lda = b.f;
  const Cell<T>* x = rows_of_cells(row<T>(b.x, first, b.f), rows, b.f, lda, s.a.data());
  product<false>(rows, b.wide, cells<T>(b.f), x, lda, weights.first_t.data(), 0, s.sums, s.wide, false);
}

template <class T>
struct Before {  // the sums before the activation of one edge and kind
  const float* edge;
  const T *source, *target;
  Before(const Block& b, Scratch<T>& s, int kind, int64_t g, int64_t i, int64_t j, int r)
      : edge(s.sums + int64_t(r) * s.wide + b.column[kind]),
        source(row<T>(b.half[kind].source, g * b.half[kind].source_graph + i * b.half[kind].source_node, 1)),
        target(row<T>(b.half[kind].target, g * b.half[kind].target_graph + j * b.half[kind].target_node, 1)) {}
  v16 operator()(int c) const {
    v16 t = load(edge + c);
    if (source) t += load(source + c);
    if (target) t += load(target + c);
    return t;
  }
};

template <class T>
void forward(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  const int h = b.h;
  for (int64_t begin = 0; begin < edges; begin += kTile) {
    const int rows = int(std::min<int64_t>(kTile, edges - begin));
    const int64_t first = g * edges + begin;
    multiply(b, weights, s, first, rows);
    for (int kind = 0; kind < 3; ++kind) {
      if (b.column[kind] < 0) continue;
      for (int r = 0; r < rows; ++r) {
        const int64_t i = (begin + r) / b.m, j = (begin + r) % b.m;
        const Before<T> before(b, s, kind, g, i, j, r);
        float* out = kind == 0 ? b.into + (g * b.m + j) * h : b.outof + (g * b.n + i) * h;
        if (b.mask && kind < 2 && !static_cast<const uint8_t*>(b.mask)[first + r]) out = s.result;  // read by nobody
        for (int c = 0; c < h; c += 16) {
          const v16 t = before(c), a = t * sigmoid<T>(t);
          if (kind < 2)
            store(out + c, load(out + c) + a);
          else
            store(s.activations.data() + int64_t(r) * s.narrow + c, a);
        }
      }
    }
    if (b.column[2] < 0) continue;
    int lda = s.narrow;
    const Cell<T>* a = rows_of_cells(s.activations.data(), rows, h, lda, s.a.data());
    product<false>(rows, h, cells<T>(h), a, lda, weights.second_t.data(), 0, s.result, s.narrow, false);
    const T *edge = row<T>(b.edge, first, h), *bias = static_cast<const T*>(b.bias);
    T* updated = static_cast<T*>(b.updated) + first * h;
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < h; c += 16) store(updated + r * h + c, load(edge + r * h + c) + load(bias + c) + load(s.result + r * s.narrow + c));
  }
}

template <class T>
void backward(const Block& b, const Weights<T>& weights, Scratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  const int h = b.h;
  for (int64_t begin = 0; begin < edges; begin += kTile) {
    const int rows = int(std::min<int64_t>(kTile, edges - begin));
    const int64_t first = g * edges + begin;
    multiply(b, weights, s, first, rows);
    const T* through = b.column[2] < 0 ? nullptr : row<T>(b.d_updated, first, h);
    if (through) {
      int lda = h;
      const Cell<T>* a = rows_of_cells(through, rows, h, lda, s.a.data());
      product<false>(rows, h, cells<T>(h), a, lda, weights.second.data(), 0, s.result, s.narrow, false);
    }
    for (int kind = 0; kind < 3; ++kind) {
      if (b.column[kind] < 0) continue;
      const Half& half = b.half[kind];
      for (int r = 0; r < rows; ++r) {
        const int64_t i = (begin + r) / b.m, j = (begin + r) % b.m;
        const Before<T> before(b, s, kind, g, i, j, r);
        const float* gradient = kind == 0 ? b.d_into + (g * b.m + j) * h : kind == 1 ? b.d_outof + (g * b.n + i) * h : s.result + int64_t(r) * s.narrow;
        T* slopes = s.slopes.data() + int64_t(r) * s.wide + b.column[kind];
        float* d_source = half.d_source ? half.d_source + (g * b.n + i) * h : nullptr;
        float* d_target = half.d_target ? half.d_target + (g * b.m + j) * h : nullptr;
        const float keep = b.mask && kind < 2 ? static_cast<const uint8_t*>(b.mask)[first + r] : 1.0f;
        for (int c = 0; c < h; c += 16) {
          const v16 t = before(c), gate = sigmoid<T>(t), value = t * gate;
          const v16 slope = load(gradient + c) * keep * (gate + value * (1.0f - gate));
          store(slopes + c, slope);
          if (d_source) store(d_source + c, load(d_source + c) + slope);
          if (d_target) store(d_target + c, load(d_target + c) + slope);
          if (kind == 2) store(s.activations.data() + int64_t(r) * s.narrow + c, value);
        }
      }
    }
    product_of_columns(rows, row<T>(b.x, first, b.f), b.f, b.f, s.slopes.data(), s.wide, b.wide, s.d_first_t, s.a.data(), s.b.data());
    if (through) {
      product_of_columns(rows, s.activations.data(), s.narrow, h, through, h, h, s.d_second_t, s.a.data(), s.b.data());
      for (int r = 0; r < rows; ++r) add(static_cast<float*>(s.d_bias), through + int64_t(r) * h, h);
    }
    if (!b.d_x) continue;
    int lda = s.wide;
    const Cell<T>* d = rows_of_cells(s.slopes.data(), rows, b.wide, lda, s.b.data());
    product<false>(rows, b.f, cells<T>(b.wide), d, lda, weights.first.data(), 0, s.result, s.narrow, false);
    T* d_x = static_cast<T*>(b.d_x) + first * b.f;
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < b.f; c += 16) {
        const v16 v = load(s.result + int64_t(r) * s.narrow + c);
        store(d_x + r * b.f + c, b.residual && through ? v + load(through + r * h + c) : v);
      }
  }
}

}  // namespace
