// Bases whose functions are nonzero everywhere, as defined in wskan.kan.bases: values and slopes at 16 samples of a
// neuron.
//
// Each struct is set up for a neuron from its G + 1 knots and then called with the samples x. Value i goes to
// value + 16 i, slope i to slope + 16 i if slope is not null.
#pragma once

#include "vector.h"

namespace {

struct Gaussians {  // exp(-((x - g_i) / h)^2)
  int count;
  const float* centres;
  float rate;
  static int size(int grid, int /*degree*/) { return grid + 1; }
  Gaussians(const float* knots, int grid, int /*degree*/)
      : count(grid + 1), centres(knots), rate(float(grid / (double(knots[grid]) - knots[0]))) {}

  void operator()(v16 x, float* value, float* slope) const {
    for (int i = 0; i < count; ++i) {
      const v16 t = (x - centres[i]) * rate, y = exponential(-t * t);
      store(value + 16 * i, y);
      if (slope) store(slope + 16 * i, t * y * (-2 * rate));
    }
  }
};

struct Place {  // u from -1 at the beginning of the domain to 1 at its end
  float middle, rate;
  Place(const float* knots, int grid)
      : middle(float((double(knots[0]) + knots[grid]) / 2)), rate(float(2 / (double(knots[grid]) - knots[0]))) {}
  v16 operator()(v16 x) const { return (x - middle) * rate; }
};

inline v16 hyperbolic_tangent(v16 x) {
  v16 size = x < 0.0f ? -x : x;
  const v16 y = exponential(-2.0f * size), large = (1.0f - y) / (1.0f + y);
  // `large` loses digits near zero, so use a series there.
  const v16 s = x * x,
            small = size * (1.0f + s * (-1.0f / 3 + s * (2.0f / 15 + s * (-17.0f / 315 + s * (62.0f / 2835)))));
  size = size < 0.25f ? small : large;
  return x < 0.0f ? -size : size;
}

struct Chebyshev {  // T_j(tanh(u)); the slope of T_j is j U_{j-1}
  int count;
  Place place;
  static int size(int /*grid*/, int degree) { return degree + 1; }
  Chebyshev(const float* knots, int grid, int degree) : count(degree + 1), place(knots, grid) {}

  void operator()(v16 x, float* value, float* slope) const {
    const v16 t = hyperbolic_tangent(place(x)), inner = (1.0f - t * t) * place.rate;
    v16 first = splat(1.0f), next = t, below = splat(0.0f), second = splat(1.0f);  // T_j, T_{j+1}, U_{j-1}, U_j
    for (int j = 0; j < count; ++j) {
      store(value + 16 * j, first);
      if (slope) store(slope + 16 * j, below * inner * float(j));
      const v16 third = 2.0f * t * next - first, higher = 2.0f * t * second - below;
      first = next; next = third;
      below = second; second = higher;
    }
  }
};

struct Fourier {  // 1, cos(j pi u), sin(j pi u)
  int grid;
  Place place;
  static int size(int grid, int /*degree*/) { return 2 * grid + 1; }
  Fourier(const float* knots, int grid, int /*degree*/) : grid(grid), place(knots, grid) {}

  void operator()(v16 x, float* value, float* slope) const {
    const float magic = 12582912.0f;  // adding it rounds to the nearest integer
    v16 turns = place(x) * 0.5f;
    turns = turns - ((turns + magic) - magic);
    const v16 a = turns * 1.57079632679f, s = a * a;  // a quarter of the angle, at most pi / 4
    v16 sine = a * (1.0f + s * (-1.0f / 6 + s * (1.0f / 120 + s * (-1.0f / 5040 + s * (1.0f / 362880)))));
    v16 cosine = 1.0f + s * (-0.5f + s * (1.0f / 24 + s * (-1.0f / 720 + s * (1.0f / 40320))));
    for (int twice = 0; twice < 2; ++twice) {
      const v16 product = sine * cosine;
      cosine = 1.0f - 2.0f * sine * sine;
      sine = 2.0f * product;
    }
    store(value, splat(1.0f));
    if (slope) store(slope, splat(0.0f));
    v16 c = cosine, z = sine;
    for (int j = 1; j <= grid; ++j) {
      store(value + 16 * j, c);
      store(value + 16 * (grid + j), z);
      const float rate = float(j * 3.14159265358979 * place.rate);
      if (slope) store(slope + 16 * j, z * -rate);
      if (slope) store(slope + 16 * (grid + j), c * rate);
      const v16 further = c * cosine - z * sine;
      z = z * cosine + c * sine;
      c = further;
    }
  }
};

struct Hats {  // Mexican hats at dyadic dilations
  int grid, degree;
  Place place;
  static int size(int grid, int degree) { return (grid << (degree + 1)) - grid + degree + 1; }
  Hats(const float* knots, int grid, int degree) : grid(grid), degree(degree), place(knots, grid) {}

  void operator()(v16 x, float* value, float* slope) const {
    const float norm = 0.8673250705840776f;  // 2 / (sqrt(3) pi^(1/4))
    const v16 u = place(x);
    for (int level = 0; level <= degree; ++level) {
      const int n = grid << level;
      const float half = 0.5f * n;
      for (int i = 0; i <= n; ++i, value += 16, slope += slope ? 16 : 0) {
        const v16 t = u * half - (i - half), s = t * t, y = exponential(s * -0.5f) * norm;
        store(value, (1.0f - s) * y);
        if (slope) store(slope, t * (s - 3.0f) * y * (half * place.rate));
      }
    }
  }
};

}  // namespace
