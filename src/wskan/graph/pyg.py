"""Exchange with PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wskan.errors import ShapeError
from wskan.graph.collate import collate
from wskan.graph.kan_graph import KANGraph
from wskan.graph.positions import edge_positions, node_positions

if TYPE_CHECKING:
    from torch_geometric.data import Data


def to_pyg(graph: KANGraph, y: Tensor | None = None) -> list[Data]:
    """One ``torch_geometric.data.Data`` a graph; absent edges and filled-up neurons are left out.

    Args:
        graph: B graphs.
        y: targets ``[B, ...]``, if there are any.

    Returns:
        Data with ``x [n, D]``, ``edge_index [2, m]`` (from earlier layer to later), ``edge_attr [m, F]``, ``layer [n]`` (0 for inputs),
        ``node_position [n]`` and ``edge_position [m]`` (section 3.3), ``num_layers`` and ``y [1, ...]``.
    """
    return [_to_data(graph[index], None if y is None else y[index : index + 1]) for index in range(len(graph))]


def from_pyg(graphs: Sequence[Data]) -> KANGraph:
    """The inverse of :func:`to_pyg`. Needs ``x``, ``edge_index``, ``edge_attr`` and ``layer``; within a layer, nodes are in order.

    Raises:
        ShapeError: missing fields, two edges between the same neurons, or an edge that does not lead from one layer to the next.
    """
    return collate([_from_data(data) for data in graphs])


def _to_data(graph: KANGraph, y: Tensor | None) -> Data:
    from torch_geometric.data import Data  # seconds to import, and few need it

    device = graph.edges[0].device
    index, begin = [], 0  # number of each node among those that exist
    for nodes, mask in zip(graph.nodes, graph.node_mask, strict=True):
        exists = _present(nodes, mask)
        index.append(exists.cumsum(0) - 1 + begin)
        begin += int(exists.sum())
    exists_edge = [_present(edges, mask) for edges, mask in zip(graph.edges, graph.edge_mask, strict=True)]
    pairs = [exists.nonzero(as_tuple=True) for exists in exists_edge]
    exists_node = [_present(nodes, mask) for nodes, mask in zip(graph.nodes, graph.node_mask, strict=True)]
    widths = graph.widths
    data = Data(
        x=torch.cat([nodes[0][exists] for nodes, exists in zip(graph.nodes, exists_node, strict=True)]),
        edge_index=torch.cat([torch.stack([index[i][p], index[i + 1][q]]) for i, (p, q) in enumerate(pairs)], 1),
        edge_attr=torch.cat([edges[0][p, q] for edges, (p, q) in zip(graph.edges, pairs, strict=True)]),
        layer=torch.cat([torch.full((int(e.sum()),), i, device=device) for i, e in enumerate(exists_node)]),
        node_position=torch.cat([t.to(device)[e] for t, e in zip(node_positions(widths), exists_node, strict=True)]),
        edge_position=torch.cat([t.to(device)[p, q] for t, (p, q) in zip(edge_positions(widths), pairs, strict=True)]),
        num_layers=graph.num_layers,
    )
    if y is not None:
        data.y = y
    return data


def _from_data(data: Data) -> KANGraph:
    if any(data.get(name) is None for name in ("x", "edge_index", "edge_attr", "layer")):
        raise ShapeError(f"need x, edge_index, edge_attr and layer, got {data}")
    x, layer, (source, target) = data.x, data.layer, data.edge_index
    depth = int(layer.max())
    if (
        len(layer) != len(x)
        or bool((layer.diff() < 0).any())
        or not torch.equal(layer.unique(), torch.arange(depth + 1).to(layer))
    ):
        raise ShapeError(f"nodes must come layer after layer, each from 0 to {depth} present, got {data}")
    if not torch.equal(layer[source] + 1, layer[target]):
        raise ShapeError("every edge must lead from one layer to the next")
    counts = layer.bincount()
    place = torch.arange(len(layer), device=layer.device) - (counts.cumsum(0) - counts)[layer]  # within its layer
    edges, masks = [], []
    for index in range(depth):
        here = layer[source] == index
        p, q = place[source[here]], place[target[here]]
        block = data.edge_attr.new_zeros(1, int(counts[index]), int(counts[index + 1]), data.edge_attr.shape[-1])
        mask = torch.zeros(block.shape[:-1], dtype=torch.bool, device=x.device)
        block[0, p, q], mask[0, p, q] = data.edge_attr[here], True
        if int(mask.sum()) != len(p):
            raise ShapeError(
                f"layer {index} has {len(p)} edges between {int(mask.sum())} pairs of neurons; at most one each"
            )
        edges.append(block)
        masks.append(None if bool(mask.all()) else mask)
    nodes = tuple(part.unsqueeze(0) for part in x.split(counts.tolist()))
    return KANGraph(edges=tuple(edges), nodes=nodes, edge_mask=tuple(masks), node_mask=(None,) * (depth + 1))


def _present(features: Tensor, mask: Tensor | None) -> Tensor:
    """Which nodes or edges of the only graph exist, bool."""
    return torch.ones(features.shape[1:-1], dtype=torch.bool, device=features.device) if mask is None else mask[0]
