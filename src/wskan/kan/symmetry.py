"""Symmetries of KANs other than permutations: different weights that give the same function. The paper names none.

Each docstring says where the symmetry is exact. "In the domain" means that activations of the neurons concerned stay
between the first and last inner knot of their grids, and that knots are distinct.
:func:`wskan.kan.outside_domain` counts the activations that do not.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan.bases.base import Basis
from wskan.kan.layer import Layer
from wskan.kan.population import Population
from wskan.kan.spec import KANSpec


def scale_edges(population: Population, factors: Sequence[Tensor]) -> Population:
    """Multiply spline weights and divide coefficients by the same factors. Exact everywhere.

    Args:
        population: K KANs.
        factors: nonzero ``[K, n_l, n_{l+1}]`` per layer.

    Raises:
        ShapeError: the factors have another shape.
        DataError: a factor is zero or not finite in the precision of the KANs.
    """
    factors = _edge_values(population, factors)
    if any(bool((factor == 0).any()) for factor in factors):
        raise DataError(f"factors must not be zero in {factors[0].dtype}")
    return Population(
        population.spec,
        [
            dataclasses.replace(layer, spline_weight=layer.spline_weight * a, coef=layer.coef / a.unsqueeze(-1))
            for layer, a in zip(population.layers, factors, strict=True)
        ],
    )


def shift_edges(population: Population, shifts: Sequence[Tensor]) -> Population:
    """Add a constant to each edge's function such that the constants cancel in every neuron. Exact in the domain.

    B-splines sum to 1 in the domain (paper, appendix B). So adding a to all coefficients of an edge adds a, times its
    spline weight, to its function. Chebyshev polynomials and Fourier series have a constant of their own. The shifts
    of the edges that lead to one neuron must sum to zero, so their mean is subtracted first; any shifts are allowed.
    Masked edges are left out. An edge with spline weight 0 gets spline weight 1.

    Args:
        population: K KANs.
        shifts: ``[K, n_l, n_{l+1}]`` per layer.

    Raises:
        ShapeError: the shifts have another shape.
        DataError: a shift is not finite, or the basis contains no constant (``"rbf"``, ``"wavelet"``).
    """
    shifts = _edge_values(population, shifts)
    if (constant := population.spec.basis_functions.constant_coefficients()) is None:
        raise DataError(
            f"functions of {population.spec.basis!r} cannot be a constant, so edges cannot be shifted; "
            "use permutation and scale only"
        )
    layers = []
    for layer, a in zip(population.layers, shifts, strict=True):
        exist = layer.mask != 0
        a = torch.where(exist, a - (a * exist).sum(1, keepdim=True) / exist.sum(1, keepdim=True).clamp_min(1), 0)
        layers.append(_add_to_splines(layer, a.unsqueeze(-1) * constant.to(a), exist))
    return Population(population.spec, layers)


def negate_neurons(population: Population, chosen: Sequence[Tensor]) -> Population:
    """Change the sign of hidden neurons. Exact as long as these neurons stay in the domain.

    Incoming functions change sign: their coefficients and base weights do, their spline weights stay. Outgoing
    functions are mirrored (:meth:`wskan.kan.Basis.mirror`) on the mirrored grid, whose knots are negated and reversed.
    For silu, silu(-x) = silu(x) - x. So the base weight stays and the straight line is added to the spline, with the
    Greville abscissae as coefficients. Identity is an odd function, so its base weight changes sign instead.

    Args:
        population: K KANs.
        chosen: ``[K, n_l]`` bool per hidden layer, True for the neurons to negate.

    Raises:
        ShapeError: the masks have another shape.
        DataError: the masks are not bool, or the base is silu and the basis contains no straight line. Only B-splines
            of degree 1 or more contain one.
    """
    spec = population.spec
    shapes = [(len(population), width) for width in spec.widths[1:-1]]
    if [tuple(which.shape) for which in chosen] != shapes:
        raise ShapeError(f"need one mask per hidden layer, {shapes}, got {[tuple(mask.shape) for mask in chosen]}")
    if any(which.dtype != torch.bool for which in chosen):
        raise DataError(f"masks of neurons must be bool, got {[which.dtype for which in chosen]}")
    check_negatable(spec)
    if spec.domain[0] != -spec.domain[1]:  # then a shared grid is not its own mirror image
        population = population.expand_knots()
    layers = list(population.layers)
    for index, which in enumerate(which.to(layers[0].coef.device) for which in chosen):
        layers[index] = _negate_outputs(layers[index], which)
        layers[index + 1] = _mirror_inputs(layers[index + 1], which, spec.base, spec.basis_functions)
    return Population(spec, layers)


def negatable(spec: KANSpec) -> bool:
    """Return whether hidden neurons can be negated: with silu, only if the basis contains a straight line."""
    return spec.base != "silu" or spec.basis_functions.identity_coefficients(spec.basis_functions.knots()) is not None


def check_negatable(spec: KANSpec) -> None:
    """Raise unless hidden neurons can be negated.

    Raises:
        DataError: they cannot.
    """
    if not negatable(spec):
        raise DataError(
            f"with silu, neurons cannot be negated: functions of {spec.basis!r}, degree {spec.degree}, cannot be a "
            "straight line; use permutation and scale only"
        )


def _negate_outputs(layer: Layer, which: Tensor) -> Layer:
    """Change the sign of the functions that lead to the chosen neurons ``[K, out]``."""
    sign = torch.where(which, -1.0, 1.0).to(layer.coef).unsqueeze(1)  # [K, 1, out]
    return dataclasses.replace(layer, base_weight=layer.base_weight * sign, coef=layer.coef * sign.unsqueeze(-1))


def _mirror_inputs(layer: Layer, which: Tensor, base: str, functions: Basis) -> Layer:
    """Replace phi(x) by phi(-x) for the chosen neurons ``[K, in]``."""
    edges = which.unsqueeze(-1)  # [K, in, 1]
    # a shared grid is its own mirror image
    knots = layer.knots if layer.shared_knots else torch.where(edges, -layer.knots.flip(-1), layer.knots)
    coef = torch.where(edges.unsqueeze(-1), functions.mirror(layer.coef), layer.coef)
    layer = dataclasses.replace(layer, knots=knots, coef=coef)
    if base == "identity":
        return dataclasses.replace(layer, base_weight=torch.where(edges, -layer.base_weight, layer.base_weight))
    if base == "zero" or (line := functions.identity_coefficients(knots)) is None:
        return layer
    added = torch.where(edges, -layer.base_weight, 0).unsqueeze(-1) * line.unsqueeze(-2)  # [K, in, out, C]
    return _add_to_splines(layer, added, edges & (layer.base_weight != 0))


def _add_to_splines(layer: Layer, added: Tensor, where: Tensor) -> Layer:
    """Add ``[K, in, out, C]`` to the coefficients times the spline weight of some edges ``[K, in, out]``.

    A spline weight of 0 becomes 1.
    """
    empty = layer.spline_weight == 0
    weight = torch.where(where & empty, 1, layer.spline_weight)
    coef = torch.where((where & empty).unsqueeze(-1), 0, layer.coef)
    step = torch.where(where.unsqueeze(-1), added / torch.where(weight == 0, 1, weight).unsqueeze(-1), 0)
    return dataclasses.replace(layer, spline_weight=weight, coef=coef + step)


def _edge_values(population: Population, values: Sequence[Tensor]) -> list[Tensor]:
    """Check one finite value per edge and convert to the precision of the KANs."""
    shapes = [(len(population), *pair) for pair in itertools.pairwise(population.spec.widths)]
    if [tuple(value.shape) for value in values] != shapes:
        raise ShapeError(f"need one value per edge, {shapes}, got {[tuple(value.shape) for value in values]}")
    values = [value.to(layer.coef) for value, layer in zip(values, population.layers, strict=True)]
    if not all(bool(value.isfinite().all()) for value in values):
        raise DataError(f"values of edges must be finite in {values[0].dtype}")
    return values
