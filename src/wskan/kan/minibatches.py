"""Which samples a KAN sees at which step: a pure function of its seed, so no neighbour and no resumption can change it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def splitmix64(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection that mixes 64 bits."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def derive_seed(seeds: Tensor, stream: int) -> Tensor:
    """New seeds in [0, 2^63) from old ones, ``[K]`` int64; another stream gives unrelated seeds."""
    with np.errstate(over="ignore"):
        mixed = splitmix64(seeds.numpy().astype(np.uint64) + _GOLDEN * np.uint64(stream + 1))
    return torch.from_numpy((mixed >> np.uint64(1)).astype(np.int64))


def minibatches(seeds: Tensor, steps: range, points: int, batch: int) -> Tensor:
    """Sample mini-batches without replacement within a step, as pykan's ``fit`` does.

    The first ``batch`` places of a Fisher-Yates shuffle of 0..points-1, with random numbers that depend on (seed, step) alone. The C++ kernel
    draws the same.

    Args:
        seeds: ``[K]`` int64.
        steps: which steps.
        points: number N of points.
        batch: size of a mini-batch; all points in order if it is N or more.

    Returns:
        ``[K, len(steps), min(batch, points)]`` int64.
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
