// Products of bfloat16 in tiles (Intel's AMX), if processor and operating system have them: one instruction multiplies
// 16 rows by 16 columns, 32 numbers deep.
#pragma once

#include "vector.h"

namespace {
constexpr int kPanel = 32;  // columns of a product that are computed together, and of a panel of a packed matrix
}

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr int kTileRows = 16;  // also columns, and the depth in pairs

struct alignas(64) TileShapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {};  // per row
  uint8_t rows[16] = {};
};

// Whether this process may use tiles. Linux must be asked once, because tiles are large.
inline bool has_tiles() {
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool granted = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return granted;
}

// The depth in pairs that this thread's tiles are shaped for, until they are released. Loading shapes takes as long as
// a dozen products of tiles.
inline int& shaped_depth() {
  static thread_local int depth = 0;
  return depth;
}

inline void shape_tiles(int depth) {
  if (shaped_depth() == depth) return;
  TileShapes shapes;  // tiles 0 to 3 hold sums, 4 and 5 hold A, 6 and 7 hold B
  for (int t = 0; t < 8; ++t)
    shapes.bytes[t] = t == 4 || t == 5 ? 4 * depth : 64, shapes.rows[t] = t < 6 ? kTileRows : depth;
  asm volatile("" ::"r"(&shapes) : "memory");  // GCC 12 assumes that the instruction reads 8 bytes
  _tile_loadconfig(&shapes);
  shaped_depth() = depth;
}

struct TilesReleased {  // at the end of a thread's work, because other code on it shapes its own
  ~TilesReleased() {
    if (shaped_depth()) _tile_release();
    shaped_depth() = 0;
  }
};

// C[R*16, V*16] = or += A[R*16, k] B[k, V*16], in steps of the depth that tiles are shaped for. R and V are 1 or 2.
template <int R, int V>
inline void tile_block(int k, int depth, const uint32_t* a, int lda, const uint32_t* b, int ldb, float* c, int ldc,
                       bool accumulate) {
  float* below = c + int64_t(kTileRows) * ldc;
  if (accumulate) {
    _tile_loadd(0, c, 4 * ldc);
    if (V > 1) _tile_loadd(1, c + kTileRows, 4 * ldc);
    if (R > 1) _tile_loadd(2, below, 4 * ldc);
    if (R > 1 && V > 1) _tile_loadd(3, below + kTileRows, 4 * ldc);
  } else {
    _tile_zero(0);
    if (V > 1) _tile_zero(1);
    if (R > 1) _tile_zero(2);
    if (R > 1 && V > 1) _tile_zero(3);
  }
  for (int p = 0; p < k; p += depth) {
    _tile_loadd(4, a + p, 4 * lda);
    _tile_loadd(6, b + int64_t(p) * ldb, 4 * ldb);
    _tile_dpbf16ps(0, 4, 6);
    if (V > 1) {
      _tile_loadd(7, b + int64_t(p) * ldb + kTileRows, 4 * ldb);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (R > 1) {
      _tile_loadd(5, a + int64_t(kTileRows) * lda + p, 4 * lda);
      _tile_dpbf16ps(2, 5, 6);
      if (V > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, 4 * ldc);
  if (V > 1) _tile_stored(1, c + kTileRows, 4 * ldc);
  if (R > 1) _tile_stored(2, below, 4 * ldc);
  if (R > 1 && V > 1) _tile_stored(3, below + kTileRows, 4 * ldc);
}

// C[m, n] = or += A[m, k] B[k, n] in as many rows as fill tiles; returns their number. Arguments as for `product`.
inline int product_in_tiles(int m, int n, int k, const uint32_t* a, int lda, const uint32_t* b, int ldb, float* c,
                            int ldc, bool accumulate) {
  int steps = std::max((k + kTileRows - 1) / kTileRows, 1);
  while (k % steps && 8 * steps <= k) ++steps;  // of at least 8 pairs each
  const int depth = k / steps, rows = m - m % kTileRows;
  if (!rows || !depth || k % steps || !has_tiles()) return 0;
  // GCC is not aware that tiles are loaded from memory and stored to it
  const auto barrier = [] { asm volatile("" ::: "memory"); };
  barrier();
  shape_tiles(depth);
  for (int i = 0; i < rows; i += 2 * kTileRows)
    for (int j = 0; j < n; j += kPanel) {
      const int width = std::min(kPanel, n - j), ld = ldb ? ldb : width;
      const uint32_t *x = a + int64_t(i) * lda, *y = ldb ? b + j : b + int64_t(j) * k;
      float* to = c + int64_t(i) * ldc + j;
      const bool rows_of_two = i + 2 * kTileRows <= rows, columns_of_two = width > kTileRows;
      const auto multiply = rows_of_two      ? (columns_of_two ? tile_block<2, 2> : tile_block<2, 1>)
                            : columns_of_two ? tile_block<1, 2>
                                             : tile_block<1, 1>;
      multiply(k, depth, x, lda, y, ld, to, ldc, accumulate);
    }
  barrier();
  return rows;
}

}  // namespace
#else
namespace {
constexpr bool has_tiles() { return false; }
struct TilesReleased {};
inline int product_in_tiles(int, int, int, const uint32_t*, int, const uint32_t*, int, float*, int, bool) { return 0; }
}  // namespace
#endif
