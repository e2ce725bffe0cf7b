"""MergeMany: align many KANs to each other and average them."""

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

SWEEP_TOLERANCE, MAX_SWEEPS = 1e-6, 100  # for each alignment, as in `weight_matching`


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MergeResult:
    """The result of :func:`merge_many`.

    Attributes:
        mean: the mean of the aligned KANs, a population of one.
        rows: which KANs were merged, ``[n]`` int64.
        permutation: the n permutations of these KANs.
        distance: mean squared distance of the KANs to their mean before and after each pass, ``[P + 1]`` float64. It
            never rises.
        converged: whether the last pass reduced the distance by no more than the tolerance.
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
    """Align up to ``subset`` KANs to each other by MergeMany (Ainsworth et al. 2022, algorithm 3; paper, appendix D.1).

    A pass takes the KANs in random order and aligns each to the current mean of all others by weight matching. The last
    pass is the first that reduces the mean squared distance to the mean by at most the share ``tolerance``.

    No step can increase this distance. With S the sum of n KANs, it is mean |KAN|^2 - |S|^2 / n^2. Permutations do not
    change the first term, and aligning a KAN to the sum of the others increases |S|^2. S is updated in each step, so
    the cost of a step does not depend on n.

    Args:
        population: K KANs.
        subset: if K is larger, merge a random choice of this many, as in the paper.
        tolerance: see above. The paper has 0.001 and does not say relative to what.
        seed: seed of the choice and of the orders.
        channel_weights: see :func:`wskan.align.weight_matching`.
        max_passes: the largest number of passes.
        progress: called after each pass with its number and the mean squared distance.

    Raises:
        ShapeError: The KANs have no hidden layer.
        DataError: An option is out of range, there are fewer than two KANs, or some parameters are not finite.

    Example:
        >>> from wskan.align import merge_many
        >>> from wskan.kan import KANSpec, Population
        >>> kans = Population.init(KANSpec(widths=(2, 5, 1)), seeds=list(range(10)))
        >>> result = merge_many(kans)
        >>> bool(result.distance[-1] < result.distance[0])
        True
    """
    if len(population) < 2 or subset < 2:
        raise DataError(f"merging needs at least two KANs, got {len(population)} and subset {subset}")
    check_options(subset, tolerance, seed)
    generator = torch.Generator().manual_seed(seed)
    rows = random_rows(len(population), subset, generator)
    if len(rows) < len(population):  # otherwise a copy would waste memory
        population = population[rows]
    check_alignable(population.spec, channel_weights)
    channels, size = edge_channels(population, channel_weights), len(rows)
    permutations = [Permutation.identity(population.spec.widths)] * size
    total = [layer.sum(0, keepdim=True, dtype=torch.float64) for layer in channels]
    squares = _squares(channels) / size
    distance = [squares - _squares(total) / size**2]
    converged = False
    while not converged and len(distance) <= max_passes:
        with single_threaded():
            for row in torch.randperm(size, generator=generator).tolist():
                permutations[row] = permutations[row].then(_align_to_others(row, channels, total))
        distance.append(squares - _squares(total) / size**2)
        converged = distance[-2] - distance[-1] <= tolerance * distance[-2]
        if progress:
            progress(len(distance) - 1, distance[-1])
    del channels  # as large as the KANs
    permutation = Permutation.cat(permutations)
    return MergeResult(
        mean=average(population.permute(permutation), torch.full((1, size), 1 / size)),
        rows=rows,
        permutation=permutation,
        distance=torch.tensor(distance, dtype=torch.float64).clamp_min(0),
        converged=converged,
    )


def check_options(subset: int, tolerance: float, seed: int) -> None:
    """Raise if an option of :func:`merge_many` is out of range.

    Raises:
        DataError: The message names the option.
    """
    whole(subset, "subset", 2, 2**31)
    number(tolerance, "tolerance", 0, 1)
    whole(seed, "seed", 0, 2**63 - 1)


def _align_to_others(row: int, channels: list[Tensor], total: list[Tensor]) -> Permutation:
    """Align one KAN to the mean of the others; update its channels and the sum over all KANs in place."""
    kan = [layer[row : row + 1] for layer in channels]
    others = [layer_sum - layer for layer_sum, layer in zip(total, kan, strict=True)]
    mean = [(layer_sum / (len(channels[0]) - 1)).to(layer) for layer_sum, layer in zip(others, kan, strict=True)]
    permutation, _ = coordinate_ascent(mean, kan, tolerance=SWEEP_TOLERANCE, max_sweeps=MAX_SWEEPS)
    for index, layer in enumerate(permutation.edges(kan)):
        total[index] = others[index] + layer
        channels[index][row] = layer[0]
    return permutation


def random_rows(size: int, subset: int, generator: torch.Generator) -> Tensor:
    """Choose which of ``size`` KANs to merge: ``[min(size, subset)]`` int64, in ascending order."""
    return torch.randperm(size, generator=generator)[:subset].sort().values


def _squares(channels: list[Tensor]) -> float:
    return float(sum(layer.double().square().sum() for layer in channels))
