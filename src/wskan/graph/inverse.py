"""Rebuild KANs from their KAN-graphs."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.errors import ShapeError
from wskan.graph.features import FeatureConfig
from wskan.graph.kan_graph import KANGraph
from wskan.kan import KANSpec, Layer, Population

EVALUABLE = FeatureConfig(form="raw", knots=True)
"""The features that hold all of a KAN but its specification."""


def population_of(graph: KANGraph, spec: KANSpec) -> Population:
    """Rebuild the KANs of graphs made with ``FeatureConfig(form="raw", knots=True)``: the inverse of :func:`kan_graph`.

    The parameters of masked edges are lost, but no output depends on them. Every neuron gets its own knots. Neurons
    that only pad a narrower KAN of a batch get a uniform grid.

    Args:
        graph: B graphs of any widths.
        spec: specification of the KANs. Its widths are ignored.

    Returns:
        B KANs with the widths of the graphs.

    Raises:
        ShapeError: The graphs have other features.
    """
    need = (EVALUABLE.edge_dim(spec), EVALUABLE.node_dim(spec))
    if (graph.edge_dim, graph.node_dim) != need:
        raise ShapeError(
            f"graphs have {graph.edge_dim} features per edge and {graph.node_dim} per node, but KANs of {spec.basis} "
            f"with grid {spec.grid} and degree {spec.degree} need {need[0]} and {need[1]}: make the graphs with "
            "FeatureConfig(form='raw', knots=True)"
        )
    layers = []
    for index, edges in enumerate(graph.edges):
        layers.append(
            Layer(
                base_weight=edges[..., 0],
                spline_weight=edges[..., 1],
                coef=edges[..., 2:],
                mask=graph.full_edge_mask(index).to(edges.dtype),
                knots=_knots(graph.nodes[index], graph.node_mask[index], spec),
            )
        )
    return Population(dataclasses.replace(spec, widths=graph.widths), layers)


def _knots(inner: Tensor, node_mask: Tensor | None, spec: KANSpec) -> Tensor:
    """Extend inner knots ``[B, n, G+1]`` to ``[B, n, T]``; absent neurons get uniform knots."""
    knots = spec.basis_functions.extend(inner)
    if node_mask is None:
        return knots
    return torch.where(node_mask.unsqueeze(-1), knots, spec.basis_functions.knots().to(knots))
