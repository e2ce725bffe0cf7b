"""Average KANs parameter by parameter."""

from __future__ import annotations

from torch import Tensor

from wskan.errors import ShapeError
from wskan.kan import Layer, Population


def average(population: Population, weights: Tensor) -> Population:
    """Return T weighted averages of the parameters of K KANs.

    Masked edges count as zero. An average has all edges that any of the KANs has. Knots are averaged neuron by neuron;
    they stay in order if weights are not negative and sum to 1. As throughout appendix D, parameters are averaged, not
    functions: a coefficient then belongs to the averaged grid.

    Args:
        population: K KANs. They should be aligned, or their average has little meaning.
        weights: ``[T, K]``. Each row should sum to 1.

    Returns:
        A population of T KANs.

    Raises:
        ShapeError: The weights have another shape.

    Example:
        >>> import torch
        >>> from wskan.align import average
        >>> from wskan.kan import KANSpec, Population
        >>> kans = Population.init(KANSpec(widths=(2, 5, 1)), seeds=[0, 1, 2])
        >>> mean = average(kans, torch.full((1, 3), 1 / 3))
        >>> torch.allclose(mean.layers[0].coef[0], kans.layers[0].coef.mean(0))
        True
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
