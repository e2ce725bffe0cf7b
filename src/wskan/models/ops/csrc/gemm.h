// Products of small matrices in cache, of floats, or of bfloat16 with sums in float if the processor has an instruction
// for it.
//
// The inner dimension is counted in cells of 4 bytes: a float, or a pair of bfloat16 that one instruction multiplies
// and adds. A row-major matrix of bfloat16 is a row-major matrix of pairs along its rows; `interleave` makes pairs
// along its columns.
#pragma once

#include <type_traits>

#include "tiles.h"
#include "vector.h"

namespace {

#if defined(__AVX512BF16__)
constexpr bool kHasBFloat16 = true;
#else
constexpr bool kHasBFloat16 = false;
#endif

constexpr int kRows = 12;  // rows whose sums stay in registers, kPanel columns wide: 24 of 32 vectors with AVX-512

typedef uint16_t bfloat16;
typedef uint32_t Pair;

template <class T>
struct Cells {  // of numbers of type T
  typedef float Cell;
  static constexpr int size = 1;
};
template <>
struct Cells<bfloat16> {
  typedef Pair Cell;
  static constexpr int size = 2;
};
template <class T>
using Cell = typename Cells<T>::Cell;
template <class T>
inline int cells(int numbers) { return (numbers + Cells<T>::size - 1) / Cells<T>::size; }

inline v16 multiply_add(v16 sum, float a, const float* b) { return sum + a * load(b); }

#if defined(__AVX512BF16__)
inline v16 load(const bfloat16* p) {
  return reinterpret_cast<v16>(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}
inline void store(bfloat16* p, v16 v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v))));
}
inline v16 multiply_add(v16 sum, Pair a, const Pair* b) {
  return reinterpret_cast<v16>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                reinterpret_cast<__m512bh>(_mm512_loadu_si512(b)),
                                                reinterpret_cast<__m512bh>(_mm512_set1_epi32(int(a)))));
}
#endif

// The cell of rows 2p and 2p + 1 (or of row p alone) in one column.
inline float column_cell(const float* from, int ld, int p, int, int c) { return from[int64_t(p) * ld + c]; }
inline Pair column_cell(const bfloat16* from, int ld, int p, int rows, int c) {
  const Pair low = from[int64_t(2 * p) * ld + c], high = 2 * p + 1 < rows ? from[int64_t(2 * p + 1) * ld + c] : 0;
  return low | high << 16;
}

#if defined(__AVX512BF16__)
// Cells of two rows of 32 columns, in order.
inline void interleave_32(const bfloat16* from, int ld, Pair* to) {
  const __m512i first = _mm512_loadu_si512(from), second = _mm512_loadu_si512(from + ld);
  // alternating groups of four columns
  const __m512i low = _mm512_unpacklo_epi16(first, second), high = _mm512_unpackhi_epi16(first, second);
  _mm512_storeu_si512(to, _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high));
  _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high));
}

// Cells of 32 rows and 16 columns, transposed: [16, 16].
inline void transpose_16(const bfloat16* from, int ld, Pair* to, int to_ld) {
  __m512i x[16], y[16];
  for (int p = 0; p < 16; ++p) {
    const auto half = [&](int row) {
      return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + int64_t(row) * ld)));
    };
    x[p] = _mm512_or_si512(half(2 * p), _mm512_slli_epi32(half(2 * p + 1), 16));
  }
  for (int i = 0; i < 16; i += 2) {  // pairs of rows, then fours
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + j + 2]);
      x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + j + 2]);
    }
  for (int q = 0; q < 4; ++q) {  // columns 0, 4, 8 and 12, and three more times
    const __m512i even = _mm512_shuffle_i32x4(x[q], x[q + 4], 0x88), odd = _mm512_shuffle_i32x4(x[q], x[q + 4], 0xdd);
    const __m512i even_below = _mm512_shuffle_i32x4(x[q + 8], x[q + 12], 0x88),
                  odd_below = _mm512_shuffle_i32x4(x[q + 8], x[q + 12], 0xdd);
    _mm512_storeu_si512(to + int64_t(q) * to_ld, _mm512_shuffle_i32x4(even, even_below, 0x88));
    _mm512_storeu_si512(to + int64_t(q + 4) * to_ld, _mm512_shuffle_i32x4(odd, odd_below, 0x88));
    _mm512_storeu_si512(to + int64_t(q + 8) * to_ld, _mm512_shuffle_i32x4(even, even_below, 0xdd));
    _mm512_storeu_si512(to + int64_t(q + 12) * to_ld, _mm512_shuffle_i32x4(odd, odd_below, 0xdd));
  }
}
#endif

// Copies [rows, n] to contiguous panels of kPanel columns. Rows of a wide matrix would fall into a few cache sets.
template <class T>
inline void pack(const T* from, int rows, int n, Cell<T>* to) {
  for (int j = 0; j < n; j += kPanel)
    for (int p = 0; p < cells<T>(rows); ++p)
      for (int c = j; c < std::min(n, j + kPanel); ++c) *to++ = column_cell(from, n, p, rows, c);
}

// A matrix with its cells along the columns: itself, or a copy in `to`. `ld` is the distance of its rows and is set to
// that of the result.
inline const float* interleave(const float* from, int, int, int&, float*) { return from; }
inline const Pair* interleave(const bfloat16* from, int rows, int n, int& ld, Pair* to) {
  for (int p = 0; p < cells<bfloat16>(rows); ++p) {
    int c = 0;
#if defined(__AVX512BF16__)
    for (; c + 32 <= n && 2 * p + 1 < rows; c += 32)
      interleave_32(from + int64_t(2 * p) * ld + c, ld, to + int64_t(p) * n + c);
#endif
    for (; c < n; ++c) to[int64_t(p) * n + c] = column_cell(from, ld, p, rows, c);
  }
  ld = n;
  return to;
}

