// Trains and evaluates KANs, one KAN per thread, with all data in cache.
//
// With B-splines, a sample needs only the k+1 functions that are nonzero at its x (spline_layer.h). For each input
// neuron the mini-batch is sorted by knot interval. Inside such a "bucket" the k+1 rows of coefficients are constant
// and stay in registers while its samples stream past. On an interval each function is one polynomial of degree k,
// which is tabulated whenever the knots move. So the basis is evaluated by Horner's rule, 16 samples at a time.
//
// In the other bases all functions are nonzero, and a layer is three matrix products (dense_layer.h).
//
// This is plain C++17 with the vector extensions of gcc and clang, for any instruction set. The arithmetic of a KAN
// never depends on the other KANs or on the number of threads, so its result is the same bit for bit.
#include "dense_functions.h"
#include "dense_layer.h"
#include "evaluator.h"
#include "spline_adapt.h"
#include "spline_passes.h"
#include "trainer.h"

namespace {

static_assert(sizeof(std::atomic<int64_t>) == sizeof(int64_t), "progress counter");

template <class T>
struct Type { using type = T; };

// Returns 0, or 1 if out of memory, or 2 for a basis or degree that is not compiled in.
template <template <class> class Worker, class Problem>
int run(const Problem& problem, int64_t size, int threads, int64_t* done, const volatile int32_t* stop) {
  auto& counter = *reinterpret_cast<std::atomic<int64_t>*>(done);
  auto with = [&](auto layer) {
    return int(each_kan<Worker<typename decltype(layer)::type>>(problem, size, threads, counter, stop));
  };
  switch (problem.kans.basis) {  // in the order of wskan.kan.bases
    case 0:
      switch (problem.kans.degree) {
        case 1: return with(Type<SplineLayer<1>>{});
        case 2: return with(Type<SplineLayer<2>>{});
        case 3: return with(Type<SplineLayer<3>>{});
        case 4: return with(Type<SplineLayer<4>>{});
        case 5: return with(Type<SplineLayer<5>>{});
        default: return 2;
      }
    case 1: return with(Type<DenseLayer<Gaussians>>{});
    case 2: return with(Type<DenseLayer<Chebyshev>>{});
    case 3: return with(Type<DenseLayer<Fourier>>{});
    case 4: return with(Type<DenseLayer<Hats>>{});
    default: return 2;
  }
}

}  // namespace

// `done` counts finished KANs; a nonzero `*stop` ends the run early.
extern "C" int wskan_fit(
    const Training* problem, int64_t size, int32_t threads, int64_t* done, const volatile int32_t* stop) {
  return run<Trainer>(*problem, size, threads, done, stop);
}

extern "C" int wskan_evaluate(
    const Evaluation* problem, int64_t size, int32_t threads, int64_t* done, const volatile int32_t* stop) {
  return run<Evaluator>(*problem, size, threads, done, stop);
}
