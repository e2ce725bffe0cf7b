"""Grid adaptation: moving the knots to where the activations are, as pykan 0.2.8 does while it fits."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wskan.kan.population import BASE_FUNCTIONS, Layer, Population
from wskan.kan.spline import bspline_basis, extend_knots


def adapt_grid(population: Population, x: Tensor, grid_eps: float = 0.02, rcond: float | None = None) -> Population:
    """One grid update of every layer, first to last, from one batch (pykan's ``update_grid``).

    Each layer sees the activations that the layers already updated give it.

    Args:
        population: K KANs.
        x: ``[K, B, in]`` inputs.
        grid_eps: 1 for a uniform grid on the range of the activations, 0 for one at their quantiles, a mixture in between.
        rcond: in refitting the coefficients, singular values of no more than this share of the largest count as zero; None for LAPACK's share in single precision.
    """
    base, layers = BASE_FUNCTIONS[population.spec.base], []
    for layer in population.layers:
        layers.append(_adapt_layer(layer, x, grid_eps, rcond))
        x = layers[-1](x, base)
    return Population(population.spec, layers)


def _adapt_layer(layer: Layer, x: Tensor, grid_eps: float, rcond: float | None) -> Layer:
    x = x.transpose(1, 2)  # [K, in, B]
    num_basis = layer.coef.shape[-1]
    degree = layer.knots.shape[-1] - num_basis - 1
    knots = extend_knots(_place_knots(x, num_basis - degree, grid_eps), degree)
    refit = _least_squares(
        bspline_basis(x, knots, degree).double(), bspline_basis(x, layer.knots, degree).double(), rcond
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
