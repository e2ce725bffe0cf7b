// A perceptron on each edge of a complete bipartite block (wskan.models.perceptron), y = [x +] dropout(second(act(first(normal(x)) + source + target)) + bias), where
// normal(x) has mean 0 and deviation 1 over the numbers of an edge; 16 edges at a time, so that everything between x and y stays in cache. The backward pass
// computes it again from x. And the sums of normal(x) over the edges of each graph. f, h and out are multiples of 16; numbers are floats or bfloat16, sums floats.
#include "perceptron.h"

extern "C" int wskan_perceptron_bfloat16() { return kHasBFloat16; }

// All return 0, or 1 when out of memory, or 2 for bfloat16 on a processor without.
#if defined(__AVX512BF16__)
#define WSKAN_IN_BFLOAT16(call) return call
#else
#define WSKAN_IN_BFLOAT16(call) return 2
#endif

extern "C" int wskan_perceptron_forward(const Perceptron* b) {
  if (b->bfloat16) WSKAN_IN_BFLOAT16((over_graphs<PerceptronWeights<bfloat16>, PerceptronScratch<bfloat16>>(*b, false, perceptron_forward<bfloat16>)));
  return over_graphs<PerceptronWeights<float>, PerceptronScratch<float>>(*b, false, perceptron_forward<float>);
}

extern "C" int wskan_perceptron_backward(const Perceptron* b) {
  if (b->bfloat16) WSKAN_IN_BFLOAT16((over_graphs<PerceptronWeights<bfloat16>, PerceptronScratch<bfloat16>>(*b, true, perceptron_backward<bfloat16>)));
  return over_graphs<PerceptronWeights<float>, PerceptronScratch<float>>(*b, true, perceptron_backward<float>);
}

extern "C" int wskan_normal_sums_forward(const NormalSums* b) {
  if (b->bfloat16) WSKAN_IN_BFLOAT16((over_graphs<Nothing, Nothing>(*b, false, normal_sums_forward<bfloat16>)));
  return over_graphs<Nothing, Nothing>(*b, false, normal_sums_forward<float>);
}

extern "C" int wskan_normal_sums_backward(const NormalSums* b) {
  if (b->bfloat16) WSKAN_IN_BFLOAT16((over_graphs<Nothing, Nothing>(*b, true, normal_sums_backward<bfloat16>)));
  return over_graphs<Nothing, Nothing>(*b, true, normal_sums_backward<float>);
}
