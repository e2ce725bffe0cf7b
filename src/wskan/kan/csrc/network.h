// The layers of a KAN, applied to a mini-batch.
#pragma once

#include <atomic>
#include <thread>

#include "optimize.h"

namespace {

// Sets to[j][i] = from[i][j], for n rows of m numbers.
__attribute__((noinline)) void transpose(const float* from, int from_stride, int n, int m, float* to, int to_stride) {
  for (int j = 0; j < m; j += 16)
    for (int i = 0; i < n; i += 16)
      for (int b = j; b < std::min(j + 16, m); ++b)
        for (int a = i; a < std::min(i + 16, n); ++a) to[b * to_stride + a] = from[a * from_stride + b];
}

struct KANs {  // K KANs of one architecture
  int32_t layers, basis, grid, degree, base;
  const int32_t* widths;
  float **base_weight, **spline_weight, **coef, **mask, **knots;  // per layer, [K, ...]
};

template <class Layer>  // SplineLayer or DenseLayer
class Network {
 public:
  Network(const KANs& kans, int batch) : kans(kans), layers(kans.layers) {
    for (int l = 0; l < kans.layers; ++l)
      layers[l].setup(kans.widths[l], kans.widths[l + 1], kans.grid, kans.degree, batch, kans.base, l == 0);
  }

 protected:
  const KANs& kans;
  std::vector<Layer> layers;

  void read(int64_t k) {
    for (int l = 0; l < kans.layers; ++l) {
      const int64_t edges = int64_t(layers[l].I) * layers[l].O;
      layers[l].read(
          kans.base_weight[l] + k * edges,
          kans.spline_weight[l] + k * edges,
          kans.coef[l] + k * edges * layers[l].C,
          kans.mask[l] + k * edges,
          kans.knots[l] + k * layers[l].I * layers[l].T);
    }
  }

  void write(int64_t k) {
    for (int l = 0; l < kans.layers; ++l) {
      const int64_t edges = int64_t(layers[l].I) * layers[l].O;
      layers[l].write(
          kans.base_weight[l] + k * edges,
          kans.spline_weight[l] + k * edges,
          kans.coef[l] + k * edges * layers[l].C,
          kans.knots[l] + k * layers[l].I * layers[l].T);
    }
  }

  // Collects the inputs of some samples, 16 at a time so that whole cache lines are written.
  __attribute__((noinline)) void gather(const float* inputs, const int32_t* rows) {
    auto& layer = layers[0];
    for (int first = 0; first < layer.B; first += 16)
      for (int p = 0; p < layer.I; ++p)
        for (int b = first; b < std::min(first + 16, layer.B); ++b)
          layer.X[p * layer.B + b] = inputs[int64_t(rows[b]) * layer.I + p];
  }

  void advance(int l) {
    layers[l].forward();
    if (l + 1 == kans.layers) return;
    auto &from = layers[l], &to = layers[l + 1];
    transpose(from.Y, from.OP, from.B, to.I, to.X, to.B);
  }

  void forward() {
    for (int l = 0; l < kans.layers; ++l) advance(l);
  }
};

// Runs a `Worker` per thread until all of `size` KANs are done; returns true if out of memory. `done` counts finished
// KANs; a nonzero `*stop` ends the run early.
template <class Worker, class Problem>
bool each_kan(
    const Problem& problem, int64_t size, int threads, std::atomic<int64_t>& done, const volatile int32_t* stop) {
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  auto work = [&] {
    FlushDenormals flush;
    try {
      Worker worker(problem);
      for (int64_t k; !*stop && (k = next++) < size; ++done) worker.run(k);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
  };
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) pool.emplace_back(work);
  for (auto& thread : pool) thread.join();
  return failed;
}

}  // namespace
