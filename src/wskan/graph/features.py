"""From KANs to KAN-graphs: what describes an edge and a node."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from wskan.errors import DataError
from wskan.graph.kan_graph import KANGraph
from wskan.kan import KANSpec, Layer, Population


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Choice of features.

    Args:
        knots: describe each neuron that has outgoing edges by the G + 1 knots of its grid on the domain; eq. 5 alone forgets an adapted grid.
    """

    knots: bool = False

    def edge_dim(self, spec: KANSpec) -> int:
        """Number F of features of an edge."""
        return spec.num_basis + 2

    def node_dim(self, spec: KANSpec) -> int:
        """Number D of features of a node."""
        return spec.grid + 1 if self.knots else 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureConfig:
        """Read a choice from JSON types.

        Raises:
            DataError: anything but ``{"knots": true or false}``.
        """
        if (
            not isinstance(data, Mapping)
            or not set(data) <= {"knots"}
            or not isinstance(data.get("knots", False), bool)
        ):
            raise DataError(f"features are an object with 'knots' (true or false), got {data!r:.200}")
        return cls(**data)


def kan_graph(population: Population, config: FeatureConfig | None = None) -> KANGraph:
    """The KAN-graphs of a population (paper, section 3.2).

    The features of an edge are [w_b, w_s, c_0, ..., c_{G+k-1}] (eq. 5), zero if it is masked.
    """
    config = config or FeatureConfig()
    spec, layers = population.spec, population.layers
    like = layers[0].coef
    nodes = []
    for index, width in enumerate(spec.widths):
        if config.knots and index < spec.num_layers:
            inner = layers[index].knots[..., spec.degree : spec.degree + spec.grid + 1]
            nodes.append(inner.expand(len(population), width, -1).to(like))
        else:
            nodes.append(like.new_zeros(len(population), width, config.node_dim(spec)))
    masks = [layer.mask != 0 for layer in layers]
    return KANGraph(
        edges=tuple(_edge_features(layer) for layer in layers),
        nodes=tuple(nodes),
        edge_mask=tuple(None if bool(mask.all()) else mask for mask in masks),
        node_mask=(None,) * len(spec.widths),
    )


def _edge_features(layer: Layer) -> torch.Tensor:
    features = torch.cat([layer.base_weight.unsqueeze(-1), layer.spline_weight.unsqueeze(-1), layer.coef], -1)
    return features * layer.mask.unsqueeze(-1)  # [B, n_l, n_{l+1}, F]
