// Training of whole KANs, one a thread.
#pragma once

#include <atomic>
#include <limits>
#include <thread>

#include "adapt.h"
#include "passes.h"

namespace {

// to[j][i] = from[i][j], for n rows of m numbers.
__attribute__((noinline)) void transpose(const float* from, int from_stride, int n, int m, float* to, int to_stride) {
  for (int j = 0; j < m; j += 16)
    for (int i = 0; i < n; i += 16)
      for (int b = j; b < std::min(j + 16, m); ++b)
        for (int a = i; a < std::min(i + 16, n); ++a) to[b * to_stride + a] = from[a * from_stride + b];
}

struct Problem {  // everything the KANs have in common
  int32_t layers, grid, degree, base, loss;
  const int32_t* widths;
  float **base_weight, **spline_weight, **coef, **mask, **knots;  // of each layer, [K, ...]
  int64_t points, batch, steps;
  const float* inputs;
  int64_t input_stride;  // 0 when all KANs share the inputs
  const float* targets;  // [K, N, out] for the mean squared error
  const int64_t* labels; // [K, N] for cross-entropy
  const uint64_t* seeds;
  const float* rates;    // learning rate of each step
  const uint8_t* adapt;  // whether a step begins with a grid update
  float grid_eps;
  double* losses;
};

template <int K>
class Trainer {
 public:
  explicit Trainer(const Problem& problem) : P(problem), layers(problem.layers), order(problem.points) {
    for (int l = 0; l < P.layers; ++l) layers[l].setup(P.widths[l], P.widths[l + 1], P.grid, int(P.batch), P.base);
  }

  void run(int64_t k) {
    const float* inputs = P.inputs + k * P.input_stride;
    for (int l = 0; l < P.layers; ++l) {
      const int64_t edges = int64_t(layers[l].I) * layers[l].O;
      layers[l].read(P.base_weight[l] + k * edges, P.spline_weight[l] + k * edges, P.coef[l] + k * edges * layers[l].C,
                     P.mask[l] + k * edges, P.knots[l] + k * layers[l].I * layers[l].T);
    }
    double beta1 = 1, beta2 = 1;
    bool good = true;
    for (int64_t step = 0; step < P.steps && good; ++step) {
      minibatch(P.seeds[k], step, P.points, P.batch, order);
      gather(inputs, order.data());
      if (P.adapt[step])
        for (int l = 0; l < P.layers && good; ++l) {
          good = layers[l].adapt(P.grid_eps);
          if (l + 1 < P.layers) advance(l);
        }
      forward();
      good = good && std::isfinite(loss(k, order.data(), 0, true));
      for (int l = P.layers - 1; l >= 0; --l) {
        layers[l].backward(l > 0);
        if (l > 0) {
          auto &upper = layers[l], &lower = layers[l - 1];
          transpose(upper.dX, upper.B, upper.I, upper.B, lower.dY, lower.OP);
        }
      }
      beta1 *= kBeta1;
      beta2 *= kBeta2;
      const AdamStep adam{float(P.rates[step] / (1 - beta1)), float(1 / std::sqrt(1 - beta2))};
      for (auto& layer : layers) layer.update(adam);
    }
    P.losses[k] = good ? evaluate(k, inputs) : std::numeric_limits<double>::quiet_NaN();
    for (int l = 0; l < P.layers; ++l) {
      const int64_t edges = int64_t(layers[l].I) * layers[l].O;
      layers[l].write(P.base_weight[l] + k * edges, P.spline_weight[l] + k * edges, P.coef[l] + k * edges * layers[l].C,
                      P.knots[l] + k * layers[l].I * layers[l].T);
    }
  }

 private:
  const Problem& P;
  std::vector<LayerState<K>> layers;
  std::vector<int32_t> order;

  void gather(const float* inputs, const int32_t* rows) {
    auto& layer = layers[0];
    for (int b = 0; b < layer.B; ++b)
      for (int p = 0; p < layer.I; ++p) layer.X[p * layer.B + b] = inputs[int64_t(rows[b]) * layer.I + p];
  }

  void advance(int l) {
    layers[l].forward();
    if (l + 1 == P.layers) return;
    auto &from = layers[l], &to = layers[l + 1];
    transpose(from.Y, from.OP, from.B, to.I, to.X, to.B);
  }

  void forward() {
    for (int l = 0; l < P.layers; ++l) advance(l);
  }

  // Sum over samples from..B of the loss of each (mean over outputs for the squared error); its gradient for the mean over the batch, into dY.
  double loss(int64_t k, const int32_t* rows, int from, bool gradient) {
    auto& last = layers.back();
    double total = 0;
    for (int b = from; b < last.B; ++b) {
      const float* y = last.Y + b * last.OP;
      float* g = last.dY + b * last.OP;
      if (P.loss == 0) {
        const float* target = P.targets + (k * P.points + rows[b]) * last.O;
        for (int q = 0; q < last.O; ++q) {
          const float error = y[q] - target[q];
          total += double(error) * error / last.O;
          if (gradient) g[q] = error * (2.0f / (float(last.B) * last.O));
        }
      } else {
        const int64_t label = P.labels[k * P.points + rows[b]];
        double sum = 0;
        const float top = *std::max_element(y, y + last.O);
        for (int q = 0; q < last.O; ++q) sum += std::exp(double(y[q]) - top);
        total += std::log(sum) + top - y[label];
        if (gradient)
          for (int q = 0; q < last.O; ++q) g[q] = float((std::exp(double(y[q]) - top) / sum - (q == label)) / last.B);
      }
    }
    return total;
  }

  // Mean loss over all points; the last mini-batch overlaps the one before it.
  double evaluate(int64_t k, const float* inputs) {
    const int64_t batch = layers[0].B;
    double total = 0;
    for (int64_t done = 0; done < P.points; done += batch) {
      const int64_t begin = std::min(done, P.points - batch);
      for (int64_t b = 0; b < batch; ++b) order[b] = int32_t(begin + b);
      gather(inputs, order.data());
      forward();
      total += loss(k, order.data(), int(done - begin), false);
    }
    return total / double(P.points);
  }
};

template <int K>
void train(const Problem& problem, int64_t size, int threads, std::atomic<int64_t>& done, const volatile int32_t* stop, std::atomic<int>& failed) {
  std::atomic<int64_t> next{0};
  auto work = [&] {
    FlushDenormals flush;
    try {
      Trainer<K> trainer(problem);
      for (int64_t k; !*stop && (k = next++) < size; ++done) trainer.run(k);
    } catch (const std::bad_alloc&) {
      failed = 1;
    }
  };
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; ++i) pool.emplace_back(work);
  for (auto& thread : pool) thread.join();
}

}  // namespace
