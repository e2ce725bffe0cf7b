"""Shared by models of flattened parameters, which map one long vector to another."""

import itertools

import torch
from torch import Tensor, nn

from wskan.errors import ShapeError
from wskan.graph import KANGraph
from wskan.kan.edges import unflatten_edges
from wskan.models.base import MetaNetwork
from wskan.models.config import ModelConfig


class FlatNetwork(MetaNetwork):
    """The base of models that read all features of all edges, layer after layer, and then of all nodes, as one vector.

    They have no invariance. A subclass builds ``network``, which maps ``[B, in_size]`` to ``[B, out_size]``.

    Attributes:
        in_size: length of the vector: features of edges, knots of nodes with outgoing edges, and biases of nodes with
            incoming edges.
        out_size: ``out_dim``, or with the edge readout ``out_dim`` times the number of edges.

    Raises:
        ShapeError: The widths of the graphs differ from ``config.widths``, or the graphs are padded.
    """

    network: nn.Module

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        edges = sum(n * m for n, m in itertools.pairwise(config.widths))
        knots = sum(config.widths[:-1]) * (config.node_dim - config.bias_dim)
        self.in_size = edges * config.edge_dim + knots + sum(config.widths[1:]) * config.bias_dim
        self.out_size = config.out_dim * (edges if config.readout == "edge" else 1)

    def forward(self, graph: KANGraph) -> Tensor | list[Tensor]:
        """Return ``[B, out_dim]``, or ``[B, n_l, n_{l+1}, out_dim]`` per layer with the edge readout."""
        if graph.widths != tuple(self.config.widths) or any(mask is not None for mask in graph.node_mask):
            raise ShapeError(f"graphs have widths {graph.widths}, but this model takes only {self.config.widths}")
        graph = self.standardize(graph)
        knots = (nodes[..., self.config.bias_dim :] for nodes in graph.nodes[:-1])
        biases = (nodes[..., : self.config.bias_dim] for nodes in graph.nodes[1:])
        flat = torch.cat([tensor.flatten(1) for tensor in (*graph.edges, *knots, *biases)], 1)
        out: Tensor = self.network(flat)
        if self.config.readout == "graph":
            return out
        return unflatten_edges(out.view(len(out), -1, self.config.out_dim), graph.widths)
