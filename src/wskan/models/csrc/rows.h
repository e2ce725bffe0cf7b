// What the passes over rows of edges share.
#pragma once

#include "gemm.h"

extern "C" {

struct Half {  // what nodes add to a first layer, or null; strides in numbers (0: the same for all graphs or nodes)
  const void *source, *target;
  int64_t source_graph, source_node, target_graph, target_node;
  float *d_source, *d_target;  // contiguous [B, n, h] and [B, m, h], zeroed
};
}

namespace {

constexpr int kTile = 48;  // edges at a time
constexpr int kPad = 16;   // so that rows of a scratch matrix spread over the cache

template <class T>
inline v16 sigmoid(v16 x) { return reciprocal(1.0f + exponential(-x)); }

#if defined(__AVX512BF16__)
// To 2e-4 relative, a tenth of what rounding to bfloat16 costs, in less than half of the instructions: 2^-f for |f| <= 1/2 by a cubic, the least relative error.
template <>
inline v16 sigmoid<bfloat16>(v16 x) {
  const __m512 t = reinterpret_cast<__m512>(x * -1.44269504f), whole = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const v16 f = reinterpret_cast<v16>(t) - reinterpret_cast<v16>(whole);
  const v16 p = ((f * 0.05517177f + 0.24261137f) * f + 0.69326097f) * f + 0.99992803f;
  const __m512 power = _mm512_scalef_ps(reinterpret_cast<__m512>(p), whole);  // infinite for very negative x, whose sigmoid is then 0
  return reinterpret_cast<v16>(_mm512_rcp14_ps(reinterpret_cast<__m512>(1.0f + reinterpret_cast<v16>(power))));
}
#endif

template <class A, class B>
inline void add(A* to, const B* from, int64_t n) {
  for (int64_t c = 0; c < n; c += 16) store(to + c, load(to + c) + load(from + c));
}

template <class T>
inline const T* row(const void* from, int64_t index, int n) { return from ? static_cast<const T*>(from) + index * n : nullptr; }

template <class T>
inline void pack_to(std::vector<Cell<T>>& to, const void* from, int rows, int n) {
  if (!from) return;
  to.resize(size_t(cells<T>(rows)) * n);
  pack(static_cast<const T*>(from), rows, n, to.data());
}

// All graphs, each thread its share: pass(weights, scratch, graph). 1 if out of memory.
template <class Weights, class Scratch, class Block, class Pass>
int over_graphs(const Block& b, bool gradients, Pass pass) {
  try {
    const Weights weights(b, gradients);
    std::vector<std::unique_ptr<Scratch>> scratch;
    for (int t = 0; t < b.threads; ++t) scratch.push_back(std::make_unique<Scratch>(b, gradients));
#pragma omp parallel for num_threads(b.threads) schedule(static, 1)
    for (int t = 0; t < b.threads; ++t) {
      FlushDenormals flush;
      for (int64_t g = b.graphs * t / b.threads; g < b.graphs * (t + 1) / b.threads; ++g) pass(b, weights, *scratch[t], g);
    }
    for (auto& s : scratch) s->add_to(b);  // in this order: the same sum each time
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

}  // namespace
