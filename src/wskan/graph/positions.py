"""Positions in the computation flow (paper, section 3.3 and figure 3), as small integers for an embedding table.

Neurons of a hidden layer share one position, input and output neurons have one each; an edge's comes from those of its endpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def node_positions(widths: Sequence[int]) -> tuple[Tensor, ...]:
    """Position of every node of every layer, ``[n_l]`` int64 each: first the inputs, then one a hidden layer, then the outputs.

    They depend on depth and on the numbers of inputs and outputs alone, so KANs of other hidden widths have the same.
    """
    first, hidden = widths[0], len(widths) - 2
    return (
        torch.arange(first),
        *(torch.full((width,), first + index) for index, width in enumerate(widths[1:-1])),
        torch.arange(widths[-1]) + first + hidden,
    )


def num_node_positions(widths: Sequence[int]) -> int:
    """How many different positions nodes have."""
    return widths[0] + len(widths) - 2 + widths[-1]


def edge_positions(widths: Sequence[int]) -> tuple[Tensor, ...]:
    """Position of every edge of every layer, ``[n_l, n_{l+1}]`` int64 each: one for each pair of positions of endpoints."""
    positions, begin = [], 0
    for index in range(len(widths) - 1):
        sources = torch.arange(widths[index]) if index == 0 else torch.zeros(widths[index], dtype=torch.int64)
        last = index == len(widths) - 2
        targets = torch.arange(widths[-1]) if last else torch.zeros(widths[index + 1], dtype=torch.int64)
        per_source = widths[-1] if last else 1
        positions.append(begin + sources[:, None] * per_source + targets)
        begin += (widths[0] if index == 0 else 1) * per_source
    return tuple(positions)


def num_edge_positions(widths: Sequence[int]) -> int:
    """How many different positions edges have."""
    return widths[0] * widths[1] if len(widths) == 2 else widths[0] + len(widths) - 3 + widths[-1]
