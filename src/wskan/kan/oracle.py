"""Oracle pruning: which edges matter, from data, by pykan's scores (paper, section 5.3 and C.3)."""

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
THRESHOLD = 0.01  # of the paper


def edge_scores(population: Population, x: Tensor | None = None, score: Score = "attribution") -> list[Tensor]:
    """A score for each edge of each KAN on N inputs, or without any.

    ``"attribution"`` is what ``attribute()`` and ``prune_edge`` of pykan 0.2.8 use: a neuron's score, 1/out for an
    output, is handed down to its edges in proportion to the deviation of their activations, over that of their sum
    (:func:`wskan.kan.attribution`). ``"activation"`` is the mean absolute activation, which pykan's first releases used
    and the paper's text names; the shares of edges that the paper's zoos keep are those of attribution
    (docs/decisions).

    Args:
        population: K KANs.
        x: ``[N, in]`` for all KANs alike, or ``[K, N, in]``; at least two. None for attribution without data.
        score: which.

    Returns:
        ``[K, n_l, n_{l+1}]`` of each layer.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite, no such score, or activation without data.
    """
    if score not in get_args(Score):
        raise DataError(f"no score {score!r:.100}; choose from {get_args(Score)}")
    if score == "attribution":
        return list(attribution(population, x).edges)
    if x is None:
        raise DataError("activation is measured on data: give inputs x, or ask for the score attribution")
    return [layer.edge_mean for layer in activations(population, x)]


def oracle_masks(
    population: Population, x: Tensor, threshold: float = THRESHOLD, score: Score = "attribution"
) -> list[Tensor]:
    """Which edges pykan's ``prune_edge(threshold)`` keeps: those that exist and score more. ``[K, n_l, n_{l+1}]`` bool of each layer.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite, no such score, or a threshold that is no number.
    """
    return masks_above(population, edge_scores(population, x, score), threshold)


def masks_above(population: Population, scores: Sequence[Tensor], threshold: float) -> list[Tensor]:
    """Tell which edges exist and score more than a threshold, ``[K, n_l, n_{l+1}]`` bool of each layer.

    Args:
        population: K KANs.
        scores: ``[K, n_l, n_{l+1}]`` of each layer.
        threshold: what a score must exceed.

    Raises:
        DataError: a threshold that is no number.
    """
    if math.isnan(threshold):
        raise DataError("threshold is no number: no edge would be above it")
    return [(s > threshold) & (layer.mask != 0) for s, layer in zip(scores, population.layers, strict=True)]
