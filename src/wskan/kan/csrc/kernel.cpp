// Trains B-spline KANs, one KAN a thread, everything in cache.
//
// A sample touches only the k+1 basis functions that are not zero at its x. For each input neuron the mini-batch is sorted by knot interval, so that inside a
// "bucket" the k+1 rows of coefficients are constant: they stay in registers while its samples stream past. On an interval each basis function is one
// polynomial of degree k, tabulated whenever the knots move, so evaluating the basis is Horner's rule, 16 samples at a time.
//
// Rows of coefficients are contiguous in the output neuron and padded to a multiple of 16 ("wide" layers); layers of at most 4 outputs are vectorised over
// samples instead ("narrow"). Plain C++17 with the vector extensions of gcc and clang; any instruction set. The arithmetic of a KAN never
// depends on the other KANs or on the number of threads, so its result is the same to the bit.
#include "trainer.h"

// Returns 0, or 1 when out of memory, or 2 for a degree that is not compiled in. `done` counts finished KANs while it runs; a non-zero `*stop` ends it early.
extern "C" int wskan_fit(int64_t size, int32_t layers, const int32_t* widths, int32_t grid, int32_t degree, int32_t base, int32_t loss, float** base_weight,
                         float** spline_weight, float** coef, float** mask, float** knots, int64_t points, const float* inputs, int64_t input_stride,
                         const float* targets, const int64_t* labels, const uint64_t* seeds, int64_t batch, int64_t steps, const float* rates,
                         const uint8_t* adapt, float grid_eps, int32_t threads, double* losses, int64_t* done, const volatile int32_t* stop) {
  const Problem problem{layers, grid, degree, base, loss, widths, base_weight, spline_weight, coef, mask, knots, points, std::min(batch, points), steps,
                        inputs, input_stride, targets, labels, seeds, rates, adapt, grid_eps, losses};
  static_assert(sizeof(std::atomic<int64_t>) == sizeof(int64_t), "progress counter");
  auto& counter = *reinterpret_cast<std::atomic<int64_t>*>(done);
  std::atomic<int> failed{0};
  switch (degree) {
    case 1: train<1>(problem, size, threads, counter, stop, failed); break;
    case 2: train<2>(problem, size, threads, counter, stop, failed); break;
    case 3: train<3>(problem, size, threads, counter, stop, failed); break;
    case 4: train<4>(problem, size, threads, counter, stop, failed); break;
    case 5: train<5>(problem, size, threads, counter, stop, failed); break;
    default: return 2;
  }
  return failed;
}
