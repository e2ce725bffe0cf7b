"""The univariate function of each edge as values and slopes, which do not depend on how it is parametrised."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan.layer import Layer
from wskan.kan.population import Population
from wskan.kan.spec import KANSpec

BASE_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": lambda x: x.sigmoid() * (1 + x * (1 - x.sigmoid())),
    "identity": torch.ones_like,
    "zero": torch.zeros_like,
}


def edge_functions(
    population: Population, points: int, scale: Tensor | None = None, shift: Tensor | None = None
) -> list[tuple[Tensor, Tensor]]:
    """Evaluate phi_{p,q}(x) and phi_{p,q}'(x) of every edge (paper, eq. 3) at points spread over its own domain.

    The points are the midpoints of ``points`` equal parts of the grid of neuron p, without extended knots. Masked edges
    give zero.

    Args:
        population: K KANs.
        points: number of points, at least 1.
        scale, shift: ``[K, in]`` each; evaluate the KANs that compute ``f(scale * x + shift)`` instead. Points
            outside the first layer's domain take the value at its border.

    Returns:
        A pair of ``[K, n_l, n_{l+1}, points]`` per layer: values and slopes.

    Raises:
        DataError: ``points`` is less than 1.
    """
    tables = edge_function_tables(population, points, scale, shift)
    return [(table[..., :points], table[..., points:]) for table in tables]


def edge_function_tables(
    population: Population, points: int, scale: Tensor | None = None, shift: Tensor | None = None
) -> list[Tensor]:
    """Evaluate as :func:`edge_functions`, values before slopes in one ``[K, n_l, n_{l+1}, 2 * points]`` per layer."""
    if points < 1:
        raise DataError(f"points must be at least 1, got {points}")
    first, *rest = population.layers
    blocks = [_layer_table(layer, points, population.spec) for layer in rest]
    return [_layer_table(first, points, population.spec, scale, shift), *blocks]


def _layer_table(
    layer: Layer, points: int, spec: KANSpec, scale: Tensor | None = None, shift: Tensor | None = None
) -> Tensor:
    inner = spec.basis_functions.inner(layer.knots)
    low, high = inner[..., :1], inner[..., -1:]  # [K or 1, in or 1, 1]
    x = low + (torch.arange(points).to(low) + 0.5) / points * (high - low)  # [K or 1, in or 1, P]
    if scale is not None:
        x = scale.to(x).unsqueeze(-1) * x
    if shift is not None:
        x = x + shift.to(x).unsqueeze(-1)
    x = x.maximum(low).minimum(high)
    slopes = torch.cat([BASE_SLOPES[spec.base](x).unsqueeze(-1), spec.basis_functions.slopes(x, layer.knots)], -1)
    if scale is not None:
        slopes = slopes * scale.to(x)[..., None, None]
    both = torch.cat([layer.functions(x, spec), slopes], -2)
    return layer.weights() @ both.mT  # one product for values and slopes
