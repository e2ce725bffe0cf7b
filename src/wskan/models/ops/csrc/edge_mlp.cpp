// An MLP on each edge of a complete bipartite block (wskan.models.ops.edge_mlp):
// y = [x +] dropout(second(act(first(normal(x)) + source + target)) + bias), where normal(x) has mean 0 and standard
// deviation 1 over the numbers of an edge. It processes 16 edges at a time, so that everything between x and y stays in
// cache. The backward pass recomputes everything from x. Also: the sums of normal(x) over the edges of each graph.
// f, h and out are multiples of 16. Numbers are floats or bfloat16; sums are floats.
#include "edge_mlp.h"

extern "C" int wskan_edge_mlp_bfloat16() { return kHasBFloat16; }

// All return 0, or 1 when out of memory, or 2 for bfloat16 on a processor without.
#if defined(__AVX512BF16__)
#define WSKAN_IN_BFLOAT16(call) return call
#else
#define WSKAN_IN_BFLOAT16(call) return 2
#endif

extern "C" int wskan_edge_mlp_forward(const EdgeMLP* b) {
  if (b->bfloat16)
    WSKAN_IN_BFLOAT16(
        (over_graphs<EdgeMLPWeights<bfloat16>, EdgeMLPScratch<bfloat16>>(*b, false, edge_mlp_forward<bfloat16>)));
  return over_graphs<EdgeMLPWeights<float>, EdgeMLPScratch<float>>(*b, false, edge_mlp_forward<float>);
}

extern "C" int wskan_edge_mlp_backward(const EdgeMLP* b) {
  if (b->bfloat16)
    WSKAN_IN_BFLOAT16(
        (over_graphs<EdgeMLPWeights<bfloat16>, EdgeMLPScratch<bfloat16>>(*b, true, edge_mlp_backward<bfloat16>)));
  return over_graphs<EdgeMLPWeights<float>, EdgeMLPScratch<float>>(*b, true, edge_mlp_backward<float>);
}

extern "C" int wskan_normal_sums_forward(const NormalSums* b) {
  if (b->bfloat16) WSKAN_IN_BFLOAT16((over_graphs<Nothing, Nothing>(*b, false, normal_sums_forward<bfloat16>)));
  return over_graphs<Nothing, Nothing>(*b, false, normal_sums_forward<float>);
}

extern "C" int wskan_normal_sums_backward(const NormalSums* b) {
  if (b->bfloat16) WSKAN_IN_BFLOAT16((over_graphs<Nothing, Nothing>(*b, true, normal_sums_backward<bfloat16>)));
  return over_graphs<Nothing, Nothing>(*b, true, normal_sums_backward<float>);
}
