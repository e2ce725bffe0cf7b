"""B-spline bases (paper, appendix B), batched over KANs and neurons, as pykan 0.2.8 evaluates them.

Shapes: a neuron has its own knots, so every function takes ``knots [..., T]`` with T = G + 2k + 1, and ``x [..., B]`` with the
same leading axes (or ones that broadcast).
"""

from __future__ import annotations

import torch
from torch import Tensor


def uniform_knots(grid: int, degree: int, domain: tuple[float, float]) -> Tensor:
    """Uniform knots t_{-k}, ..., t_{G+k} (appendix B): G intervals on the domain and k more beyond each end. ``[G+2k+1]``."""
    inner = torch.linspace(domain[0], domain[1], grid + 1)
    return extend_knots(inner, degree)


def extend_knots(inner: Tensor, degree: int) -> Tensor:
    """Add k equally spaced knots beyond each end, spaced as the mean interval inside (pykan's ``extend_grid``).

    Args:
        inner: ``[..., G+1]`` knots on the domain.

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
    """All G + k basis functions B_i(x) by the Cox-de Boor recursion (appendix B).

    Outside the extended knots every basis function is zero, so a spline is zero there; between the domain and the last extended
    knot it falls off smoothly. Where knots coincide, pykan turns the whole 0/0 term into zero, and so does this.

    Args:
        x: ``[..., B]``.
        knots: ``[..., T]``, non-decreasing.
        degree: k.

    Returns:
        ``[..., B, T-k-1]``.
    """
    x = x.unsqueeze(-1)
    t = knots.unsqueeze(-2)
    basis = ((x >= t[..., :-1]) & (x < t[..., 1:])).to(x.dtype)
    for k in range(1, degree + 1):
        left = (x - t[..., : -(k + 1)]) / (t[..., k:-1] - t[..., : -(k + 1)])
        right = (t[..., k + 1 :] - x) / (t[..., k + 1 :] - t[..., 1:-k])
        basis = torch.nan_to_num(left * basis[..., :-1] + right * basis[..., 1:])
    return basis
