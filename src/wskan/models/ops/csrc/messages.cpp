// The messages of complete bipartite blocks (wskan.models.ops.edge_messages), computed for 16 edges at a time, so that
// everything between two products stays in cache.
//
// A block joins n sources to m targets. Three MLPs read each edge: kind 0 is the forward message, kind 1 the backward
// message, kind 2 the edge update. Their first layers are one product, [E, f] x [f, kinds * h], where h is a multiple
// of 16. If x holds features of edges, kind 3 is the layer without activation that computes states from them. Numbers
// are floats or bfloat16 ("T"); sums are always floats.
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
