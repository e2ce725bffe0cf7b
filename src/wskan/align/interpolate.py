"""Interpolate linearly between two KANs in parameter space."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.align.average import average
from wskan.errors import ShapeError
from wskan.kan import Population


def interpolate(a: Population, b: Population, t: Tensor) -> Population:
    """Return the KANs with parameters (1 - t) a + t b.

    Knots of adapted grids are interpolated as well (:func:`wskan.align.average`). At t = 0 and 1, the KANs are a and b
    with their own grids.

    Args:
        a, b: populations of one KAN each, of the same specification.
        t: ``[T]`` in [0, 1].

    Returns:
        A population of T KANs.

    Raises:
        ShapeError: a or b is not one KAN, their specifications differ, or t is not a vector.
    """
    if len(a) != 1 or len(b) != 1 or t.ndim != 1:
        raise ShapeError(
            f"interpolation needs two populations of one KAN and t of shape [T], got {a}, {b} and {list(t.shape)}"
        )
    return average(Population.cat([a, b]), torch.stack([1 - t, t], 1))


def interpolation_loss(a: Population, b: Population, inputs: Tensor, targets: Tensor, t: Tensor) -> Tensor:
    """Return the mean squared error of the KANs between a and b, ``[T]``.

    Args:
        a, b, t: see :func:`interpolate`.
        inputs: ``[B, in]``.
        targets: ``[B, out]`` for all KANs, or ``[T, B, out]``.
    """
    with torch.no_grad():
        return (interpolate(a, b, t)(inputs) - targets).square().flatten(1).mean(1)
