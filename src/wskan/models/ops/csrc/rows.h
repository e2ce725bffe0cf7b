// Shared by the passes over rows of edges.
#pragma once

#include "gemm.h"

extern "C" {

struct Half {  // contributions of nodes to a first layer, or null; strides in numbers (0: shared by graphs or nodes)
  const void *source, *target;
  int64_t source_graph, source_node, target_graph, target_node;
  float *d_source, *d_target;  // contiguous [B, n, h] and [B, m, h], zeroed
};
}

namespace {

constexpr int kStrip = 16;  // edges at a time: everything between two of their products stays in the first-level cache
constexpr int kTile = 128;   // edges whose gradients of weights are added up together

// Numbers from row to row in a scratch matrix with rows of n numbers. Each row begins a cache line, in floats and
// bfloat16, and rows whose length is a power of two do not all fall into a few cache sets.
inline int distance(int n) { return (n + 31) / 32 * 32 + 32; }

template <class T>
inline v16 sigmoid(v16 x) { return reciprocal(1.0f + exponential(-x)); }

#if defined(__AVX512BF16__)
// The relative error is 2e-4, a tenth of that of rounding to bfloat16, in less than half of the instructions:
// 2^-f for |f| <= 1/2 is approximated by the cubic with the least relative error.
template <>
inline v16 sigmoid<bfloat16>(v16 x) {
  const __m512 t = reinterpret_cast<__m512>(x * -1.44269504f),
               whole = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const v16 f = reinterpret_cast<v16>(t) - reinterpret_cast<v16>(whole);
  const v16 p = ((f * 0.05517177f + 0.24261137f) * f + 0.69326097f) * f + 0.99992803f;
  const __m512 power =
      _mm512_scalef_ps(reinterpret_cast<__m512>(p), whole);  // infinite for very negative x, whose sigmoid is then 0
  return reinterpret_cast<v16>(_mm512_rcp14_ps(reinterpret_cast<__m512>(1.0f + reinterpret_cast<v16>(power))));
}
#endif

// Rows of the scratch matrices for graphs with this many edges. Small graphs need few, because clearing memory takes
// time.
inline size_t scratch_rows(int64_t edges, bool gradients) {
  return gradients ? size_t(std::min<int64_t>(kTile, (edges + kStrip - 1) / kStrip * kStrip)) : kStrip;
}

template <class A, class B>
inline void add(A* to, const B* from, int64_t n) {
  for (int64_t c = 0; c < n; c += 16) store(to + c, load(to + c) + load(from + c));
}

// Adds the sum of rows of n numbers.
template <class T>
inline void add_rows(float* to, const T* from, int ld, int rows, int n) {
  for (int c = 0; c < n; c += 16) {
    v16 total = load(to + c);
    for (int r = 0; r < rows; ++r) total += load(from + int64_t(r) * ld + c);
    store(to + c, total);
  }
}

template <class T>
inline const T* row(const void* from, int64_t index, int n) {
  return from ? static_cast<const T*>(from) + index * n : nullptr;
}

struct Run {  // adjacent edges of a strip that leave one node: (i, j) to (i, j + rows - 1), from row `row` of the strip
              // on
  int64_t i, j;
  int row, rows;
};

// Visits the runs of a strip in order.
template <class Visit>
inline void over_runs(int64_t begin, int rows, int m, Visit visit) {
  for (int r = 0; r < rows;) {
    const int64_t i = (begin + r) / m, j = (begin + r) % m;
    const Run run{i, j, r, int(std::min<int64_t>(rows - r, m - j))};
    visit(run);
    r += run.rows;
  }
}

template <class T>
struct Ends {  // contributions of the nodes at the ends of a run's edges from column c on, and their gradients
  const T *source, *target;  // of the first edge, or null
  int64_t step, wide;        // numbers from one target to the next, and of their gradients
  float *d_source, *d_target;
  Ends(const Half& half, int64_t g, const Run& run, int n, int m, int h, int c)
      : source(row<T>(half.source, g * half.source_graph + run.i * half.source_node + c, 1)),
        target(row<T>(half.target, g * half.target_graph + run.j * half.target_node + c, 1)),
        step(half.target_node), wide(h),
        d_source(half.d_source ? half.d_source + (g * n + run.i) * h + c : nullptr),
        d_target(half.d_target ? half.d_target + (g * m + run.j) * h + c : nullptr) {}
  v16 from_source() const { return source ? load(source) : v16{}; }
  v16 from_target(int q) const { return target ? load(target + q * step) : v16{}; }
  void add_to_source(v16 d) const { if (d_source) store(d_source, load(d_source) + d); }
  void add_to_target(int q, v16 d) const { if (d_target) store(d_target + q * wide, load(d_target + q * wide) + d); }
};

template <class T>
inline void pack_to(Array<Cell<T>>& to, const void* from, int rows, int n) {
  if (!from) return;
  to.resize(size_t(cells<T>(rows)) * n);
  pack(static_cast<const T*>(from), rows, n, to.data());
}

// Runs pass(block, weights, scratch, graph) for all graphs, each thread its share. Returns 1 if out of memory.
template <class Weights, class Scratch, class Block, class Pass>
int over_graphs(const Block& b, bool gradients, Pass pass) {
  try {
    const Weights weights(b, gradients);
    std::vector<std::unique_ptr<Scratch>> scratch;
    for (int t = 0; t < b.threads; ++t) scratch.push_back(std::make_unique<Scratch>(b, gradients));
#pragma omp parallel for num_threads(b.threads) schedule(static, 1)
    for (int t = 0; t < b.threads; ++t) {
      [[maybe_unused]] const FlushDenormals flush;
      [[maybe_unused]] const TilesReleased tiles;
      for (int64_t g = b.graphs * t / b.threads; g < b.graphs * (t + 1) / b.threads; ++g)
        pass(b, weights, *scratch[t], g);
    }
    for (auto& s : scratch) s->add_to(b);  // in this order: the same sum each time
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

}  // namespace
