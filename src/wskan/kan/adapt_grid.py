"""Grid adaptation: moving the knots to where the activations are, as pykan 0.2.8 does while it fits."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan.bases.base import Basis
from wskan.kan.layer import Layer
from wskan.kan.population import Population


def adapt_grid(population: Population, x: Tensor, grid_eps: float = 0.02, rcond: float | None = None) -> Population:
    """One grid update of every layer, first to last, from one batch (pykan's ``update_grid``).

    Each layer sees the activations that the layers already updated give it.

    Args:
        population: K KANs.
        x: ``[K, B, in]`` inputs.
        grid_eps: 1 for a uniform grid on the range of the activations, 0 for one at their quantiles, a mixture in between.
        rcond: in refitting the coefficients, singular values of no more than this share of the largest count as zero; None for LAPACK's share in single precision.

    Raises:
        DataError: the grids of this basis stay as they are.
    """
    spec, layers = population.spec, []
    check_adapts(spec.basis_functions)
    for layer in population.layers:
        layers.append(_adapt_layer(layer, x, spec.basis_functions, grid_eps, rcond))
        x = layers[-1](x, spec)
    return Population(spec, layers)


def check_adapts(functions: Basis) -> None:
    """Refuse a basis whose grids stay as they are.

    Raises:
        DataError: saying what to do.
    """
    if not functions.adapts:
        raise DataError(f"only grids of B-splines are adapted, not those of {functions.name!r}: say adapt_grid=False")


def _adapt_layer(layer: Layer, x: Tensor, functions: Basis, grid_eps: float, rcond: float | None) -> Layer:
    x = x.transpose(1, 2)  # [K, in, B]
    knots = functions.extend(_place_knots(x, functions.grid, grid_eps))
    refit = _least_squares(
        functions.values(x, knots).double(), functions.values(x, layer.knots).double(), rcond
    )  # [K, in, new, old]
    coef = torch.einsum("kinm,kiom->kion", refit.to(layer.coef.dtype), layer.coef)
    return dataclasses.replace(layer, knots=knots, coef=coef)


def _place_knots(x: Tensor, grid: int, grid_eps: float) -> Tensor:
    """G + 1 knots ``[K, in, G+1]`` at quantiles of x ``[K, in, B]``, mixed with a uniform grid (pykan's ``get_grid``)."""
    size = x.shape[-1]
    ordered = x.sort(dim=-1).values
    quantiles = ordered[..., [int(size / grid * i) for i in range(grid)] + [size - 1]]
    step = (quantiles[..., -1:] - quantiles[..., :1]) / grid
    uniform = quantiles[..., :1] + step * torch.arange(grid + 1, device=x.device, dtype=x.dtype)
    return grid_eps * uniform + (1 - grid_eps) * quantiles


def _least_squares(new: Tensor, old: Tensor, rcond: float | None) -> Tensor:
    """The matrix T of least norm with least ``|new T - old|``: new coefficients are T times the old ones. ``[..., B, C]`` each.

    Both splines are linear in their coefficients, so one C x C problem serves every output of a neuron. The normal equations are in double precision. A KAN that is not finite gets a harmless matrix here (its batched eigenvalue problem would fail for all) and
    stays not finite, since its knots are.
    """
    gram, cross = new.mT @ new, new.mT @ old
    finite = (gram.isfinite() & cross.isfinite()).all(-1).all(-1)[..., None, None]
    gram = torch.where(finite, gram, torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device))
    cutoff = rcond or torch.finfo(torch.float32).eps * max(new.shape[-2:])
    inverse: Tensor = torch.linalg.pinv(gram, rtol=cutoff**2, hermitian=True)
    return inverse @ torch.where(finite, cross, torch.zeros_like(cross))
