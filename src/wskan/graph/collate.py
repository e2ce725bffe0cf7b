"""Many graphs as one batch: of different hidden widths, or a few at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wskan.errors import ShapeError
from wskan.graph.kan_graph import KANGraph


def collate(graphs: Sequence[KANGraph]) -> KANGraph:
    """Join batches of graphs into one; narrower hidden layers are filled up with neurons that do not exist.

    Raises:
        ShapeError: graphs of different depth, numbers of inputs, outputs or features: their positions would mean different things.
    """
    if not graphs:
        raise ShapeError("nothing to join")
    ends = {(g.num_layers, g.widths[0], g.widths[-1], g.edge_dim, g.node_dim) for g in graphs}
    if len(ends) > 1:
        raise ShapeError(
            f"graphs of one batch must agree in (layers, inputs, outputs, features of an edge, of a node), got {sorted(ends)}"
        )
    widths = [max(graph.widths[index] for graph in graphs) for index in range(len(graphs[0].widths))]
    depth = len(widths) - 1
    edges = [torch.cat([_pad(g.edges[i], (widths[i], widths[i + 1])) for g in graphs]) for i in range(depth)]
    nodes = [torch.cat([_pad(g.nodes[i], (widths[i],)) for g in graphs]) for i in range(depth + 1)]
    edge_mask = [
        _masks([(g.edge_mask[i], g.edges[i]) for g in graphs], (widths[i], widths[i + 1])) for i in range(depth)
    ]
    node_mask = [_masks([(g.node_mask[i], g.nodes[i]) for g in graphs], (widths[i],)) for i in range(depth + 1)]
    return KANGraph(edges=tuple(edges), nodes=tuple(nodes), edge_mask=tuple(edge_mask), node_mask=tuple(node_mask))


def gather(parts: Iterable[KANGraph], size: int) -> KANGraph:
    """``size`` graphs of the same widths, which come a few at a time: each is written once, into its place, so that beside the result only those few are in memory.

    Raises:
        ShapeError: other widths, features or numbers of graphs.
    """
    begin, edges, nodes = 0, list[Tensor](), list[Tensor]()
    edge_mask: list[Tensor | None] = []
    node_mask: list[Tensor | None] = []
    for part in parts:
        if begin == 0:
            edges, nodes = ([t.new_empty(size, *t.shape[1:]) for t in tensors] for tensors in (part.edges, part.nodes))
            edge_mask, node_mask = [None] * len(edges), [None] * len(nodes)
        rows = slice(begin, begin := begin + len(part))
        for whole, few in zip((*edges, *nodes), (*part.edges, *part.nodes), strict=True):
            if whole[rows].shape != few.shape:
                raise ShapeError(
                    f"cannot put {tuple(few.shape)} into rows {rows.start} to {rows.stop} of {tuple(whole.shape)}"
                )
            whole[rows] = few
        for masks, given, like in ((edge_mask, part.edge_mask, edges), (node_mask, part.node_mask, nodes)):
            for index, mask in enumerate(given):
                if mask is not None:
                    masks[index] = _ones(like[index]) if masks[index] is None else masks[index]
                    masks[index][rows] = mask  # type: ignore[index]
    if begin != size:
        raise ShapeError(f"{begin} graphs came, not {size}")
    return KANGraph(edges=tuple(edges), nodes=tuple(nodes), edge_mask=tuple(edge_mask), node_mask=tuple(node_mask))


def _masks(parts: Sequence[tuple[Tensor | None, Tensor]], widths: tuple[int, ...]) -> Tensor | None:
    if all(mask is None and tuple(features.shape[1:-1]) == widths for mask, features in parts):
        return None
    masks = [_ones(features) if mask is None else mask for mask, features in parts]
    return torch.cat([_pad(mask.unsqueeze(-1), widths).squeeze(-1) for mask in masks])


def _ones(features: Tensor) -> Tensor:
    return torch.ones(features.shape[:-1], dtype=torch.bool, device=features.device)


def _pad(tensor: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Fill up axes 1, 2, ... of ``[B, ..., channels]`` with zeros to the given lengths."""
    missing = [0, 0]
    for axis in range(len(widths), 0, -1):
        missing += [0, widths[axis - 1] - tensor.shape[axis]]
    return F.pad(tensor, missing)
