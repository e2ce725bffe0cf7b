"""MergeMany: align many KANs to each other, and take their mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wskan.align.average import average
from wskan.align.coordinate_ascent import coordinate_ascent
from wskan.align.features import check_alignable, edge_channels
from wskan.errors import DataError
from wskan.kan import Permutation, Population
from wskan.reading import number, whole
from wskan.runtime import single_threaded

SWEEP_TOLERANCE, MAX_SWEEPS = 1e-6, 100  # of each alignment, as in `weight_matching`


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MergeResult:
    """What :func:`merge_many` returns.

    Attributes:
        mean: the mean of the aligned KANs, a population of one.
        rows: ``[n]`` int64, which KANs were merged.
        permutation: of each of them, of size n.
        distance: ``[P + 1]`` float64, mean squared distance of the KANs to their mean before and after each pass. It never rises.
        converged: whether the last pass lowered it by no more than the tolerance.
    """

    mean: Population
    rows: Tensor
    permutation: Permutation
    distance: Tensor
    converged: bool


def merge_many(
    population: Population,
    *,
    subset: int = 1000,
    tolerance: float = 1e-3,
    seed: int = 0,
    channel_weights: Tensor | None = None,
    max_passes: int = 100,
    progress: Callable[[int, float], None] | None = None,
) -> MergeResult:
    """MergeMany (Ainsworth et al. 2022, algorithm 3; paper, appendix D.1) on up to ``subset`` of the KANs.

    A pass takes the KANs in random order and aligns each, by weight matching, to the mean of all the others as they then are. The pass that lowers the mean squared
    distance to the mean by no more than ``tolerance`` times what it was is the last. No step can raise it: with S the sum of the KANs it is
    mean |KAN|^2 - |S|^2 / n^2, permutations leave the first term alone, and the alignment of a KAN to S without it raises |S|^2. S is kept up to date, so a step costs the same for any n.

    Args:
        population: K KANs.
        subset: a random choice of so many if K is larger, as in the paper.
        tolerance: see above; 0.001 in the paper, which does not say of what.
        seed: of the choice and of the orders.
        channel_weights: see :func:`wskan.align.weight_matching`.
        max_passes: stop after so many in any case.
        progress: called after each pass with its number and the mean squared distance.

    Raises:
        ShapeError: KANs without a hidden layer.
        DataError: options out of range, fewer than two KANs, or parameters that are not finite.
    """
    if len(population) < 2 or subset < 2:
        raise DataError(f"merging needs at least two KANs, got {len(population)} and a subset of {subset}")
    check_options(subset, tolerance, seed)
    generator = torch.Generator().manual_seed(seed)
    rows = random_rows(len(population), subset, generator)
    if len(rows) < len(population):  # or it would be in memory twice
        population = population[rows]
    check_alignable(population.spec, channel_weights)
    channels, size = edge_channels(population, channel_weights), len(rows)
    steps = [Permutation.identity(population.spec.widths)] * size  # each KAN's permutation so far
    total = [layer.sum(0, keepdim=True, dtype=torch.float64) for layer in channels]
    squares = _squares(channels) / size
    distance = [squares - _squares(total) / size**2]
    converged = False
    while not converged and len(distance) <= max_passes:
        with single_threaded():
            for row in torch.randperm(size, generator=generator).tolist():
                steps[row] = steps[row].then(_align_to_others(row, channels, total))
        distance.append(squares - _squares(total) / size**2)
        converged = distance[-2] - distance[-1] <= tolerance * distance[-2]
        if progress:
            progress(len(distance) - 1, distance[-1])
    del channels  # as large as the KANs
    permutation = Permutation.cat(steps)
    return MergeResult(
        mean=average(population.permute(permutation), torch.full((1, size), 1 / size)),
        rows=rows,
        permutation=permutation,
        distance=torch.tensor(distance, dtype=torch.float64).clamp_min(0),
        converged=converged,
    )


def check_options(subset: int, tolerance: float, seed: int) -> None:
    """Refuse options of :func:`merge_many` that mean nothing.

    Raises:
        DataError: naming the first of them.
    """
    whole(subset, "subset", 2, 2**31)
    number(tolerance, "tolerance", 0, 1)
    whole(seed, "seed", 0, 2**63 - 1)


def _align_to_others(row: int, channels: list[Tensor], total: list[Tensor]) -> Permutation:
    """Align one KAN to the mean of the others: its channels and the sum over all KANs in place. Returns what it took."""
    own = [layer[row : row + 1] for layer in channels]
    others = [s - layer for s, layer in zip(total, own, strict=True)]
    mean = [(s / (len(channels[0]) - 1)).to(layer) for s, layer in zip(others, own, strict=True)]
    step, _ = coordinate_ascent(mean, own, tolerance=SWEEP_TOLERANCE, max_sweeps=MAX_SWEEPS)
    for index, layer in enumerate(step.edges(own)):
        total[index] = others[index] + layer
        channels[index][row] = layer[0]
    return step


def random_rows(size: int, subset: int, generator: torch.Generator) -> Tensor:
    """Which of ``size`` KANs are merged: ``[min(size, subset)]`` int64, in ascending order."""
    return torch.randperm(size, generator=generator)[:subset].sort().values


def _squares(channels: list[Tensor]) -> float:
    return float(sum(layer.double().square().sum() for layer in channels))
