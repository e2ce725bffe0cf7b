// Trains and evaluates B-spline KANs, one KAN a thread, everything in cache.
//
// A sample touches only the k+1 basis functions that are not zero at its x. For each input neuron the mini-batch is sorted by knot interval, so that inside a
// "bucket" the k+1 rows of coefficients are constant: they stay in registers while its samples stream past. On an interval each basis function is one
// polynomial of degree k, tabulated whenever the knots move, so evaluating the basis is Horner's rule, 16 samples at a time.
//
// Rows of coefficients are contiguous in the output neuron and padded to a multiple of 16 ("wide" layers); layers of at most 4 outputs are vectorised over
// samples instead ("narrow"). Plain C++17 with the vector extensions of gcc and clang; any instruction set. The arithmetic of a KAN never
// depends on the other KANs or on the number of threads, so its result is the same to the bit.
#include "evaluator.h"
#include "trainer.h"

namespace {

static_assert(sizeof(std::atomic<int64_t>) == sizeof(int64_t), "progress counter");

// 0, or 1 when out of memory, or 2 for a degree that is not compiled in.
template <template <int> class Worker, class Problem>
int run(const Problem& problem, int64_t size, int threads, int64_t* done, const volatile int32_t* stop) {
  auto& counter = *reinterpret_cast<std::atomic<int64_t>*>(done);
  switch (problem.kans.degree) {
    case 1: return each_kan<Worker<1>>(problem, size, threads, counter, stop);
    case 2: return each_kan<Worker<2>>(problem, size, threads, counter, stop);
    case 3: return each_kan<Worker<3>>(problem, size, threads, counter, stop);
    case 4: return each_kan<Worker<4>>(problem, size, threads, counter, stop);
    case 5: return each_kan<Worker<5>>(problem, size, threads, counter, stop);
    default: return 2;
  }
}

}  // namespace

// `done` counts finished KANs while it runs; a non-zero `*stop` ends it early.
extern "C" int wskan_fit(const Training* problem, int64_t size, int32_t threads, int64_t* done, const volatile int32_t* stop) {
  return run<Trainer>(*problem, size, threads, done, stop);
}

extern "C" int wskan_evaluate(const Evaluation* problem, int64_t size, int32_t threads, int64_t* done, const volatile int32_t* stop) {
  return run<Evaluator>(*problem, size, threads, done, stop);
}
