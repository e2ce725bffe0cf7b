"""Grid adaptation: move the knots to where the activations are, as pykan 0.2.8 does during fitting."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan.bases.base import Basis
from wskan.kan.layer import Layer
from wskan.kan.population import Population


def adapt_grid(population: Population, x: Tensor, grid_eps: float = 0.02, rcond: float | None = None) -> Population:
    """Update the grid of every layer once, first to last, from one batch (pykan's ``update_grid``).

    Each layer receives the activations of the layers before it, whose grids are already updated.

    Args:
        population: K KANs.
        x: ``[K, B, in]`` inputs.
        grid_eps: 1 for a uniform grid on the range of the activations, 0 for a grid at their quantiles.
            Values between mix the two.
        rcond: cutoff for refitting the coefficients. Singular values up to this share of the largest count as zero.
            None for LAPACK's share in single precision.

    Returns:
        The same KANs with new knots and refitted coefficients.

    Raises:
        DataError: the grids of this basis cannot be adapted.
    """
    spec, layers = population.spec, []
    check_adapts(spec.basis_functions)
    for layer in population.layers:
        layers.append(_adapt_layer(layer, x, spec.basis_functions, grid_eps, rcond))
        x = layers[-1](x, spec)
    return Population(spec, layers)


def check_adapts(functions: Basis) -> None:
    """Raise unless the grids of this basis can be adapted.

    Raises:
        DataError: they cannot. The message says what to do.
    """
    if not functions.adapts:
        raise DataError(
            f"only grids of B-splines can be adapted, not those of {functions.name!r}: set adapt_grid=False"
        )


def _adapt_layer(layer: Layer, x: Tensor, functions: Basis, grid_eps: float, rcond: float | None) -> Layer:
    x = x.transpose(1, 2)  # [K, in, B]
    knots = functions.extend(_place_knots(x, functions.grid, grid_eps))
    refit = _least_squares(
        functions.values(x, knots).double(), functions.values(x, layer.knots).double(), rcond
    )  # [K, in, new, old]
    coef = torch.einsum("kinm,kiom->kion", refit.to(layer.coef.dtype), layer.coef)
    return dataclasses.replace(layer, knots=knots, coef=coef)


def _place_knots(x: Tensor, grid: int, grid_eps: float) -> Tensor:
    """Place G + 1 knots ``[K, in, G+1]``: quantiles of x ``[K, in, B]``, mixed with a uniform grid (``get_grid``)."""
    size = x.shape[-1]
    ordered = x.sort(dim=-1).values
    quantiles = ordered[..., [int(size / grid * i) for i in range(grid)] + [size - 1]]
    step = (quantiles[..., -1:] - quantiles[..., :1]) / grid
    uniform = quantiles[..., :1] + step * torch.arange(grid + 1, device=x.device, dtype=x.dtype)
    return grid_eps * uniform + (1 - grid_eps) * quantiles


def _least_squares(new: Tensor, old: Tensor, rcond: float | None) -> Tensor:
    """Return the matrix T of least norm that minimises ``|new T - old|``, for ``[..., B, C]`` each.

    New coefficients are T times the old ones. Both splines are linear in their coefficients, so one C x C problem
    serves every output of a neuron. The normal equations are in double precision. One KAN that is not finite would
    make the batched eigenvalue problem fail for all. It gets the identity here and stays not finite, as its knots are.
    """
    gram, cross = new.mT @ new, new.mT @ old
    finite = (gram.isfinite() & cross.isfinite()).all(-1).all(-1)[..., None, None]
    gram = torch.where(finite, gram, torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device))
    cutoff = rcond or torch.finfo(torch.float32).eps * max(new.shape[-2:])
    inverse: Tensor = torch.linalg.pinv(gram, rtol=cutoff**2, hermitian=True)
    return inverse @ torch.where(finite, cross, torch.zeros_like(cross))
