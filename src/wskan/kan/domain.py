"""Limits of symmetries: activations outside their grids, and the resulting error of the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.errors import ShapeError
from wskan.kan.evaluate import checked_inputs, outputs
from wskan.kan.population import Population


@torch.no_grad()
def outside_domain(population: Population, x: Tensor) -> Tensor:
    """Compute the share of activations outside the grid of their neuron, ``[K, L]`` float32.

    A grid ends at its first and last inner knot; extended knots do not count. Column l is for the inputs of layer l, so
    column 0 is for x itself.

    Args:
        population: K KANs.
        x: ``[N, in]`` for all KANs, or ``[K, N, in]``.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite.
    """
    spec, x = population.spec, checked_inputs(population, x)
    rows = []
    for index in range(len(population)):  # one at a time, to save memory
        values = x[min(index, len(x) - 1)].unsqueeze(0)
        shares = []
        for layer in population[index].layers:
            inner = spec.basis_functions.inner(layer.knots).unsqueeze(1)  # [1, 1, in or 1, G+1]
            shares.append(((values < inner[..., 0]) | (values > inner[..., -1])).float().mean())
            values = layer(values, spec)
        rows.append(torch.stack(shares))
    return torch.stack(rows)


def symmetry_error(population: Population, other: Population, x: Tensor) -> Tensor:
    """Compute the relative difference ``[K]`` between the outputs of two populations.

    It is the root mean square of the difference over inputs and outputs, divided by the standard deviation of the
    outputs of ``population``. It is zero if ``other`` is the result of a symmetry and no activation left the domain.

    Args:
        population, other: K KANs each.
        x: ``[N, in]`` for all KANs, or ``[K, N, in]``.

    Raises:
        ShapeError: x has another shape, or ``other`` has another number of KANs or outputs.
        DataError: x or a KAN is not finite.
    """
    if len(population) != len(other) or population.spec.widths[-1] != other.spec.widths[-1]:
        raise ShapeError(f"{population} cannot be compared with {other}")
    before, after = outputs(population, x).double(), outputs(other, x).double()
    spread = (before - before.mean(1, keepdim=True)).square().mean((1, 2)).sqrt()
    error = (after - before).square().mean((1, 2)).sqrt()
    return (error / spread.clamp_min(torch.finfo(torch.float32).tiny)).float()
