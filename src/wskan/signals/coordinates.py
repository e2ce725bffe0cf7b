"""Pixel coordinates, the inputs of an implicit neural representation."""

from __future__ import annotations

import torch
from torch import Tensor


def coordinates(height: int, width: int) -> Tensor:
    """Coordinates of all pixels in [-1, 1], row by row: ``[H*W, 2]``, column 0 the row (y), column 1 the column (x); corners at +-1."""
    return torch.cartesian_prod(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width))
