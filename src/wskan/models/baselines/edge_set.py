"""What DeepSets and SetTransformer share: the edges of a KAN-graph as a set, and read-outs that know no order."""

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
    """Features of all E edges, layer after layer, each followed by the knots of the neuron it comes from and the biases (the first ``bias_dim`` features) of the one it leads to, ``[B, E, F + D]``."""
    blocks = []
    for edges, source, target in zip(graph.edges, graph.nodes[:-1], graph.nodes[1:], strict=True):
        knots = source[..., bias_dim:].unsqueeze(2).expand(-1, -1, edges.shape[2], -1)
        biases = target[..., :bias_dim].unsqueeze(1).expand(-1, edges.shape[1], -1, -1)
        blocks.append(torch.cat([edges, knots, biases], -1))
    return flatten_edges(blocks)


def edges_exist(graph: KANGraph) -> Tensor | None:
    """Which of these edges exist, ``[B, E]`` bool; None if all do."""
    if all(mask is None for mask in graph.edge_mask):
        return None
    masks = [
        edges.new_ones(edges.shape[:3], dtype=torch.bool) if mask is None else mask
        for edges, mask in zip(graph.edges, graph.edge_mask, strict=True)
    ]
    return flatten_edges(masks)


class EdgeSetNetwork(MetaNetwork):
    """Base of models that see the edges as a set: invariant to any reordering of them, not only to those that leave the KAN the same.

    Knots and biases are features of neurons; an edge carries the knots of the neuron it comes from and the bias of the one it leads to. Graphs may have any widths and depth. Absent edges count nowhere.

    Args:
        config: of the model.
        layers: each takes states ``[B, E, h]`` and which edges exist, ``[B, E]`` bool or None, to new states, and commutes with reordering.
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
        """``[B, out_dim]`` from the mean over edges, or one ``[B, n_l, n_{l+1}, out_dim]`` a layer with the edge read-out."""
        graph = self.standardize(graph)
        x, exist = self.embedding(edge_tokens(graph, self.config.bias_dim)), edges_exist(graph)
        for layer in self.layers:
            x = layer(x, exist)
        if self.config.readout == "edge":
            first = EdgeLinear(self.head.first.weight, self.head.first.bias.expand(len(x), 1, -1), None)
            return unflatten_edges(
                edge_mlp(x.unsqueeze(1), self.norm, first, self.head.second).squeeze(1), graph.widths
            )
        out: Tensor = self.head(self.dropout(self.norm(mean_over_edges(x, exist))))
        return out