// The transpose of a matrix [rows, n], with its cells along the rows: [n, cells(rows)].
inline void transpose(const bfloat16* from, int rows, int n, int ld, Pair* to) {
  const int wide = cells<bfloat16>(rows);
  for (int c = 0; c < n; c += 16) {
    int p = 0;
#if defined(__AVX512BF16__)
    for (; 2 * p + 32 <= rows && c + 16 <= n; p += 16)
      transpose_16(from + int64_t(2 * p) * ld + c, ld, to + int64_t(c) * wide + p, wide);
#endif
    for (; p < wide; ++p)
      for (int i = c; i < std::min(n, c + 16); ++i) to[int64_t(i) * wide + p] = column_cell(from, ld, p, rows, i);
  }
}

// A matrix with its cells along the rows: itself, or a copy in `to` if a row has an odd number of bfloat16.
inline const float* rows_of_cells(const float* from, int, int, int&, float*) { return from; }
inline const Pair* rows_of_cells(const bfloat16* from, int rows, int n, int& ld, Pair* to) {
  if (n % 2 == 0 && ld % 2 == 0) {
    ld /= 2;
    return reinterpret_cast<const Pair*>(from);
  }
  const int wide = cells<bfloat16>(n);
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < wide; ++p) {
      const bfloat16* x = from + int64_t(r) * ld + 2 * p;
      to[int64_t(r) * wide + p] = Pair(x[0]) | Pair(2 * p + 1 < n ? x[1] : 0) << 16;
    }
  ld = wide;
  return to;
}

// C[M, V*16] = or += A[M, k] B[k, V*16]; k and the distances of A and B in cells. With `transposed`, A is [k, M].
template <int M, int V, bool transposed, class C>
inline void block(int k, const C* a, int lda, const C* b, int ldb, float* c, int ldc, bool accumulate) {
  v16 sums[M][V];
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v) sums[i][v] = accumulate ? load(c + i * ldc + 16 * v) : v16{};
  for (int p = 0; p < k; ++p)
    for (int i = 0; i < M; ++i) {
      const C x = transposed ? a[int64_t(p) * lda + i] : a[int64_t(i) * lda + p];
      for (int v = 0; v < V; ++v) sums[i][v] = multiply_add(sums[i][v], x, b + int64_t(p) * ldb + 16 * v);
    }
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v) store(c + i * ldc + 16 * v, sums[i][v]);
}

template <int V, bool transposed, class C>
inline void panel(int m, int k, const C* a, int lda, const C* b, int ldb, float* c, int ldc, bool accumulate) {
  const int step = transposed ? 1 : lda;
  int i = 0;
  for (; i + kRows <= m; i += kRows)
    block<kRows, V, transposed>(k, a + int64_t(i) * step, lda, b, ldb, c + int64_t(i) * ldc, ldc, accumulate);
  for (; i + 4 <= m; i += 4)
    block<4, V, transposed>(k, a + int64_t(i) * step, lda, b, ldb, c + int64_t(i) * ldc, ldc, accumulate);
  for (; i < m; ++i)
    block<1, V, transposed>(k, a + int64_t(i) * step, lda, b, ldb, c + int64_t(i) * ldc, ldc, accumulate);
}

// C[m, n] = or += A[m, k] B[k, n] for n a multiple of 16; k, lda and ldb in cells. `ldb` is 0 if B is packed.
// With `transposed`, A is stored as [k, m].
template <bool transposed, class C>
inline void product(int m, int n, int k, const C* a, int lda, const C* b, int ldb, float* c, int ldc, bool accumulate) {
  if constexpr (!transposed && std::is_same_v<C, Pair>) {
    const int done = product_in_tiles(m, n, k, a, lda, b, ldb, c, ldc, accumulate);
    a += int64_t(done) * lda, c += int64_t(done) * ldc, m -= done;
  }
  for (int j = 0; j < n; j += kPanel) {
    const int width = std::min(kPanel, n - j);
    const C* from = ldb ? b + j : b + int64_t(j) * k;
    if (width == kPanel)
      panel<kPanel / 16, transposed>(m, k, a, lda, from, ldb ? ldb : width, c + j, ldc, accumulate);
    else
      panel<1, transposed>(m, k, a, lda, from, ldb ? ldb : width, c + j, ldc, accumulate);
  }
}

// C[na, nb] += A^T B for A [rows, na] and B [rows, nb] of distances lda and ldb. `to_a` and `to_b` have room for their
// cells.
inline void product_of_columns(int rows, const float* a, int lda, int na, const float* b, int ldb, int nb, float* c,
                               float*, float*) {
  product<true>(na, nb, rows, a, lda, b, ldb, c, nb, true);
}
#if defined(__AVX512BF16__)
inline void product_of_columns(int rows, const bfloat16* a, int lda, int na, const bfloat16* b, int ldb, int nb,
                               float* c, Pair* to_a, Pair* to_b) {
  const int k = cells<bfloat16>(rows);
  const Pair* pairs = interleave(b, rows, nb, ldb, to_b);
  if (has_tiles()) {
    transpose(a, rows, na, lda, to_a);
    product<false>(na, nb, k, to_a, k, pairs, ldb, c, nb, true);
  } else {
    const Pair* x = interleave(a, rows, na, lda, to_a);
    product<true>(na, nb, k, x, lda, pairs, ldb, c, nb, true);
  }
}
#endif

}  // namespace
