"""Weight matching: permute the hidden neurons of KANs so that their parameters come close to those of a reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wskan.align.coordinate_ascent import coordinate_ascent
from wskan.align.features import check_alignable, edge_channels
from wskan.errors import ShapeError
from wskan.kan import Permutation, Population
from wskan.runtime import single_threaded

CHUNK_BYTES = 2**20  # of channels at once, so that a sweep finds them in the cache


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MatchingResult:
    """What :func:`weight_matching` returns.

    Attributes:
        permutation: the permutations found, one a KAN.
        aligned: the K KANs, permuted; each computes what it did before.
        distance_before, distance_after: ``[K]`` float64, squared distance of the channels to those of the reference (eq. 9).
        objective: ``[S + 1, K]`` float64, inner product with the reference (eq. 9) before and after each sweep. It never falls. A KAN
            that was finished earlier keeps its last value.
    """

    permutation: Permutation
    aligned: Population
    distance_before: Tensor
    distance_after: Tensor
    objective: Tensor


def weight_matching(
    population: Population,
    reference: Population,
    *,
    channel_weights: Tensor | None = None,
    tolerance: float = 1e-6,
    max_sweeps: int = 100,
    progress: Callable[[int], None] | None = None,
) -> MatchingResult:
    """Align KANs to a reference (paper, appendix D; Ainsworth et al. 2022, algorithm 1).

    Maximises the inner product of the channels [w_b, w_s, c] of all edges (eqs. 9, 10) over the permutations of the hidden layers by coordinate ascent from the
    identity: exact for one hidden layer, a local maximum for more. Knots move along with their neurons but are not compared.

    Args:
        population: K KANs.
        reference: one KAN for all, or K for pairs.
        channel_weights: ``[F]``, F = C + 2 (G + k + 2 of B-splines), weight of each channel in inner product and distance; None for equal ones, as in the paper.
        tolerance: a KAN is finished when no hidden layer has more than this to gain, relative to the product of the norms.
        max_sweeps: stop after so many in any case.
        progress: called now and then with the number of KANs aligned so far.

    Raises:
        ShapeError: KANs without a hidden layer, of different specifications, or neither one reference nor K.
        DataError: parameters or weights that are not finite.
    """
    if population.spec != reference.spec:
        raise ShapeError(f"cannot align KANs of {population.spec} to one of {reference.spec}")
    size = len(population)
    if len(reference) not in (1, size):
        raise ShapeError(f"{size} KANs need one reference or {size}, got {len(reference)}")
    check_alignable(population.spec, channel_weights)
    common = edge_channels(reference, channel_weights) if len(reference) == 1 else None

    def match(rows: slice) -> tuple[Permutation, Tensor, Tensor, Tensor]:
        target = common or edge_channels(reference[rows], channel_weights, first=rows.start)
        channels = edge_channels(population[rows], channel_weights, first=rows.start)
        permutation, objective = coordinate_ascent(target, channels, tolerance=tolerance, max_sweeps=max_sweeps)
        permuted = permutation.edges(channels)
        return permutation, objective, _distance(target, channels), _distance(target, permuted)

    step = max(1, CHUNK_BYTES // (4 * population.spec.num_parameters))
    chunks = [slice(begin, min(begin + step, size)) for begin in range(0, size, step)]
    results = []
    with single_threaded():
        for rows in chunks:
            results.append(match(rows))
            if progress:
                progress(rows.stop)
    permutation = Permutation.cat([result[0] for result in results])
    return MatchingResult(
        permutation=permutation,
        aligned=population.permute(permutation),
        distance_before=torch.cat([result[2] for result in results]),
        distance_after=torch.cat([result[3] for result in results]),
        objective=_join([result[1] for result in results]),
    )


def _distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Squared, ``[K]`` float64; of the differences, not of the inner products, which would cancel."""
    return torch.stack(
        [(x - y).square().flatten(1).sum(1, dtype=torch.float64) for x, y in zip(a, b, strict=True)]
    ).sum(0)


def _join(histories: list[Tensor]) -> Tensor:
    """Side by side; the shorter ones keep their last row."""
    longest = max(len(history) for history in histories)
    return torch.cat([torch.cat([h, h[-1:].expand(longest - len(h), -1)]) for h in histories], 1)
