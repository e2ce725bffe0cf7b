"""Weight matching: permute the hidden neurons of KANs to bring their parameters close to those of a reference."""

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

CHUNK_BYTES = 2**20  # of channels at once, so that they stay in cache during a sweep


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MatchingResult:
    """The result of :func:`weight_matching`.

    Attributes:
        permutation: the K permutations.
        aligned: the K permuted KANs. Each computes the same function as before.
        distance_before, distance_after: squared distance of the channels to those of the reference (eq. 9), ``[K]``
            float64.
        objective: inner product with the reference (eq. 9) before and after each sweep, ``[S + 1, K]`` float64. It
            never falls. KANs that finish early repeat their last value.
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

    Maximise the inner product of the channels [w_b, w_s, c] of all edges (eqs. 9, 10) over permutations of the hidden
    layers, by coordinate ascent from the identity. With one hidden layer, the result is the maximum; with more, a local
    maximum. Knots move with their neurons but are not compared.

    Args:
        population: K KANs.
        reference: one KAN for all, or K KANs for pairs.
        channel_weights: weight of each channel in inner product and distance, ``[F]`` with F = C + 2 (G + k + 2 for
            B-splines). By default all are 1, as in the paper.
        tolerance: a KAN is finished when no hidden layer has a larger gain than this, relative to the product of the
            norms.
        max_sweeps: the largest number of sweeps.
        progress: called from time to time with the number of KANs aligned so far.

    Raises:
        ShapeError: The KANs have no hidden layer, specifications differ, or there are neither one nor K references.
        DataError: Some parameters or weights are not finite.

    Example:
        >>> import torch
        >>> from wskan.align import weight_matching
        >>> from wskan.kan import KANSpec, Permutation, Population
        >>> kan = Population.init(KANSpec(widths=(2, 5, 1)), seeds=[0])
        >>> permuted = kan.permute(Permutation([torch.tensor([[4, 2, 0, 1, 3]])]))
        >>> result = weight_matching(permuted, kan)
        >>> torch.equal(result.aligned.layers[0].coef, kan.layers[0].coef)
        True
    """
    if population.spec != reference.spec:
        raise ShapeError(f"cannot align KANs of {population.spec} to a reference of {reference.spec}")
    size = len(population)
    if len(reference) not in (1, size):
        raise ShapeError(f"{size} KANs need one reference or {size}, got {len(reference)}")
    check_alignable(population.spec, channel_weights)
    shared_target = edge_channels(reference, channel_weights) if len(reference) == 1 else None

    def match(rows: slice) -> tuple[Permutation, Tensor, Tensor, Tensor]:
        target = shared_target or edge_channels(reference[rows], channel_weights, first=rows.start)
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
    """Return the squared distance, ``[K]`` float64, from differences, because inner products would cancel."""
    return torch.stack(
        [(x - y).square().flatten(1).sum(1, dtype=torch.float64) for x, y in zip(a, b, strict=True)]
    ).sum(0)


def _join(histories: list[Tensor]) -> Tensor:
    """Concatenate histories of KANs; shorter ones repeat their last row."""
    longest = max(len(history) for history in histories)
    return torch.cat([torch.cat([h, h[-1:].expand(longest - len(h), -1)]) for h in histories], 1)
