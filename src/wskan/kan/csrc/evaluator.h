// Evaluation of whole KANs and of the variation of their edges and neurons, one KAN per thread.
#pragma once

#include "network.h"

namespace {

constexpr int kEvaluationBatch = 256;

struct Evaluation {
  KANs kans;
  int64_t points;
  const float* inputs;
  int64_t input_stride;                   // 0 if all KANs share the inputs
  float* outputs;                         // [K, N, out], or null
  // Per layer, [K, in, out] twice (edge_mean of absolute values) and [K, out], or null.
  float **edge_std, **edge_mean, **node_std;
  int64_t edge_points;                    // number of first inputs at which edges are evaluated
  float **node_values, **edge_values;     // per layer, [K, out, N] and [K, in, out, edge_points], or null
};

struct Moments {  // sums over samples of a quantity, shifted by one of its values, and of its absolute values
  std::vector<float> shift;
  std::vector<double> sum, square, absolute;
  void reset(size_t n) {
    shift.assign(n, 0); sum.assign(n, 0); square.assign(n, 0); absolute.assign(n, 0);
  }
  float deviation(size_t i, int64_t n) const {
    return float(std::sqrt(std::max(0.0, (square[i] - sum[i] * sum[i] / n) / (n - 1))));
  }
};

template <class Layer>
class Evaluator : Network<Layer> {
  using Network<Layer>::layers;

 public:
  explicit Evaluator(const Evaluation& problem)
      : Network<Layer>(problem.kans, int(std::min<int64_t>(problem.points, kEvaluationBatch))),
        P(problem),
        order(layers[0].B),
        edges(layers.size()),
        nodes(layers.size()) {}

  void run(int64_t k) {
    const float* inputs = P.inputs + k * P.input_stride;
    this->read(k);
    for (size_t l = 0; l < layers.size(); ++l) {
      edges[l].reset(P.edge_std ? size_t(layers[l].I) * layers[l].OP : 0);
      nodes[l].reset(P.edge_std ? layers[l].OP : 0);
    }
    for (int64_t begin = 0; begin < P.points; begin += kEvaluationBatch) {
      const int size = int(std::min<int64_t>(kEvaluationBatch, P.points - begin));
      for (int b = 0; b < size; ++b) order[b] = int32_t(begin + b);
      for (auto& layer : layers) layer.B = size;
      this->gather(inputs, order.data());
      this->forward();
      if (P.outputs) copy(k, begin, size);
      for (size_t l = 0; P.edge_std && l < layers.size(); ++l) measure(layers[l], edges[l], nodes[l], begin == 0);
      for (size_t l = 0; P.node_values && l < layers.size(); ++l)
        record(layers[l], k, begin, P.node_values[l], P.edge_values[l]);
    }
    if (P.edge_std) report(k);
  }

 private:
  const Evaluation& P;
  std::vector<int32_t> order;
  std::vector<Moments> edges, nodes;

  void copy(int64_t k, int64_t begin, int size) {
    const auto& last = layers.back();
    for (int b = 0; b < size; ++b)
      for (int q = 0; q < last.O; ++q)
        P.outputs[(k * P.points + begin + b) * last.O + q] = last.Y.data()[b * last.OP + q];
  }

  void record(Layer& layer, int64_t k, int64_t begin, float* node, float* edge) const {
    for (int q = 0; q < layer.O; ++q)
      for (int b = 0; b < layer.B; ++b) node[(k * layer.O + q) * P.points + begin + b] = layer.Y[b * layer.OP + q];
    const int wanted = int(std::min<int64_t>(layer.B, P.edge_points - begin));
    for (int p = 0; wanted > 0 && p < layer.I; ++p) {
      float* to = edge + (k * layer.I + p) * layer.O * P.edge_points + begin;
      layer.each(p, [&](const Sample& x) {
        const bool zeros = x.b == layer.B;  // one sample for all that are zero
        if (x.b >= wanted && !zeros) return;
        for (int q = 0; q < layer.O; ++q) {
          const float phi = value(layer, p, q, x);
          for (int b = zeros ? 0 : x.b, end = zeros ? wanted : x.b + 1; b < end; ++b)
            if (!zeros || layer.X[p * layer.B + b] == 0.0f) to[q * P.edge_points + b] = phi;
        }
      });
    }
  }

  static float value(const Layer& layer, int p, int q, const Sample& x) {
    const float* e = layer.E + size_t(p * layer.rows + x.row) * layer.OP;
    float phi = x.base * layer.wb[p * layer.OP + q];
    for (int r = 0; r < layer.R; ++r) phi += x.value[r * x.stride] * e[r * layer.OP + q];
    return phi;
  }

  static void measure(Layer& layer, Moments& edge, Moments& node, bool first) {
    const int OP = layer.OP;
    for (int p = 0; p < layer.I; ++p) {
      float* shift = &edge.shift[size_t(p) * OP];
      const float* w = layer.wb + p * OP;
      bool fresh = first;
      double *sum = &edge.sum[size_t(p) * OP], *square = &edge.square[size_t(p) * OP],
             *absolute = &edge.absolute[size_t(p) * OP];
      layer.each(p, [&](const Sample& x) {
        const float* e = layer.E + size_t(p * layer.rows + x.row) * OP;
        for (int q = 0; q < OP; ++q) {
          float phi = x.base * w[q];
          for (int r = 0; r < layer.R; ++r) phi += x.value[r * x.stride] * e[r * OP + q];
          if (fresh) shift[q] = phi;
          const double d = double(phi) - shift[q];
          sum[q] += x.weight * d; square[q] += x.weight * d * d; absolute[q] += x.weight * std::fabs(phi);
        }
        fresh = false;
      });
    }
    for (int b = 0; b < layer.B; ++b)
      for (int q = 0; q < layer.O; ++q) {
        const float y = layer.Y[b * OP + q];
        if (first && b == 0) node.shift[q] = y;
        const double d = double(y) - node.shift[q];
        node.sum[q] += d; node.square[q] += d * d;
      }
  }

  void report(int64_t k) {
    for (size_t l = 0; l < layers.size(); ++l) {
      const auto& layer = layers[l];
      for (int p = 0; p < layer.I; ++p)
        for (int q = 0; q < layer.O; ++q) {
          const size_t from = size_t(p) * layer.OP + q, to = (size_t(k) * layer.I + p) * layer.O + q;
          P.edge_std[l][to] = edges[l].deviation(from, P.points);
          P.edge_mean[l][to] = float(edges[l].absolute[from] / P.points);
        }
      for (int q = 0; q < layer.O; ++q) P.node_std[l][k * layer.O + q] = nodes[l].deviation(q, P.points);
    }
  }
};

}  // namespace
