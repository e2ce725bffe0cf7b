"""Values of the edges of KANs: one block per layer, or one list of all edges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def flatten_edges(blocks: Sequence[Tensor]) -> Tensor:
    """Join one ``[K, n_l, n_{l+1}, ...]`` per layer into one list of all E edges, ``[K, E, ...]``.

    Layers follow one another, each in row-major order.
    """
    return torch.cat([block.flatten(1, 2) for block in blocks], 1)


def unflatten_edges(values: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Split ``[K, E, ...]`` into one block per layer for KANs of these widths: the inverse of :func:`flatten_edges`."""
    pairs = list(itertools.pairwise(widths))
    parts = torch.split(values, [n * m for n, m in pairs], 1)
    return [part.reshape(len(part), *pair, *part.shape[2:]) for part, pair in zip(parts, pairs, strict=True)]
