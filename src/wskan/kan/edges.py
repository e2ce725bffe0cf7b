"""Values that belong to the edges of KANs: one block a layer, or all in one list."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def flatten_edges(blocks: Sequence[Tensor]) -> Tensor:
    """One ``[K, n_l, n_{l+1}, ...]`` a layer as one list of all E edges, ``[K, E, ...]``: layer after layer, each row by row."""
    return torch.cat([block.flatten(1, 2) for block in blocks], 1)


def unflatten_edges(values: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """The inverse of :func:`flatten_edges`, for KANs of these widths."""
    pairs = list(itertools.pairwise(widths))
    parts = torch.split(values, [n * m for n, m in pairs], 1)
    return [part.reshape(len(part), *pair, *part.shape[2:]) for part, pair in zip(parts, pairs, strict=True)]
