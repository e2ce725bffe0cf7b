// Products of bfloat16 in tiles, where processor and operating system have them (Intel's AMX): one instruction multiplies 16 rows by 16 columns, 32 numbers deep.
#pragma once

#include "vector.h"

namespace {
constexpr int kPanel = 32;  // columns of a product that are done together, and of a packed matrix
}

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr int kTileRows = 16;  // also its columns, and its depth in pairs

struct alignas(64) TileShapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {};  // of a row
  uint8_t rows[16] = {};
};

// Whether this process may use tiles, which are large: Linux wants to be asked once.
inline bool has_tiles() {
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool granted = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return granted;
}

// C[m, n] = or += A[m, k] B[k, n] in as many rows as fill tiles; returns their number. Arguments are those of `product`.
inline int product_in_tiles(int m, int n, int k, const uint32_t* a, int lda, const uint32_t* b, int ldb, float* c, int ldc, bool accumulate) {
  const int steps = (k + kTileRows - 1) / kTileRows, depth = k / std::max(steps, 1), rows = m - m % kTileRows;
  if (!rows || !depth || k % steps || !has_tiles()) return 0;
  TileShapes shapes;  // 0 and 1 sum, 2 holds A, 3 and 4 B
  for (int t = 0; t < 5; ++t) shapes.bytes[t] = t == 2 ? 4 * depth : 64, shapes.rows[t] = t < 3 ? kTileRows : depth;
  const auto barrier = [] { asm volatile("" ::: "memory"); };  // GCC does not know that tiles are loaded from memory and stored to it
  barrier();
  _tile_loadconfig(&shapes);
  for (int j = 0; j < n; j += kPanel) {
    const int width = std::min(kPanel, n - j), ld = ldb ? ldb : width;
    const uint32_t* from = ldb ? b + j : b + int64_t(j) * k;
    for (int i = 0; i < rows; i += kTileRows) {
      float* to = c + int64_t(i) * ldc + j;
      if (accumulate) {
        _tile_loadd(0, to, 4 * ldc);
        if (width > kTileRows) _tile_loadd(1, to + kTileRows, 4 * ldc);
      } else {
        _tile_zero(0);
        _tile_zero(1);
      }
      for (int p = 0; p < k; p += depth) {
        _tile_loadd(2, a + int64_t(i) * lda + p, 4 * lda);
        _tile_loadd(3, from + int64_t(p) * ld, 4 * ld);
        _tile_dpbf16ps(0, 2, 3);
        if (width == kTileRows) continue;
        _tile_loadd(4, from + int64_t(p) * ld + kTileRows, 4 * ld);
        _tile_dpbf16ps(1, 2, 4);
      }
      _tile_stored(0, to, 4 * ldc);
      if (width > kTileRows) _tile_stored(1, to + kTileRows, 4 * ldc);
    }
  }
  _tile_release();
  barrier();
  return rows;
}

}  // namespace
#else
namespace {
constexpr bool has_tiles() { return false; }
inline int product_in_tiles(int, int, int, const uint32_t*, int, const uint32_t*, int, float*, int, bool) { return 0; }
}  // namespace
#endif
