// The parameters of one layer of one KAN in training, for every basis.
#pragma once

#include "optimize.h"

namespace {

struct Sample {  // or all samples of a neuron that are zero
  // b: index in the mini-batch (its size for the zeros); row: first of the rows of E that its functions multiply;
  // weight: number of samples
  int b, row, weight;
  const float* value;  // values of these functions, `stride` apart
  int stride;
  float base;  // value of the base function
};

// Rows of coefficients are contiguous in the output neuron. "Wide" layers pad them to a multiple of 16; "narrow" layers
// have at most 4 outputs and no padding.
struct Parameters {
  // I inputs, O outputs, OP padded outputs, C coefficients per edge; E has `rows` rows per neuron, of which `before`
  // come before the coefficients
  int I, O, OP, C, before, rows;
  bool wide;
  Buffer base, spline, coef, mask, wb, E, mb, vb, ms, vs, mc, vc;  // [I][OP], [I][C][OP], E [I][rows][OP]

  void allocate(int n_in, int n_out, int functions, int first_row, int all_rows) {
    I = n_in; O = n_out; C = functions; before = first_row; rows = all_rows;
    wide = O > 4;
    OP = wide ? (O + 15) / 16 * 16 : O;
    for (Buffer* b : {&base, &spline, &mask, &wb, &mb, &vb, &ms, &vs}) b->resize(I * OP);
    for (Buffer* b : {&coef, &mc, &vc}) b->resize(I * C * OP);
    E.resize(I * rows * OP);
  }

  void read(const float* b, const float* s, const float* c, const float* m) {
    for (Buffer* z : {&mb, &vb, &ms, &vs}) std::memset(*z, 0, I * OP * sizeof(float));
    for (Buffer* z : {&mc, &vc}) std::memset(*z, 0, I * C * OP * sizeof(float));
    for (int p = 0; p < I; ++p)
      for (int q = 0; q < O; ++q) {
        const int edge = p * O + q;
        base[p * OP + q] = b[edge]; spline[p * OP + q] = s[edge]; mask[p * OP + q] = m[edge];
        for (int i = 0; i < C; ++i) coef[(p * C + i) * OP + q] = c[edge * C + i];
      }
  }

  void write(float* b, float* s, float* c) {
    for (int p = 0; p < I; ++p)
      for (int q = 0; q < O; ++q) {
        const int edge = p * O + q;
        b[edge] = base[p * OP + q]; s[edge] = spline[p * OP + q];
        for (int i = 0; i < C; ++i) c[edge * C + i] = coef[(p * C + i) * OP + q];
      }
  }

  // E = spline_weight * mask * coef, and wb = base_weight * mask.
  void refresh() {
    for (int p = 0; p < I; ++p)
      for (int q = 0; q < OP; ++q) {
        const int j = p * OP + q;
        wb[j] = base[j] * mask[j];
        for (int i = 0; i < C; ++i)
          E[(p * rows + before + i) * OP + q] = coef[(p * C + i) * OP + q] * (spline[j] * mask[j]);
      }
  }

  // Takes one Adam step of neuron p and computes its new E and wb in one pass. The gradients dE [rows][OP] and
  // dbase [OP] pass on to the factors of E = spline_weight * mask * coef and of wb by the chain rule.
  void update(int p, const AdamStep& adam, float* dE, float* dbase) {
    int q = 0;
    for (; q + 16 <= OP; q += 16) {
      const int j = p * OP + q;
      const v16 m = load(mask + j), s = load(spline + j), scale = s * m;
      v16 ds = {};
      for (int i = 0; i < C; ++i) ds += load(dE + (before + i) * OP + q) * load(coef + (p * C + i) * OP + q);
      const v16 fresh = adam(s, ds * m, ms + j, vs + j);
      store(spline + j, fresh);
      const v16 b = adam(load(base + j), load(dbase + q) * m, mb + j, vb + j);
      store(base + j, b);
      store(wb + j, b * m);
      for (int i = 0; i < C; ++i) {
        const int at = (p * C + i) * OP + q;
        const v16 c = adam(load(coef + at), load(dE + (before + i) * OP + q) * scale, mc + at, vc + at);
        store(coef + at, c);
        store(E + (p * rows + before + i) * OP + q, c * (fresh * m));
      }
    }
    for (; q < OP; ++q) {
      const int j = p * OP + q;
      const float m = mask[j], scale = spline[j] * m;
      float ds = 0;
      for (int i = 0; i < C; ++i) ds += dE[(before + i) * OP + q] * coef[(p * C + i) * OP + q];
      adam(spline[j], ds * m, ms[j], vs[j]);
      adam(base[j], dbase[q] * m, mb[j], vb[j]);
      wb[j] = base[j] * m;
      for (int i = 0; i < C; ++i) {
        const int at = (p * C + i) * OP + q;
        adam(coef[at], dE[(before + i) * OP + q] * scale, mc[at], vc[at]);
        E[(p * rows + before + i) * OP + q] = coef[at] * (spline[j] * m);
      }
    }
  }
};

// Computes a base function (0: silu, 1: identity, 2: zero) and its derivative.
inline v16 base_value(int kind, v16 x, v16& slope) {
  if (kind == 0) {
    const v16 sigmoid = 1.0f / (1.0f + exponential(-x));
    slope = sigmoid * (1.0f + x * (1.0f - sigmoid));
    return x * sigmoid;
  }
  slope = splat(kind == 1 ? 1.0f : 0.0f);
  return kind == 1 ? x : splat(0.0f);
}

}  // namespace
