// Grid adaptation of a layer of B-splines, as in pykan's update_grid_from_samples.
#pragma once

#include <limits>

#include "spline_layer.h"

namespace {

// Updates the grid once from the current inputs X. Knots move to the quantiles of the batch, mixed with grid_eps of a
// uniform grid, and the coefficients are refitted to the old spline by least squares. Both splines are linear in their
// coefficients, so the refit is one C x C matrix T = argmin |A_new T - A_old| for all outputs of the neuron.
template <int K>
bool SplineLayer<K>::adapt(float eps, double rcond) {
  std::vector<float> x(B), old_value(size_t(B + 1) * R);
  std::vector<int> old_row(B + 1);
  std::vector<double> gram(C * C), cross(C * C);
  std::vector<float> before(size_t(C) * OP);
  for (int p = 0; p < I; ++p) {
    std::memcpy(x.data(), X + p * B, B * sizeof(float));
    for (float value : x)
      if (!std::isfinite(value)) return false;
    sort(p);
    evaluate(p);
    each(p, [&](const Sample& x) {
      old_row[x.b] = x.row;
      for (int r = 0; r < R; ++r) old_value[x.b * R + r] = x.value[r * x.stride];
    });
    std::sort(x.begin(), zeros[p] ? std::remove(x.begin(), x.end(), 0.0f) : x.end());
    if (zeros[p]) insert_zeros(x, zeros[p]);
    place(p, x, eps);
    tabulate(p);
    sort(p);
    evaluate(p);
    std::fill(gram.begin(), gram.end(), 0.0);
    std::fill(cross.begin(), cross.end(), 0.0);
    each(p, [&](const Sample& x) {
      for (int r = 0; r < R; ++r) {
        const int i = x.row + r - K;
        if (i < 0 || i >= C) continue;
        const double f = double(x.value[r * x.stride]) * x.weight;
        for (int s = 0; s < R; ++s) {
          if (const int j = x.row + s - K; j >= 0 && j < C) gram[i * C + j] += f * x.value[s * x.stride];
          if (const int j = old_row[x.b] + s - K; j >= 0 && j < C) cross[i * C + j] += f * old_value[x.b * R + s];
        }
      }
    });
    solve(gram, cross, rcond > 0 ? rcond : double(std::numeric_limits<float>::epsilon()) * std::max(B, C));
    std::memcpy(before.data(), coef + size_t(p) * C * OP, size_t(C) * OP * sizeof(float));
    float* after = coef + size_t(p) * C * OP;
    std::memset(after, 0, size_t(C) * OP * sizeof(float));
    for (int i = 0; i < C; ++i)
      for (int j = 0; j < C; ++j) {
        const float weight = float(cross[i * C + j]);
        for (int q = 0; q < OP; ++q) after[i * OP + q] += weight * before[j * OP + q];
      }
  }
  refresh();
  return true;
}

// Inserts n zeros into the sorted numbers at the beginning of x, so that all of x is sorted.
template <int K>
void SplineLayer<K>::insert_zeros(std::vector<float>& x, int n) {
  const auto end = x.end() - n, here = std::lower_bound(x.begin(), end, 0.0f);
  std::move_backward(here, end, x.end());
  std::fill(here, here + n, 0.0f);
}

// Places the knots as pykan's get_grid and extend_grid do.
template <int K>
void SplineLayer<K>::place(int p, const std::vector<float>& x, float eps) {
  const int G = C - K;
  float* t = knots + p * T + K;
  const float step = (x[B - 1] - x[0]) / G;
  for (int i = 0; i <= G; ++i) {
    const float quantile = i < G ? x[int(double(B) / G * i)] : x[B - 1];
    t[i] = eps * (x[0] + step * i) + (1 - eps) * quantile;
  }
  const float h = (t[G] - t[0]) / G;
  for (int i = 1; i <= K; ++i) {
    t[-i] = t[0] - h * i;
    t[G + i] = t[G] + h * i;
  }
}

// cross <- pinv(gram) cross. Uses Cholesky if gram is well conditioned. Otherwise uses its eigenvectors, without those
// below the cut-off (of singular values of A_new).
template <int K>
void SplineLayer<K>::solve(std::vector<double>& gram, std::vector<double>& cross, double cutoff) const {
  std::vector<double> a = gram;
  double largest = 0;
  for (int i = 0; i < C; ++i) largest = std::max(largest, a[i * C + i]);
  bool good = largest > 0;
  const double well = std::max(1e-8, 1e4 * cutoff * cutoff);
  for (int j = 0; j < C && good; ++j) {
    for (int k = std::max(0, j - K); k < j; ++k) a[j * C + j] -= a[j * C + k] * a[j * C + k];
    good = a[j * C + j] > well * largest;
    if (!good) break;
    a[j * C + j] = std::sqrt(a[j * C + j]);
    for (int i = j + 1; i <= std::min(C - 1, j + K); ++i) {  // gram is banded
      for (int k = std::max(0, i - K); k < j; ++k) a[i * C + j] -= a[i * C + k] * a[j * C + k];
      a[i * C + j] /= a[j * C + j];
    }
  }
  if (!good) return pseudo_solve(gram, cross, cutoff);
  for (int i = 0; i < C; ++i) {
    for (int k = std::max(0, i - K); k < i; ++k)
      for (int j = 0; j < C; ++j) cross[i * C + j] -= a[i * C + k] * cross[k * C + j];
    for (int j = 0; j < C; ++j) cross[i * C + j] /= a[i * C + i];
  }
  for (int i = C - 1; i >= 0; --i) {
    for (int k = i + 1; k <= std::min(C - 1, i + K); ++k)
      for (int j = 0; j < C; ++j) cross[i * C + j] -= a[k * C + i] * cross[k * C + j];
    for (int j = 0; j < C; ++j) cross[i * C + j] /= a[i * C + i];
  }
}

template <int K>
void SplineLayer<K>::pseudo_solve(std::vector<double>& a, std::vector<double>& cross, double cutoff) const {
  std::vector<double> vectors(C * C, 0.0), result(C * C, 0.0);  // eigenvectors as rows
  for (int i = 0; i < C; ++i) vectors[i * C + i] = 1;
  for (int sweep = 0; sweep < 30; ++sweep) {  // cyclic Jacobi
    double off = 0, diagonal = 0;
    for (int i = 0; i < C; ++i)
      for (int j = 0; j < C; ++j) (i == j ? diagonal : off) += a[i * C + j] * a[i * C + j];
    if (!(off > 1e-26 * diagonal)) break;
    for (int i = 0; i < C; ++i)
      for (int j = i + 1; j < C; ++j) {
        if (a[i * C + j] == 0) continue;
        const double theta = (a[j * C + j] - a[i * C + i]) / (2 * a[i * C + j]);
        const double tangent = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double cosine = 1 / std::sqrt(tangent * tangent + 1), sine = tangent * cosine;
        const double first = a[i * C + i] - tangent * a[i * C + j], last = a[j * C + j] + tangent * a[i * C + j];
        rotate(&a[i * C], &a[j * C], C, cosine, sine);
        for (int k = 0; k < C; ++k) {  // by symmetry
          a[k * C + i] = a[i * C + k];
          a[k * C + j] = a[j * C + k];
        }
        a[i * C + i] = first; a[j * C + j] = last;
        a[i * C + j] = a[j * C + i] = 0;
        rotate(&vectors[i * C], &vectors[j * C], C, cosine, sine);
      }
  }
  double largest = 0;
  for (int i = 0; i < C; ++i) largest = std::max(largest, a[i * C + i]);
  for (int e = 0; e < C; ++e) {
    if (!(a[e * C + e] > cutoff * cutoff * largest)) continue;
    for (int j = 0; j < C; ++j) {
      double dot = 0;
      for (int k = 0; k < C; ++k) dot += vectors[e * C + k] * cross[k * C + j];
      for (int i = 0; i < C; ++i) result[i * C + j] += vectors[e * C + i] * dot / a[e * C + e];
    }
  }
  cross = result;
}

template <int K>
void SplineLayer<K>::rotate(double* x, double* y, int n, double cosine, double sine) {
  for (int k = 0; k < n; ++k) {
    const double z = cosine * x[k] - sine * y[k];
    y[k] = sine * x[k] + cosine * y[k];
    x[k] = z;
  }
}

}  // namespace
