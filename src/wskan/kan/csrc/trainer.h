// Training of whole KANs, one per thread.
#pragma once

#include <limits>

#include "network.h"

namespace {

constexpr int64_t kEvaluated = 4096;  // about so many evenly spread points are enough for the final loss

struct Training {  // the settings and data of all KANs
  KANs kans;
  int32_t loss;  // 0: mean squared error, 1: cross-entropy
  int64_t points, batch, steps;
  const float* inputs;
  int64_t input_stride;  // 0 if all KANs share the inputs
  const float* targets;  // [K, N, out] for the mean squared error
  const int64_t* labels; // [K, N] for cross-entropy
  const uint64_t* seeds;
  const float* rates;    // learning rate of each step
  const uint8_t* adapt;  // whether a step begins with a grid update
  float grid_eps, rcond;  // rcond 0: the default for single precision
  double* losses;
};

template <class Layer>
class Trainer : Network<Layer> {
  using Network<Layer>::layers;
  using Network<Layer>::gather;
  using Network<Layer>::advance;
  using Network<Layer>::forward;

 public:
  explicit Trainer(const Training& problem)
      : Network<Layer>(problem.kans, int(problem.batch)), P(problem), order(problem.points) {}

  void run(int64_t k) {
    const float* inputs = P.inputs + k * P.input_stride;
    this->read(k);
    double beta1 = 1, beta2 = 1;
    bool good = true;
    for (int64_t step = 0; step < P.steps && good; ++step) {
      minibatch(P.seeds[k], step, P.points, P.batch, order);
      gather(inputs, order.data());
      if (P.adapt[step])
        for (int l = 0; l < P.kans.layers && good; ++l) {
          good = layers[l].adapt(P.grid_eps, P.rcond);
          if (l + 1 < P.kans.layers) advance(l);
        }
      forward();
      good = good && std::isfinite(loss(k, order.data(), 0, true));
      beta1 *= kBeta1;
      beta2 *= kBeta2;
      const AdamStep adam{float(P.rates[step] / (1 - beta1)), float(1 / std::sqrt(1 - beta2))};
      for (int l = P.kans.layers - 1; l >= 0; --l) {
        layers[l].backward(l > 0, adam);
        if (l > 0) {
          auto &upper = layers[l], &lower = layers[l - 1];
          transpose(upper.dX, upper.B, upper.I, upper.B, lower.dY, lower.OP);
        }
      }
    }
    P.losses[k] = good ? evaluate(k, inputs) : std::numeric_limits<double>::quiet_NaN();
    this->write(k);
  }

 private:
  const Training& P;
  std::vector<int32_t> order;

  // Returns the sum of the losses of samples from..B (for the squared error, means over outputs). Writes the gradient
  // of the mean over the batch to dY.
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
          for (int q = 0; q < last.O; ++q)
            g[q] = float((std::exp(double(y[q]) - top) / sum - (q == label)) / last.B);
      }
    }
    return total;
  }

  // Returns the mean loss over all points, or over some evenly spread ones if there are many. The last mini-batch
  // overlaps the one before it.
  double evaluate(int64_t k, const float* inputs) {
    const int64_t batch = layers[0].B, every = std::max<int64_t>(1, P.points / std::max(kEvaluated, batch)),
                  count = P.points / every;
    double total = 0;
    for (int64_t done = 0; done < count; done += batch) {
      const int64_t begin = std::min(done, count - batch);
      for (int64_t b = 0; b < batch; ++b) order[b] = int32_t((begin + b) * every);
      gather(inputs, order.data());
      forward();
      total += loss(k, order.data(), int(done - begin), false);
    }
    return total / double(count);
  }
};

}  // namespace
