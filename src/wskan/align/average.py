"""Averages of KANs, parameter by parameter."""

from __future__ import annotations

from torch import Tensor

from wskan.errors import ShapeError
from wskan.kan import Layer, Population


def average(population: Population, weights: Tensor) -> Population:
    """Weighted averages of the parameters of K KANs: a population of T.

    A masked edge counts as zero, and an average has the edges that any of the KANs has. Knots are averaged like the rest, neuron by neuron: with weights that
    are not negative and sum to 1 they stay in order. A coefficient then belongs to the basis function between those of the KANs, so it is the parameters that are
    averaged, not the functions, as everywhere in appendix D.

    Args:
        population: K KANs, aligned, or their average means little.
        weights: ``[T, K]``, of which each row sums to 1.

    Raises:
        ShapeError: weights of another shape.
    """
    if weights.ndim != 2 or weights.shape[1] != len(population):
        raise ShapeError(f"weights must be [T, {len(population)}], got {list(weights.shape)}")
    shared = population.uniform_grid
    if not shared:
        population = population.expand_knots()
    weights = weights.to(population.layers[0].coef)

    def mean(tensor: Tensor) -> Tensor:
        return (weights @ tensor.flatten(1)).view(len(weights), *tensor.shape[1:])

    layers = []
    for layer in population.layers:
        present = layer.mask.amax(0, keepdim=True).expand(len(weights), -1, -1)
        layers.append(
            Layer(
                base_weight=mean(layer.base_weight * layer.mask),
                spline_weight=mean(layer.spline_weight * layer.mask),
                coef=mean(layer.coef * layer.mask.unsqueeze(-1)),
                mask=present.contiguous(),
                knots=layer.knots if shared else mean(layer.knots),
            )
        )
    return Population(population.spec, layers)
