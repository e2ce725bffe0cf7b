"""Standardise features."""

import dataclasses

import torch
from torch import Tensor, nn

from wskan.errors import ShapeError
from wskan.graph import FeatureStatistics, KANGraph


class Standardize(nn.Module):
    """Shifts and scales each feature of a graph by statistics of the training split.

    Features of absent edges, biases of inputs and knots of outputs stay zero. Every model contains this module, so a
    saved model takes graphs with raw features.
    """

    edge_mean: Tensor
    edge_std: Tensor
    node_mean: Tensor
    node_std: Tensor

    def __init__(self, edge_dim: int, node_dim: int, bias_dim: int = 0) -> None:
        super().__init__()
        self.bias_dim = bias_dim
        for name, value in (
            ("edge_mean", torch.zeros(edge_dim)),
            ("edge_std", torch.ones(edge_dim)),
            ("node_mean", torch.zeros(node_dim)),
            ("node_std", torch.ones(node_dim)),
        ):
            self.register_buffer(name, value)

    def set(self, statistics: FeatureStatistics) -> None:
        """Copy computed statistics into the buffers.

        Raises:
            ShapeError: The statistics are of other features.
        """
        for name, value in vars(statistics).items():
            buffer = getattr(self, name)
            if value.shape != buffer.shape:
                raise ShapeError(f"{name} has shape {tuple(value.shape)}, the model takes {tuple(buffer.shape)}")
            buffer.copy_(value)

    def forward(self, graph: KANGraph) -> KANGraph:
        """Return standardised graphs.

        Raises:
            ShapeError: The graphs have other features.
        """
        if (graph.edge_dim, graph.node_dim) != (len(self.edge_mean), len(self.node_mean)):
            raise ShapeError(
                f"graphs have {graph.edge_dim} features per edge and {graph.node_dim} per node, "
                f"the model takes {len(self.edge_mean)} and {len(self.node_mean)}"
            )
        edges = [self._edges(e) for e in graph.edges]
        edges = [
            e if mask is None else e.mul_(mask.unsqueeze(-1)) for e, mask in zip(edges, graph.edge_mask, strict=True)
        ]
        nodes = [(v - self.node_mean) / self.node_std for v in graph.nodes]
        nodes[0] = torch.cat([graph.nodes[0][..., : self.bias_dim], nodes[0][..., self.bias_dim :]], -1)
        nodes[-1] = torch.cat([nodes[-1][..., : self.bias_dim], graph.nodes[-1][..., self.bias_dim :]], -1)
        nodes = [v if mask is None else v * mask.unsqueeze(-1) for v, mask in zip(nodes, graph.node_mask, strict=True)]
        return dataclasses.replace(graph, edges=tuple(edges), nodes=tuple(nodes))

    def _edges(self, features: Tensor) -> Tensor:
        """Standardise one layer in rows of all edges of a node; short rows take PyTorch several times longer."""
        count, rows = features.shape[-2], features.flatten(-2)
        return (rows - self.edge_mean.repeat(count)).div_(self.edge_std.repeat(count)).view_as(features)
