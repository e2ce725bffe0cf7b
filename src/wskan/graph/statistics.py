"""Compute the mean and standard deviation of each feature."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.graph.kan_graph import KANGraph


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FeatureStatistics:
    """The mean and standard deviation of each feature over all existing edges and nodes of some graphs.

    Attributes:
        edge_mean, edge_std: ``[F]``.
        node_mean, node_std: ``[D]``. Inputs, which have no bias, do not count for biases. Outputs, which have no grid,
            do not count for knots.
    """

    edge_mean: Tensor
    edge_std: Tensor
    node_mean: Tensor
    node_std: Tensor


def feature_statistics(graphs: Iterable[KANGraph], bias_dim: int = 0) -> FeatureStatistics:
    """Compute feature statistics batch by batch, in double precision.

    Args:
        graphs: batches of graphs.
        bias_dim: the number of leading node features that are biases.

    Raises:
        DataError: There are no graphs, or some features are not finite.
    """
    edges, biases, knots = _Moments(), _Moments(), _Moments()
    for graph in graphs:
        for features, mask in zip(graph.edges, graph.edge_mask, strict=True):
            edges.add(features.flatten(0, 2) if mask is None else features[mask])
        for index, (features, mask) in enumerate(zip(graph.nodes, graph.node_mask, strict=True)):
            rows = features.flatten(0, 1) if mask is None else features[mask]
            if index > 0:
                biases.add(rows[:, :bias_dim])
            if index < graph.num_layers:
                knots.add(rows[:, bias_dim:])
    edge_mean, edge_std = edges.result()
    node_mean, node_std = (torch.cat(parts) for parts in zip(biases.result(), knots.result(), strict=True))
    return FeatureStatistics(edge_mean=edge_mean, edge_std=edge_std, node_mean=node_mean, node_std=node_std)


class _Moments:
    """Running count, mean and sum of squared deviations, accurate for large means (Chan, Golub and LeVeque, 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(0), torch.zeros(0)

    def add(self, rows: Tensor) -> None:
        if rows.numel() == 0 and rows.shape[-1] > 0:
            return
        rows = rows.double()
        count, mean = len(rows), rows.mean(0)
        squares = (rows - mean).square().sum(0)
        if self.count == 0:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total, delta = self.count + count, mean - self.mean
        self.squares = self.squares + squares + delta.square() * (self.count * count / total)
        self.mean = self.mean + delta * (count / total)
        self.count = total

    def result(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation in single precision; 1 where nothing varies."""
        if self.count == 0 or not bool(self.mean.isfinite().all() and self.squares.isfinite().all()):
            raise DataError(f"statistics need at least one graph and finite features, got {self.count} rows")
        std = (self.squares / self.count).sqrt()
        return self.mean.float(), torch.where(std > 1e-6, std, torch.ones_like(std)).float()
