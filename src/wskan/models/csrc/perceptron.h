// Forward and backward pass of a perceptron over the edges of one graph, and of their normalised mean.
#pragma once

#include "rows.h"

extern "C" {

struct Perceptron {
  int64_t graphs;
  int32_t bfloat16, n, m, f, h, out, threads;
  int32_t residual;                        // whether x is added; out is then f
  uint32_t dropped;                        // of 2^32: how often a number of the result is dropped
  float dropout_scale, eps;                // of those that are not; of the normalisation
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

struct NormalSums {
  int64_t graphs, edges;
  int32_t bfloat16, f, threads;
  float eps;
  const void *x, *mask;  // [B, E, f], [B, E] or null
  float* sums;           // [B, f], zeroed
  const float* d_sums;
  void* d_x;             // [B, E, f]
};
}

namespace {

typedef uint32_t u16 __attribute__((vector_size(64), aligned(4), may_alias));

template <class T>
struct Normal {  // (x - mean) / deviation of one row
  const T* x = nullptr;
  float mean = 0, scale = 0;
  Normal() = default;
  Normal(const T* x, int f, float eps) : x(x) {
    v16 total{}, squares{};
    for (int c = 0; c < f; c += 16) total += load(x + c);
    mean = sum(total) / f;
    for (int c = 0; c < f; c += 16) {
      const v16 d = load(x + c) - mean;
      squares += d * d;
    }
    scale = 1.0f / std::sqrt(sum(squares) / f + eps);
  }
  v16 operator()(int c) const { return (load(x + c) - mean) * scale; }
};

// Gradient of a row from that of its normalised values, plus what else flows to it.
template <class T>
inline void normal_backward(const Normal<T>& normal, int f, const float* gradient, const T* residual, T* out) {
  v16 total{}, along{};
  for (int c = 0; c < f; c += 16) {
    total += load(gradient + c);
    along += load(gradient + c) * normal(c);
  }
  const float mean = sum(total) / f, slope = sum(along) / f;
  for (int c = 0; c < f; c += 16) {
    v16 d = (load(gradient + c) - mean - normal(c) * slope) * normal.scale;
    store(out + c, residual ? d + load(residual + c) : d);
  }
}

struct Dropout {  // of one row: a hash of (seed, row, column)
  uint32_t key, dropped;
  float scale;
  Dropout(const Perceptron& b, int64_t row) : dropped(b.dropped), scale(b.dropout_scale) {
    uint64_t z = b.seed + uint64_t(row + 1) * 0x9E3779B97F4A7C15ull;  // SplitMix64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    key = uint32_t(z ^ (z >> 31));
  }
  v16 operator()(int c) const {  // what a number is multiplied by
    u16 z = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    z = (z + uint32_t(c)) * 0x9E3779B9u + key;  // MurmurHash3's last steps
    z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
    z = (z ^ (z >> 13)) * 0xC2B2AE35u;
    z ^= z >> 16;
    return z >= dropped ? splat(scale) : v16{};
  }
};

template <class T>
struct PerceptronWeights {  // packed once for all threads
  std::vector<Cell<T>> first_t, first, second_t, second;
  PerceptronWeights(const Perceptron& b, bool gradients) {
    pack_to<T>(first_t, b.first_t, b.f, b.h);
    pack_to<T>(second_t, gradients ? nullptr : b.second_t, b.h, b.out);
    pack_to<T>(first, gradients ? b.first : nullptr, b.h, b.f);
    pack_to<T>(second, gradients ? b.second : nullptr, b.out, b.h);
  }
};

template <class T>
struct PerceptronScratch {  // of one thread
  int wide;                                     // distance of rows
  Buffer sums, result;                          // [kTile, wide]
  std::vector<T> normal, activations, through, slopes;  // likewise
  std::vector<Normal<T>> normals;               // [kTile]
  std::vector<Cell<T>> a, b;                    // matrices with other cells
  Buffer d_first_t, d_second_t, d_bias;
  PerceptronScratch(const Perceptron& block, bool gradients) : wide(std::max({block.f, block.h, block.out}) + kPad) {
    for (Buffer* buffer : {&sums, &result}) buffer->resize(size_t(kTile) * wide);
    for (auto* rows : {&normal, &activations, &through, &slopes}) rows->resize(size_t(kTile) * wide);
    normals.resize(kTile);
    for (auto* matrix : {&a, &b}) matrix->resize(size_t(kTile) * wide);
    if (!gradients) return;
    d_first_t.resize(size_t(block.f) * block.h);
    d_second_t.resize(size_t(block.h) * block.out);
    d_bias.resize(block.out);
  }
  void add_to(const Perceptron& block) {
    if (!d_bias) return;
    add(block.d_first_t, static_cast<float*>(d_first_t), int64_t(block.f) * block.h);
    add(block.d_second_t, static_cast<float*>(d_second_t), int64_t(block.h) * block.out);
    add(block.d_bias, static_cast<float*>(d_bias), block.out);
  }
};

// The first layer's edge half of some rows, to `s.sums`; their normalised values to `s.normal`.
template <class T>
void first_layer(const Perceptron& b, const PerceptronWeights<T>& weights, PerceptronScratch<T>& s, int64_t first, int rows) {
  for (int r = 0; r < rows; ++r) {
    const Normal<T> normal = s.normals[r] = Normal<T>(row<T>(b.x, first + r, b.f), b.f, b.eps);
    for (int c = 0; c < b.f; c += 16) store(s.normal.data() + int64_t(r) * s.wide + c, normal(c));
  }
  int lda = s.wide;
  const Cell<T>* x = rows_of_cells(s.normal.data(), rows, b.f, lda, s.a.data());
  product<false>(rows, b.h, cells<T>(b.f), x, lda, weights.first_t.data(), 0, s.sums, s.wide, false);
}

template <class T>
struct Nodes {  // what the nodes at the ends of an edge add
  const T *source, *target;
  float *d_source, *d_target;
  Nodes(const Perceptron& b, int64_t g, int64_t edge) {
    const int64_t i = edge / b.m, j = edge % b.m;
    const Half& half = b.half;
    source = row<T>(half.source, g * half.source_graph + i * half.source_node, 1);
    target = row<T>(half.target, g * half.target_graph + j * half.target_node, 1);
    d_source = half.d_source ? half.d_source + (g * b.n + i) * b.h : nullptr;
    d_target = half.d_target ? half.d_target + (g * b.m + j) * b.h : nullptr;
  }
  v16 add_to(v16 t, int c) const {
    if (source) t += load(source + c);
    if (target) t += load(target + c);
    return t;
  }
};

template <class T>
void perceptron_forward(const Perceptron& b, const PerceptronWeights<T>& weights, PerceptronScratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  for (int64_t begin = 0; begin < edges; begin += kTile) {
    const int rows = int(std::min<int64_t>(kTile, edges - begin));
    const int64_t first = g * edges + begin;
    first_layer(b, weights, s, first, rows);
    for (int r = 0; r < rows; ++r) {
      const Nodes<T> nodes(b, g, begin + r);
      for (int c = 0; c < b.h; c += 16) {
        const v16 t = nodes.add_to(load(s.sums + int64_t(r) * s.wide + c), c);
        store(s.activations.data() + int64_t(r) * s.wide + c, t * sigmoid<T>(t));
      }
    }
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

template <class T>
void perceptron_backward(const Perceptron& b, const PerceptronWeights<T>& weights, PerceptronScratch<T>& s, int64_t g) {
  const int64_t edges = int64_t(b.n) * b.m;
  for (int64_t begin = 0; begin < edges; begin += kTile) {
    const int rows = int(std::min<int64_t>(kTile, edges - begin));
    const int64_t first = g * edges + begin;
    first_layer(b, weights, s, first, rows);
    for (int r = 0; r < rows; ++r) {
      const Dropout dropout(b, first + r);
      const T* d_y = row<T>(b.d_y, first + r, b.out);
      for (int c = 0; c < b.out; c += 16) {
        const v16 d = b.dropped ? load(d_y + c) * dropout(c) : load(d_y + c);
        store(s.through.data() + int64_t(r) * s.wide + c, d);
        store(s.d_bias + c, load(s.d_bias + c) + d);
      }
    }
    int lda = s.wide;
    const Cell<T>* a = rows_of_cells(s.through.data(), rows, b.out, lda, s.a.data());
    product<false>(rows, b.h, cells<T>(b.out), a, lda, weights.second.data(), 0, s.result, s.wide, false);
    for (int r = 0; r < rows; ++r) {
      const Nodes<T> nodes(b, g, begin + r);
      const int64_t at = int64_t(r) * s.wide;
      for (int c = 0; c < b.h; c += 16) {
        const v16 t = nodes.add_to(load(s.sums + at + c), c), gate = sigmoid<T>(t), value = t * gate;
        const v16 slope = load(s.result + at + c) * (gate + value * (1.0f - gate));
        store(s.activations.data() + at + c, value);
        store(s.slopes.data() + at + c, slope);
        if (nodes.d_source) store(nodes.d_source + c, load(nodes.d_source + c) + slope);
        if (nodes.d_target) store(nodes.d_target + c, load(nodes.d_target + c) + slope);
      }
    }
    product_of_columns(rows, s.activations.data(), s.wide, b.h, s.through.data(), s.wide, b.out, s.d_second_t, s.a.data(), s.b.data());
    product_of_columns(rows, s.normal.data(), s.wide, b.f, s.slopes.data(), s.wide, b.h, s.d_first_t, s.a.data(), s.b.data());
    const Cell<T>* d = rows_of_cells(s.slopes.data(), rows, b.h, lda = s.wide, s.b.data());
    product<false>(rows, b.f, cells<T>(b.h), d, lda, weights.first.data(), 0, s.result, s.wide, false);
    for (int r = 0; r < rows; ++r) {
      const T* residual = b.residual ? row<T>(b.d_y, first + r, b.f) : nullptr;
      normal_backward(s.normals[r], b.f, s.result + int64_t(r) * s.wide, residual, static_cast<T*>(b.d_x) + (first + r) * b.f);
    }
  }
}

struct Nothing {  // weights and scratch of what needs none
  template <class Block>
  Nothing(const Block&, bool) {}
  template <class Block>
  void add_to(const Block&) {}
};

// The sum of the normalised values of a graph's edges.
template <class T>
void normal_sums_forward(const NormalSums& b, const Nothing&, Nothing&, int64_t g) {
  const uint8_t* mask = row<uint8_t>(b.mask, g, b.edges);
  float* sums = b.sums + g * b.f;
  for (int64_t e = 0; e < b.edges; ++e) {
    if (mask && !mask[e]) continue;
    const Normal<T> normal(row<T>(b.x, g * b.edges + e, b.f), b.f, b.eps);
    for (int c = 0; c < b.f; c += 16) store(sums + c, load(sums + c) + normal(c));
  }
}

template <class T>
void normal_sums_backward(const NormalSums& b, const Nothing&, Nothing&, int64_t g) {
  const uint8_t* mask = row<uint8_t>(b.mask, g, b.edges);
  for (int64_t e = 0; e < b.edges; ++e) {
    const int64_t at = g * b.edges + e;
    T* d_x = static_cast<T*>(b.d_x) + at * b.f;
    if (mask && !mask[e])
      std::fill(d_x, d_x + b.f, T{});
    else
      normal_backward<T>(Normal<T>(row<T>(b.x, at, b.f), b.f, b.eps), b.f, b.d_sums + g * b.f, nullptr, d_x);
  }
}

}  // namespace
