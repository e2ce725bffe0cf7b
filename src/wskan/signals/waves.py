"""Two-dimensional sine waves (paper, C.1.1)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.signals.coordinates import coordinates

LOWEST, HIGHEST = 0.5, 10.0  # frequencies, in radians per unit of length
SIDE = 64  # points per side of the sampling grid; the paper gives no number


@dataclasses.dataclass(frozen=True)
class Waves:
    """Waves g(x) = sin(w . x) on a grid of SIDE x SIDE points of [-1, 1]^2.

    Attributes:
        frequencies: ``[N, 2]`` float32, the vectors w in radians per unit of length.
    """

    frequencies: Tensor

    def targets(self, rows: Tensor) -> Tensor:
        """Return values in [-1, 1] at ``coordinates(SIDE, SIDE)``, ``[n, SIDE*SIDE, 1]``."""
        return torch.sin(self.frequencies[rows] @ coordinates(SIDE, SIDE).T).unsqueeze(-1)

    def __len__(self) -> int:
        return len(self.frequencies)


def sine_waves(count: int, seed: int) -> Waves:
    """Draw ``count`` waves with frequencies uniform in [0.5, 10]^2.

    A longer sequence with the same seed begins with the waves of a shorter one.
    """
    uniform = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    return Waves(LOWEST + (HIGHEST - LOWEST) * uniform)
