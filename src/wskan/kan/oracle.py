"""Oracle pruning: choose the edges to keep from data, by pykan's scores (paper, sections 5.3 and C.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from wskan.errors import DataError
from wskan.kan.attribution import attribution
from wskan.kan.evaluate import activations
from wskan.kan.population import Population

Score = Literal["attribution", "activation"]
THRESHOLD = 0.01  # the paper's


def edge_scores(population: Population, x: Tensor | None = None, score: Score = "attribution") -> list[Tensor]:
    """Score each edge of each KAN, on N inputs or without data.

    ``"attribution"`` is the score of ``attribute()`` and ``prune_edge`` in pykan 0.2.8 (:func:`wskan.kan.attribution`).
    ``"activation"`` is the mean absolute activation, which pykan's first releases used and the paper's text names. The
    shares of edges that the paper's zoos keep match attribution (docs/decisions).

    Args:
        population: K KANs.
        x: at least two inputs, ``[N, in]`` for all KANs or ``[K, N, in]``; None for attribution without data.
        score: ``"attribution"`` or ``"activation"``.

    Returns:
        ``[K, n_l, n_{l+1}]`` per layer.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite, the score is unknown, or activation is asked for without data.
    """
    if score not in get_args(Score):
        raise DataError(f"unknown score {score!r:.100}; choose from {get_args(Score)}")
    if score == "attribution":
        return list(attribution(population, x).edges)
    if x is None:
        raise DataError("the score activation needs data: give inputs x, or use the score attribution")
    return [layer.edge_mean for layer in activations(population, x)]


def oracle_masks(
    population: Population, x: Tensor, threshold: float = THRESHOLD, score: Score = "attribution"
) -> list[Tensor]:
    """Choose the edges that pykan's ``prune_edge(threshold)`` keeps: existing edges that score more.

    Args:
        population: K KANs.
        x: at least two inputs, ``[N, in]`` for all KANs or ``[K, N, in]``.
        threshold: edges must score more than this.
        score: see :func:`edge_scores`.

    Returns:
        ``[K, n_l, n_{l+1}]`` bool per layer, True for an edge to keep.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite, the score is unknown, or the threshold is NaN.
    """
    return masks_above(population, edge_scores(population, x, score), threshold)


def masks_above(population: Population, scores: Sequence[Tensor], threshold: float) -> list[Tensor]:
    """Find the edges that exist and score more than a threshold, ``[K, n_l, n_{l+1}]`` bool per layer.

    Args:
        population: K KANs.
        scores: ``[K, n_l, n_{l+1}]`` per layer.
        threshold: edges must score more than this.

    Raises:
        DataError: the threshold is NaN.
    """
    if math.isnan(threshold):
        raise DataError("threshold is NaN; give a number")
    return [(s > threshold) & (layer.mask != 0) for s, layer in zip(scores, population.layers, strict=True)]
