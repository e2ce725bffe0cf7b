"""B-spline bases (paper, appendix B), batched over KANs and neurons and evaluated as in pykan 0.2.8.

Each neuron has its own knots. So every function takes ``knots [..., T]`` with T = G + 2k + 1, and ``x [..., B]`` with
the same leading axes (or axes that broadcast).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def uniform_knots(grid: int, degree: int, domain: tuple[float, float]) -> Tensor:
    """Build uniform knots t_{-k}, ..., t_{G+k}, ``[G+2k+1]`` (paper, appendix B).

    There are G intervals on the domain and k more beyond each end.
    """
    inner = torch.linspace(domain[0], domain[1], grid + 1, dtype=torch.float32)
    return extend_knots(inner, degree)


def extend_knots(inner: Tensor, degree: int) -> Tensor:
    """Add k equally spaced knots beyond each end, spaced like the mean interval inside (pykan's ``extend_grid``).

    Args:
        inner: ``[..., G+1]`` knots on the domain.
        degree: k.

    Returns:
        ``[..., G+2k+1]``.
    """
    if degree == 0:
        return inner
    step = (inner[..., -1:] - inner[..., :1]) / (inner.shape[-1] - 1)
    count = torch.arange(1, degree + 1, device=inner.device, dtype=inner.dtype)
    left = inner[..., :1] - step * count.flip(0)
    right = inner[..., -1:] + step * count
    return torch.cat([left, inner, right], dim=-1)


def bspline_basis(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    """Evaluate all G + k basis functions B_i(x) by the Cox-de Boor recursion (paper, appendix B).

    Every basis function is zero outside the extended knots, so a spline is zero there. Between the domain and the last
    extended knot it falls off smoothly. Where knots coincide, pykan sets the whole 0/0 term to zero, and so does this.

    Args:
        x: ``[..., B]``.
        knots: ``[..., T]``, non-decreasing.
        degree: k.

    Returns:
        ``[..., B, T-k-1]``.
    """
    return cast(Tensor, _Basis.apply(x, knots, degree))  # type: ignore[no-untyped-call]


def bspline_slope(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    """Compute derivatives B_i'(x) of all basis functions; arguments and shape as in :func:`bspline_basis`."""
    if degree == 0:
        return torch.zeros_like(bspline_basis(x, knots, degree))
    left, right = _reciprocals(knots.unsqueeze(-2), degree)
    lower = bspline_basis(x, knots, degree - 1)
    return degree * (left * lower[..., :-1] - right * lower[..., 1:])


def greville_abscissae(knots: Tensor, degree: int) -> Tensor:
    """Compute the coefficients of the straight line x -> x on the domain, for degree k of at least 1.

    They are the means of the k inner knots of each basis function.

    Args:
        knots: ``[..., T]``.
        degree: k.

    Returns:
        ``[..., T-k-1]``.
    """
    return knots[..., 1:-1].unfold(-1, degree, 1).mean(-1)


class _Basis(torch.autograd.Function):
    """The Cox-de Boor recursion with a recomputed derivative, which needs a tenth of the memory.

    It is still differentiable any number of times. No gradient flows to the knots, which are never trained.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, knots: Tensor, degree: int) -> Tensor:
        ctx.save_for_backward(x, knots)
        ctx.degree = degree
        x, t = x.unsqueeze(-1), knots.unsqueeze(-2)
        basis = ((x >= t[..., :-1]) & (x < t[..., 1:])).to(x.dtype)
        for k in range(1, degree + 1):
            left, right = _reciprocals(t, k)
            basis = (x - t[..., : -(k + 1)]) * left * basis[..., :-1] + (t[..., k + 1 :] - x) * right * basis[..., 1:]
        return basis

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, knots = ctx.saved_tensors
        return (gradient * bspline_slope(x, knots, ctx.degree)).sum(-1).sum_to_size(x.shape), None, None


def _reciprocals(t: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return 1 / (t_{i+k} - t_i) and 1 / (t_{i+k+1} - t_{i+1}), both zero where either denominator is zero."""
    step = t[..., k:] - t[..., :-k]
    left, right = step[..., :-1], step[..., 1:]
    regular = (left != 0) & (right != 0)
    return torch.where(regular, 1 / left, 0), torch.where(regular, 1 / right, 0)
