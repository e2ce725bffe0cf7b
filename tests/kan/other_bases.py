"""KANs of every basis."""

import math
from typing import Any

from wskan.kan import KANSpec

WIDTHS = (2, 4, 3, 2)
SHAPES: dict[str, dict[str, Any]] = {
    "bspline": {"grid": 4, "degree": 3},
    "rbf": {"grid": 7, "degree": 0},
    "chebyshev": {"grid": 1, "degree": 5},
    "fourier": {"grid": 3, "degree": 0, "domain": (-math.pi, math.pi)},
    "wavelet": {"grid": 2, "degree": 1},
}
OTHERS = [name for name in SHAPES if name != "bspline"]


def spec_of(basis: str, widths: tuple[int, ...] = WIDTHS, **changes: Any) -> KANSpec:
    return KANSpec(**{"widths": widths, "basis": basis, **SHAPES[basis], **changes})
