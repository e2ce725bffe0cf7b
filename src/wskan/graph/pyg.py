"""Convert KAN-graphs to and from PyTorch Geometric."""

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
    """Convert graphs to one ``torch_geometric.data.Data`` each, without absent edges and neurons.

    Args:
        graph: B graphs.
        y: targets ``[B, ...]``, if there are any.

    Returns:
        Data with ``x [n, D]``, ``edge_index [2, m]`` (from earlier to later layer), ``edge_attr [m, F]``, ``layer [n]``
        (0 for inputs), ``node_position [n]`` and ``edge_position [m]`` (paper, section 3.3), ``num_layers`` and
        ``y [1, ...]``.

    Example:
        >>> from wskan.graph import kan_graph, to_pyg
        >>> from wskan.kan import KANSpec, Population
        >>> kans = Population.init(KANSpec(widths=(2, 5, 1)), seeds=[0])
        >>> to_pyg(kan_graph(kans))[0].edge_index.shape
        torch.Size([2, 15])
    """
    return [_to_data(graph[index], None if y is None else y[index : index + 1]) for index in range(len(graph))]


def from_pyg(graphs: Sequence[Data]) -> KANGraph:
    """Convert from PyTorch Geometric: the inverse of :func:`to_pyg`.

    Args:
        graphs: Data with ``x``, ``edge_index``, ``edge_attr`` and ``layer``. The order of the nodes of a layer is kept.

    Raises:
        ShapeError: A field is missing, two edges join the same neurons, or an edge does not lead to the next layer.
    """
    return collate([_from_data(data) for data in graphs])


def _to_data(graph: KANGraph, y: Tensor | None) -> Data:
    """Convert a batch of one graph."""
    from torch_geometric.data import Data  # seconds to import, and few need it

    widths, device = graph.widths, graph.edges[0].device
    node_exists = torch.cat([graph.full_node_mask(index)[0] for index in range(len(widths))])
    layer = torch.cat([torch.full((width,), index, device=device) for index, width in enumerate(widths)])
    node_number = torch.split(node_exists.cumsum(0) - 1, list(widths))  # among the nodes that exist
    edge_index, edge_attr, edge_position = [], [], []
    for index, (edges, positions) in enumerate(zip(graph.edges, edge_positions(widths), strict=True)):
        source, target = graph.full_edge_mask(index)[0].nonzero(as_tuple=True)
        edge_index.append(torch.stack([node_number[index][source], node_number[index + 1][target]]))
        edge_attr.append(edges[0][source, target])
        edge_position.append(positions.to(device)[source, target])
    data = Data(
        x=torch.cat(graph.nodes, 1)[0][node_exists],
        edge_index=torch.cat(edge_index, 1),
        edge_attr=torch.cat(edge_attr),
        layer=layer[node_exists],
        node_position=torch.cat(node_positions(widths)).to(device)[node_exists],
        edge_position=torch.cat(edge_position),
        num_layers=graph.num_layers,
    )
    if y is not None:
        data.y = y
    return data


def _from_data(data: Data) -> KANGraph:
    if any(data.get(name) is None for name in ("x", "edge_index", "edge_attr", "layer")):
        raise ShapeError(f"graphs need x, edge_index, edge_attr and layer, got {data}")
    x, layer, (source, target) = data.x, data.layer, data.edge_index
    depth = int(layer.max())
    if (
        len(layer) != len(x)
        or bool((layer.diff() < 0).any())
        or not torch.equal(layer.unique(), torch.arange(depth + 1).to(layer))
    ):
        raise ShapeError(f"nodes must be sorted by layer, with every layer from 0 to {depth} present, got {data}")
    if not torch.equal(layer[source] + 1, layer[target]):
        raise ShapeError("every edge must lead from one layer to the next")
    counts = layer.bincount()
    index_in_layer = torch.arange(len(layer), device=layer.device) - (counts.cumsum(0) - counts)[layer]
    edges, masks = [], []
    for index in range(depth):
        in_layer = layer[source] == index
        p, q = index_in_layer[source[in_layer]], index_in_layer[target[in_layer]]
        block = data.edge_attr.new_zeros(1, int(counts[index]), int(counts[index + 1]), data.edge_attr.shape[-1])
        mask = torch.zeros(block.shape[:-1], dtype=torch.bool, device=x.device)
        block[0, p, q], mask[0, p, q] = data.edge_attr[in_layer], True
        if int(mask.sum()) != len(p):
            raise ShapeError(
                f"layer {index} has {len(p)} edges between {int(mask.sum())} pairs of neurons; a pair has at most one"
            )
        edges.append(block)
        masks.append(None if bool(mask.all()) else mask)
    nodes = tuple(part.unsqueeze(0) for part in x.split(counts.tolist()))
    return KANGraph(edges=tuple(edges), nodes=nodes, edge_mask=tuple(masks), node_mask=(None,) * (depth + 1))
