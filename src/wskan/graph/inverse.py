"""From KAN-graphs back to KANs."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.errors import ShapeError
from wskan.graph.features import FeatureConfig
from wskan.graph.kan_graph import KANGraph
from wskan.kan import KANSpec, Layer, Population

EVALUABLE = FeatureConfig(form="raw", knots=True)
"""Features that say everything of a KAN but its specification."""


def population_of(graph: KANGraph, spec: KANSpec) -> Population:
    """Rebuild the KANs of graphs: the inverse of ``kan_graph(population, FeatureConfig(form="raw", knots=True))``.

    A masked edge has lost its parameters, which no function depends on. Every neuron has knots of its own; one that
    only fills up a narrower KAN of a batch gets those of a uniform grid.

    Args:
        graph: B graphs, of any widths.
        spec: everything about the KANs but their widths.

    Returns:
        B KANs of the widths of the graphs.

    Raises:
        ShapeError: graphs of other features than those.
    """
    need = (EVALUABLE.edge_dim(spec), EVALUABLE.node_dim(spec))
    if (graph.edge_dim, graph.node_dim) != need:
        raise ShapeError(
            f"graphs have {graph.edge_dim} features an edge and {graph.node_dim} a node, KANs of {spec.basis} with "
            f"grid {spec.grid} and degree {spec.degree} need {need[0]} and {need[1]}: make them with "
            "FeatureConfig(form='raw', knots=True)"
        )
    layers = []
    for edges, mask, nodes, exist in zip(
        graph.edges, graph.edge_mask, graph.nodes[:-1], graph.node_mask[:-1], strict=True
    ):
        base_weight, spline_weight, coef = edges[..., 0], edges[..., 1], edges[..., 2:]
        mask = torch.ones_like(base_weight) if mask is None else mask.to(edges.dtype)
        knots = _knots(nodes, exist, spec)
        layers.append(Layer(base_weight=base_weight, spline_weight=spline_weight, coef=coef, mask=mask, knots=knots))
    return Population(dataclasses.replace(spec, widths=graph.widths), layers)


def _knots(inner: Tensor, exist: Tensor | None, spec: KANSpec) -> Tensor:
    """``[B, n, T]`` of neurons with inner knots ``[B, n, G+1]``, uniform where there is no neuron."""
    knots = spec.basis_functions.extend(inner)
    if exist is None:
        return knots
    return torch.where(exist.unsqueeze(-1), knots, spec.basis_functions.knots().to(knots))
