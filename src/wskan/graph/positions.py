"""Number the positions of nodes and edges for an embedding table (paper, section 3.3 and figure 3).

Neurons of a hidden layer share one position. Each input and each output has its own. The position of an edge follows
from those of its endpoints.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.errors import ShapeError


def node_positions(widths: Sequence[int], layers: int | None = None) -> tuple[Tensor, ...]:
    """Return the position of every node of every layer, ``[n_l]`` int64 each.

    The inputs come first, then one position per hidden layer, then the outputs. Positions do not depend on hidden
    widths.

    Args:
        widths: number of neurons of each layer.
        layers: number of layers of edges of the KANs that the positions were made for; by default as many as ``widths``
            has. A hidden layer takes the position of the layer at the same relative depth, so that a model can read
            deeper KANs.

    Raises:
        ShapeError: Only one of the two depths has hidden layers, or edges between hidden layers.
    """
    n_in, hidden = widths[0], (len(widths) - 1 if layers is None else layers) - 1
    hidden_positions = _same_relative_depth(len(widths) - 2, hidden, 1)
    return (
        torch.arange(n_in),
        *(torch.full((n,), n_in + index) for index, n in zip(hidden_positions, widths[1:-1], strict=True)),
        torch.arange(widths[-1]) + n_in + hidden,
    )


def num_node_positions(widths: Sequence[int]) -> int:
    """Return the number of different positions of nodes."""
    return widths[0] + len(widths) - 2 + widths[-1]


def edge_positions(widths: Sequence[int], layers: int | None = None) -> tuple[Tensor, ...]:
    """Return the position of every edge of every layer, ``[n_l, n_{l+1}]`` int64 each.

    Each pair of positions of endpoints has its own. Arguments and errors are those of :func:`node_positions`.
    """
    layers = len(widths) - 1 if layers is None else layers
    if len(widths) == 2 or layers == 1:
        _same_relative_depth(len(widths) - 2, layers - 1, 1)  # both without hidden layers
        return (torch.arange(widths[0] * widths[-1]).view(widths[0], widths[-1]),)
    between = [widths[0] + index for index in _same_relative_depth(len(widths) - 3, layers - 2, 2)]
    inputs = torch.arange(widths[0])[:, None].expand(-1, widths[1])
    outputs = (torch.arange(widths[-1]) + widths[0] + layers - 2).expand(widths[-2], -1)
    hidden = [torch.full(pair, value) for pair, value in zip(itertools.pairwise(widths[1:-1]), between, strict=True)]
    return (inputs, *hidden, outputs)


def num_edge_positions(widths: Sequence[int]) -> int:
    """Return the number of different positions of edges."""
    return widths[0] * widths[1] if len(widths) == 2 else widths[0] + len(widths) - 3 + widths[-1]


def _same_relative_depth(count: int, learned: int, ends: int) -> list[int]:
    """Return which of ``learned`` positions each of ``count`` takes; KANs have ``ends`` layers more."""
    if (count == 0) != (learned == 0):
        raise ShapeError(
            f"a model for KANs of depth {learned + ends} has no positions for KANs of depth {count + ends}: only one "
            f"of them has hidden layers, or edges between hidden layers; train a model on KANs of depth {count + ends}"
        )
    if count == 1:  # the one in the middle
        return [(learned - 1) // 2]
    return [int(index * (learned - 1) / (count - 1) + 0.5) for index in range(count)]
