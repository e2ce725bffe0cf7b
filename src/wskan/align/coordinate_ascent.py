"""The search of weight matching: hidden layers in turn, each solved exactly, for many KANs at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from wskan.kan import Permutation
from wskan.kan.permutation import reorder

Orders = list[Tensor]  # [K, n_l] per hidden layer: the orders of a Permutation, changed in place


def coordinate_ascent(
    reference: Sequence[Tensor], channels: Sequence[Tensor], *, tolerance: float, max_sweeps: int
) -> tuple[Permutation, Tensor]:
    """Find permutations that locally maximise <reference, permuted channels> (paper, appendix D, eqs. 8 to 10).

    The search starts from the identity. Given the permutations of the neighbouring layers, the best permutation of a
    hidden layer is a linear assignment. A sweep solves the hidden layers in order, inputs first. Gains of at most
    ``tolerance |reference| |channels|`` are ignored. A KAN is finished when no hidden layer has a larger gain. The
    order is fixed, not random as in git-re-basin, so that a KAN's result depends only on itself and the reference.

    Args:
        reference: ``[1 or K, n_l, n_{l+1}, F]`` per layer.
        channels: ``[K, n_l, n_{l+1}, F]`` per layer.
        tolerance: least gain of a step, relative to the largest possible value of the objective.
        max_sweeps: the largest number of sweeps.

    Returns:
        The permutations, and the objective before and after each sweep, ``[S + 1, K]`` float64, which never falls.
    """
    size, device = len(channels[0]), channels[0].device
    hidden = [layer.shape[2] for layer in channels[:-1]]
    orders = [torch.arange(n, device=device).repeat(size, 1) for n in hidden]
    history = [inner_product(reference, channels)]
    least = tolerance * (inner_product(reference, reference) * inner_product(channels, channels)).sqrt()
    # for each KAN, how many of the layers solved last are optimal given all others
    settled = torch.zeros(size, dtype=torch.int64, device=device)
    while bool((settled < len(hidden)).any()) and len(history) <= max_sweeps:
        now = history[-1].clone()
        for index in range(len(hidden)):
            rows = (settled < len(hidden)).nonzero().squeeze(1)
            if len(rows) == 0:
                break
            gain = _solve(reference, channels, orders, index, rows, least)
            now[rows] += gain
            settled[rows] = torch.where(gain > 0, 1, settled[rows] + 1)
        history.append(now)
    return Permutation(orders), torch.stack(history)


def inner_product(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Return the Frobenius inner product over all layers and channels (eq. 9), ``[K]`` float64."""
    return torch.stack([(x * y).flatten(1).sum(1, dtype=torch.float64) for x, y in zip(a, b, strict=True)]).sum(0)


def _solve(
    reference: Sequence[Tensor],
    channels: Sequence[Tensor],
    orders: Orders,
    index: int,
    rows: Tensor,
    least: Tensor,
) -> Tensor:
    """Set the best permutation of one hidden layer for the KANs in ``rows``; return their gains, float64."""
    if len(rows) < len(channels[0]):
        reference = reference if len(reference[0]) == 1 else [layer[rows] for layer in reference]
        channels = [layer[rows] if index <= i <= index + 1 else layer for i, layer in enumerate(channels)]
    value = _values(reference, channels, [order[rows] for order in orders], index).double()
    old, new = orders[index][rows], _assign(value)
    gain = (value.gather(2, new.unsqueeze(2)) - value.gather(2, old.unsqueeze(2))).sum((1, 2))
    better = gain > least[rows]  # a tie changes nothing, or the search might never end
    orders[index][rows] = torch.where(better.unsqueeze(1), new, old)
    return torch.where(better, gain, 0.0)


def _values(reference: Sequence[Tensor], channels: Sequence[Tensor], orders: Orders, index: int) -> Tensor:
    """Return the terms of eq. 8 with old neuron j of hidden layer ``index`` at position i, ``[K, n, n]``."""
    before, after = channels[index], channels[index + 1]  # the incoming and outgoing edges of the layer
    if index > 0:
        before = reorder(before, orders[index - 1], 1)
    if index + 1 < len(orders):
        after = reorder(after, orders[index + 1], 2)
    incoming = _rows(reference[index].transpose(1, 2)) @ _rows(before.transpose(1, 2)).mT
    return incoming + _rows(reference[index + 1]) @ _rows(after).mT


def _rows(layer: Tensor) -> Tensor:
    """Flatten ``[K, n, m, F]`` to ``[K, n, m*F]``."""
    return layer.flatten(2)


def _assign(value: Tensor) -> Tensor:
    """Return the permutation of greatest value for each KAN, ``[K, n]``."""
    solved = [torch.from_numpy(linear_sum_assignment(matrix, maximize=True)[1]) for matrix in value.cpu().numpy()]
    return torch.stack(solved).to(value.device)
