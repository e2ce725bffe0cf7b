// Mini-batches and the step of Adam.
#pragma once

#include "vector.h"

namespace {

inline uint64_t splitmix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;

// Draws the same mini-batch as wskan.kan.minibatches: a partial Fisher-Yates shuffle that depends only on (seed, step).
__attribute__((noinline)) void minibatch(
    uint64_t seed, int64_t step, int64_t n, int64_t batch, std::vector<int32_t>& order) {
  for (int64_t i = 0; i < n; ++i) order[i] = int32_t(i);
  if (batch >= n) return;
  const uint64_t base = splitmix64(seed + kGolden);
  for (int64_t i = 0; i < batch; ++i) {
    const uint64_t random = splitmix64(base + kGolden * uint64_t(step * batch + i + 1)) >> 32;
    std::swap(order[i], order[i + int64_t((random * uint64_t(n - i)) >> 32)]);
  }
}

constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEps = 1e-8f;  // torch.optim.Adam's defaults

struct AdamStep {
  float rate, correction;  // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  inline v16 operator()(v16 w, v16 g, float* m, float* v) const {
    const v16 first = load(m) + (g - load(m)) * (1 - kBeta1);
    const v16 second = load(v) * kBeta2 + g * g * (1 - kBeta2);
    store(m, first);
    store(v, second);
    return w - rate * first / (square_root(second) * correction + kEps);
  }
  inline void operator()(float& w, float g, float& m, float& v) const {
    m += (g - m) * (1 - kBeta1);
    v = v * kBeta2 + g * g * (1 - kBeta2);
    w -= rate * m / (std::sqrt(v) * correction + kEps);
  }
};

}  // namespace
