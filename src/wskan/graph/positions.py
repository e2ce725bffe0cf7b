"""Positions in the computation flow (paper, section 3.3 and figure 3), as small integers for an embedding table.

Neurons of a hidden layer share one position, input and output neurons have one each; an edge's comes from those of its endpoints.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.errors import ShapeError


def node_positions(widths: Sequence[int], layers: int | None = None) -> tuple[Tensor, ...]:
    """Position of every node of every layer, ``[n_l]`` int64 each: first the inputs, then one a hidden layer, then the outputs.

    They depend on depth and on the numbers of inputs and outputs alone, so KANs of other hidden widths have the same.

    Args:
        widths: neurons a layer.
        layers: in terms of KANs of so many layers of edges, if not as many as ``widths`` has: a hidden layer takes the position of the one at the same relative
            depth, so that a model meets deeper KANs with positions that it knows.

    Raises:
        ShapeError: there are hidden layers, or edges between them, on one side only.
    """
    first, hidden = widths[0], (len(widths) - 1 if layers is None else layers) - 1
    places = _stretch(len(widths) - 2, hidden, 1)
    return (
        torch.arange(first),
        *(torch.full((width,), first + place) for place, width in zip(places, widths[1:-1], strict=True)),
        torch.arange(widths[-1]) + first + hidden,
    )


def num_node_positions(widths: Sequence[int]) -> int:
    """How many different positions nodes have."""
    return widths[0] + len(widths) - 2 + widths[-1]


def edge_positions(widths: Sequence[int], layers: int | None = None) -> tuple[Tensor, ...]:
    """Position of every edge of every layer, ``[n_l, n_{l+1}]`` int64 each: one for each pair of positions of endpoints.

    Args and errors are those of :func:`node_positions`.
    """
    layers = len(widths) - 1 if layers is None else layers
    if len(widths) == 2 or layers == 1:
        _stretch(len(widths) - 2, layers - 1, 1)
        return (torch.arange(widths[0] * widths[-1]).view(widths[0], widths[-1]),)
    between = [widths[0] + place for place in _stretch(len(widths) - 3, layers - 2, 2)]
    inputs = torch.arange(widths[0])[:, None].expand(-1, widths[1])
    outputs = (torch.arange(widths[-1]) + widths[0] + layers - 2).expand(widths[-2], -1)
    hidden = [torch.full(pair, place) for pair, place in zip(itertools.pairwise(widths[1:-1]), between, strict=True)]
    return (inputs, *hidden, outputs)


def num_edge_positions(widths: Sequence[int]) -> int:
    """How many different positions edges have."""
    return widths[0] * widths[1] if len(widths) == 2 else widths[0] + len(widths) - 3 + widths[-1]


def _stretch(count: int, known: int, ends: int) -> list[int]:
    """Which of ``known`` things each of ``count`` stands for, by relative depth; KANs have ``ends`` layers more."""
    if (count == 0) != (known == 0):
        raise ShapeError(
            f"a model for KANs of {known + ends} layers knows no positions of KANs of {count + ends} layers: only one of them has hidden layers, or edges between hidden layers; train one on KANs of {count + ends} layers"
        )
    if count == 1:  # the one in the middle
        return [(known - 1) // 2]
    return [int(index * (known - 1) / (count - 1) + 0.5) for index in range(count)]
