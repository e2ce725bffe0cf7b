"""The straight line between two KANs in parameter space."""

from __future__ import annotations

import torch
from torch import Tensor

from wskan.align.average import average
from wskan.errors import ShapeError
from wskan.kan import Population


def interpolate(a: Population, b: Population, t: Tensor) -> Population:
    """The KANs with parameters (1 - t) a + t b: a population of T.

    Knots of adapted grids are interpolated as well (see :func:`wskan.align.average`): at t = 0 and 1 the KANs are a and b with their own grids, in between every neuron's grid
    lies between its two.

    Args:
        a, b: one KAN each, of one specification.
        t: ``[T]`` in [0, 1].

    Raises:
        ShapeError: not one KAN each, of one specification, or t is not a vector.
    """
    if len(a) != 1 or len(b) != 1 or t.ndim != 1:
        raise ShapeError(f"interpolation is between one KAN and one KAN at [T] points, got {a}, {b}, {list(t.shape)}")
    return average(Population.cat([a, b]), torch.stack([1 - t, t], 1))


def interpolation_loss(a: Population, b: Population, inputs: Tensor, targets: Tensor, t: Tensor) -> Tensor:
    """Mean squared error of the KANs on the line between a and b, ``[T]``.

    Args:
        a, b, t: see :func:`interpolate`.
        inputs: ``[B, in]``.
        targets: ``[B, out]`` for all, or ``[T, B, out]``.
    """
    with torch.no_grad():
        return (interpolate(a, b, t)(inputs) - targets).square().flatten(1).mean(1)
