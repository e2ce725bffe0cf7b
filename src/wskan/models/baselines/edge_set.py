"""Shared by DeepSets and SetTransformer: the edges of a KAN-graph as a set, and readouts that ignore their order."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from wskan.graph import KANGraph
from wskan.kan.edges import flatten_edges, unflatten_edges
from wskan.models.base import MetaNetwork
from wskan.models.config import ModelConfig
from wskan.models.ops.edge_linear import EdgeLinear
from wskan.models.ops.edge_mlp import edge_mlp, mean_over_edges
from wskan.models.ops.layers import MLP, Dropout, LayerNorm


def edge_tokens(graph: KANGraph, bias_dim: int = 0) -> Tensor:
    """Return the features of all E edges with those of their neurons, layer after layer, ``[B, E, F + D]``.

    The features of an edge are followed by the knots of its source and the biases of its target.

    Args:
        graph: B graphs.
        bias_dim: number of leading node features that are biases.
    """
    blocks = []
    for edges, source, target in zip(graph.edges, graph.nodes[:-1], graph.nodes[1:], strict=True):
        knots = source[..., bias_dim:].unsqueeze(2).expand(-1, -1, edges.shape[2], -1)
        biases = target[..., :bias_dim].unsqueeze(1).expand(-1, edges.shape[1], -1, -1)
        blocks.append(torch.cat([edges, knots, biases], -1))
    return flatten_edges(blocks)


def flat_edge_mask(graph: KANGraph) -> Tensor | None:
    """Return which of all E edges exist, ``[B, E]`` bool, or None if all do."""
    if all(mask is None for mask in graph.edge_mask):
        return None
    return flatten_edges([graph.full_edge_mask(index) for index in range(graph.num_layers)])


class EdgeSetNetwork(MetaNetwork):
    """The base of models that read the edges as a set.

    They are invariant to any order of edges, not only to reorderings that keep the KAN the same. Each edge carries the
    knots of its source and the biases of its target. Graphs may have any widths and depth. Absent edges are ignored.

    Args:
        config: configuration of the model.
        layers: each maps states ``[B, E, h]`` and which edges exist, ``[B, E]`` bool or None, to new states, and
            commutes with reordering.
    """

    def __init__(self, config: ModelConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__(config)
        hidden = config.hidden
        self.embedding = nn.Linear(config.edge_dim + config.node_dim, hidden)
        self.layers = nn.ModuleList(layers)
        self.norm = LayerNorm(hidden)
        self.dropout = Dropout(config.dropout)
        self.head = MLP(hidden, hidden, config.out_dim)

    def forward(self, graph: KANGraph) -> Tensor | list[Tensor]:
        """Return ``[B, out_dim]``, or ``[B, n_l, n_{l+1}, out_dim]`` per layer with the edge readout."""
        graph = self.standardize(graph)
        x, edge_mask = self.embedding(edge_tokens(graph, self.config.bias_dim)), flat_edge_mask(graph)
        for layer in self.layers:
            x = layer(x, edge_mask)
        if self.config.readout == "edge":
            first = EdgeLinear(self.head.first.weight, self.head.first.bias.expand(len(x), 1, -1), None)
            predictions = edge_mlp(x.unsqueeze(1), self.norm, first, self.head.second).squeeze(1)
            return unflatten_edges(predictions, graph.widths)
        out: Tensor = self.head(self.dropout(self.norm(mean_over_edges(x, edge_mask))))
        return out
