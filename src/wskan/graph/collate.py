"""Join graphs into one batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.errors import ShapeError
from wskan.graph.kan_graph import KANGraph


def collate(graphs: Sequence[KANGraph]) -> KANGraph:
    """Join batches of graphs into one; narrower hidden layers are padded with absent neurons.

    Raises:
        ShapeError: There are no graphs, or they differ in depth, inputs, outputs or features.
    """
    if not graphs:
        raise ShapeError("no graphs to join")
    ends = {(g.num_layers, g.widths[0], g.widths[-1], g.edge_dim, g.node_dim) for g in graphs}
    if len(ends) > 1:
        raise ShapeError(
            "graphs of one batch must agree in (layers, inputs, outputs, features per edge, features per node), "
            f"got {sorted(ends)}"
        )
    widths = [max(same_layer) for same_layer in zip(*(graph.widths for graph in graphs), strict=True)]
    pairs = list(itertools.pairwise(widths))
    return KANGraph(
        edges=tuple(torch.cat([_pad(g.edges[i], pair) for g in graphs]) for i, pair in enumerate(pairs)),
        nodes=tuple(torch.cat([_pad(g.nodes[i], (width,)) for g in graphs]) for i, width in enumerate(widths)),
        edge_mask=tuple(_edge_mask(graphs, i, pair) for i, pair in enumerate(pairs)),
        node_mask=tuple(_node_mask(graphs, i, width) for i, width in enumerate(widths)),
    )


def _edge_mask(graphs: Sequence[KANGraph], index: int, widths: tuple[int, int]) -> Tensor | None:
    if all(g.edge_mask[index] is None and g.widths[index : index + 2] == widths for g in graphs):
        return None
    return torch.cat([_pad(g.full_edge_mask(index), widths) for g in graphs])


def _node_mask(graphs: Sequence[KANGraph], index: int, width: int) -> Tensor | None:
    if all(g.node_mask[index] is None and g.widths[index] == width for g in graphs):
        return None
    return torch.cat([_pad(g.full_node_mask(index), (width,)) for g in graphs])


def _pad(tensor: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Pad axes 1, 2, ... of ``[B, ...]`` with zeros to the given lengths."""
    padding = [0, 0] * (tensor.ndim - 1 - len(widths))  # the last axis comes first
    for axis in range(len(widths), 0, -1):
        padding += [0, widths[axis - 1] - tensor.shape[axis]]
    return F.pad(tensor, padding)


def concatenate(parts: Iterable[KANGraph], size: int) -> KANGraph:
    """Concatenate batches of graphs of the same widths that arrive one at a time.

    Each batch is copied once, so memory holds only the result and one batch.

    Args:
        parts: batches of graphs.
        size: total number of graphs.

    Raises:
        ShapeError: The parts differ in widths or features, or do not hold ``size`` graphs in total.
    """
    begin, edges, nodes = 0, list[Tensor](), list[Tensor]()
    edge_mask: list[Tensor | None] = []
    node_mask: list[Tensor | None] = []
    for part in parts:
        if begin == 0:
            edges, nodes = ([t.new_empty(size, *t.shape[1:]) for t in tensors] for tensors in (part.edges, part.nodes))
            edge_mask, node_mask = [None] * len(edges), [None] * len(nodes)
        rows = slice(begin, begin := begin + len(part))
        for whole, features in zip((*edges, *nodes), (*part.edges, *part.nodes), strict=True):
            if whole[rows].shape != features.shape:
                raise ShapeError(
                    f"cannot put {tuple(features.shape)} into rows {rows.start} to {rows.stop} of {tuple(whole.shape)}"
                )
            whole[rows] = features
        _write_masks(edge_mask, part.edge_mask, rows, edges)
        _write_masks(node_mask, part.node_mask, rows, nodes)
    if begin != size:
        raise ShapeError(f"expected {size} graphs, got {begin}")
    return KANGraph(edges=tuple(edges), nodes=tuple(nodes), edge_mask=tuple(edge_mask), node_mask=tuple(node_mask))


def _write_masks(
    whole: list[Tensor | None], part: Sequence[Tensor | None], rows: slice, features: Sequence[Tensor]
) -> None:
    """Write masks of some rows; a whole mask is made when the first of its parts is not None."""
    for index, mask in enumerate(part):
        if mask is not None:
            full = whole[index]
            if full is None:
                full = whole[index] = mask.new_ones(features[index].shape[:-1])
            full[rows] = mask
