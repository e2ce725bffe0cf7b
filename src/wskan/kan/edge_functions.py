"""The univariate function of each edge, by its values: a description that does not depend on how the function is parametrised."""

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
    """Evaluate phi_{p,q}(x) and phi_{p,q}'(x) of every edge (eq. 3) at points spread over its own domain.

    They are the middles of ``points`` equal parts of the interval between the first and the last knot of neuron p (extended knots left out). Zero for a masked edge.

    Args:
        population: K KANs.
        points: how many.
        scale, shift: describe the KANs that compute ``f(scale * x + shift)``, ``[K, in]`` each; where that leaves the first layer's domain, the value at its border is taken.

    Returns:
        A pair ``[K, n_l, n_{l+1}, points]`` a layer.

    Raises:
        DataError: no point.
    """
    tables = edge_function_tables(population, points, scale, shift)
    return [(table[..., :points], table[..., points:]) for table in tables]


def edge_function_tables(
    population: Population, points: int, scale: Tensor | None = None, shift: Tensor | None = None
) -> list[Tensor]:
    """Evaluate as :func:`edge_functions` does, values and slopes side by side: ``[K, n_l, n_{l+1}, 2 * points]`` for each layer."""
    if points < 1:
        raise DataError(f"a function is described at one point or more, got {points}")
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
    return layer.weights() @ both.mT  # one product for everything
