"""Mini-batches as a pure function of a KAN's seed, so that neither its neighbours nor a resumption change them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def splitmix64(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix 64 bits with the finaliser of SplitMix64, a bijection (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def derive_seed(seeds: Tensor, stream: int) -> Tensor:
    """Derive new seeds in [0, 2^63) from old ones, ``[K]`` int64; different streams give unrelated seeds."""
    with np.errstate(over="ignore"):
        mixed = splitmix64(seeds.numpy().astype(np.uint64) + _GOLDEN * np.uint64(stream + 1))
    return torch.from_numpy((mixed >> np.uint64(1)).astype(np.int64))


def minibatches(seeds: Tensor, steps: range, points: int, batch: int) -> Tensor:
    """Sample mini-batches without replacement within a step, as pykan's ``fit`` does.

    A mini-batch is the first ``batch`` entries of a Fisher-Yates shuffle of 0..points-1. Its random numbers depend only
    on (seed, step). The C++ kernel draws the same.

    Args:
        seeds: ``[K]`` int64.
        steps: the steps to draw for.
        points: number N of points.
        batch: size of a mini-batch; with N or more, all points in order.

    Returns:
        Indices ``[K, len(steps), min(batch, points)]`` int64.
    """
    size = len(seeds)
    order = np.broadcast_to(np.arange(points, dtype=np.int32), (size * len(steps), points)).copy()
    if batch < points:
        rows = np.arange(len(order))
        with np.errstate(over="ignore"):
            base = splitmix64(seeds.numpy().astype(np.uint64) + _GOLDEN)[:, None]  # [K, 1]
            counter = np.asarray(steps, dtype=np.uint64)[None] * np.uint64(batch)  # [1, steps]
            for i in range(batch):
                random = splitmix64(base + _GOLDEN * (counter + np.uint64(i + 1))) >> np.uint64(32)
                other = (i + ((random * np.uint64(points - i)) >> np.uint64(32))).astype(np.int64).reshape(-1)
                order[rows, i], order[rows, other] = order[rows, other], order[rows, i].copy()
    return torch.from_numpy(order[:, :batch].astype(np.int64)).view(size, len(steps), -1)
