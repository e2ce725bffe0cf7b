"""Pixel coordinates, the inputs of an implicit neural representation."""

from __future__ import annotations

import torch
from torch import Tensor


def coordinates(height: int, width: int) -> Tensor:
    """Return the coordinates of all pixels in [-1, 1], row by row, ``[H*W, 2]``.

    Column 0 is the row (y), column 1 the column (x). Corners are at +-1.
    """
    rows, columns = (torch.linspace(-1, 1, size, dtype=torch.float32) for size in (height, width))
    return torch.cartesian_prod(rows, columns)
