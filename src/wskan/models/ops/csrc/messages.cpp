// The messages of complete bipartite blocks (wskan.models.messages), 16 edges at a time, so that everything between two products stays in cache.
//
// A block joins n sources to m targets. Three perceptrons read each edge: 0 the forward message, 1 the backward message, 2 the edge update. Their first layers are
// one product, [E, f] x [f, kinds * h]; h is a multiple of 16. Where x holds features of edges, their states are kind 3 of it: a layer without activation. Numbers are floats or bfloat16 ("T"); sums are always floats.
#include "passes.h"

extern "C" int wskan_messages_bfloat16() { return kHasBFloat16; }

// Both return 0, or 1 when out of memory, or 2 for bfloat16 on a processor without.
extern "C" int wskan_messages_forward(const Block* block) {
  if (!block->bfloat16) return over_graphs<Weights<float>, Scratch<float>>(*block, false, forward<float>);
#if defined(__AVX512BF16__)
  return over_graphs<Weights<bfloat16>, Scratch<bfloat16>>(*block, false, forward<bfloat16>);
#endif
  return 2;
}

extern "C" int wskan_messages_backward(const Block* block) {
  if (!block->bfloat16) return over_graphs<Weights<float>, Scratch<float>>(*block, true, backward<float>);
#if defined(__AVX512BF16__)
  return over_graphs<Weights<bfloat16>, Scratch<bfloat16>>(*block, true, backward<bfloat16>);
#endif
  return 2;
}
