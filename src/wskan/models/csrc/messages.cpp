// The messages of complete bipartite blocks (wskan.models.messages), a few dozen edges at a time, so that everything between two products stays in cache.
//
// A block joins n sources to m targets. Three perceptrons read each edge: 0 the forward message, 1 the backward message, 2 the edge update. Their first layers are
// one product, [E, f] x [f, kinds * h]; h is a multiple of 16. Numbers are floats or bfloat16 ("T"); sums are always floats.
#include "passes.h"

namespace {

template <class T, class Pass>
int run(const Block& b, Pass pass, bool gradients) {
  try {
    const Weights<T> weights(b, gradients);
    std::vector<std::unique_ptr<Scratch<T>>> scratch;
    for (int t = 0; t < b.threads; ++t) scratch.push_back(std::make_unique<Scratch<T>>(b, gradients));
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

extern "C" int wskan_messages_bfloat16() { return kHasBFloat16; }

// Both return 0, or 1 when out of memory, or 2 for bfloat16 on a processor without.
extern "C" int wskan_messages_forward(const Block* block) {
  if (!block->bfloat16) return run<float>(*block, forward<float>, false);
#if defined(__AVX512BF16__)
  return run<bfloat16>(*block, forward<bfloat16>, false);
#endif
  return 2;
}

extern "C" int wskan_messages_backward(const Block* block) {
  if (!block->bfloat16) return run<float>(*block, backward<float>, true);
#if defined(__AVX512BF16__)
  return run<bfloat16>(*block, backward<bfloat16>, true);
#endif
  return 2;
}
