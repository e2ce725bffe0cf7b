"""Oracle pruning: which edges matter, from data, by pykan's scores (paper, section 5.3 and C.3)."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.kan.evaluate import activations
from wskan.kan.population import Population

Score = Literal["attribution", "activation"]
THRESHOLD = 0.01  # of the paper
EPSILON = 1e-4  # pykan's, against neurons that never vary


def edge_scores(population: Population, x: Tensor, score: Score = "attribution") -> list[Tensor]:
    """A score for each edge of each KAN on N inputs.

    ``"attribution"`` is what ``attribute()`` and ``prune_edge`` of pykan 0.2.8 use: a neuron's score, 1/out for an output, is handed down to its edges in proportion to
    the deviation of their activations, over that of their sum. ``"activation"`` is the mean absolute activation, which pykan's first releases used and the paper's text names; the shares
    of edges that the paper's zoos keep are those of attribution (docs/decisions.md).

    Args:
        population: K KANs.
        x: ``[N, in]`` for all KANs alike, or ``[K, N, in]``; at least two.
        score: which.

    Returns:
        ``[K, n_l, n_{l+1}]`` of each layer.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite, or no such score.
    """
    if score not in get_args(Score):
        raise DataError(f"no score {score!r:.100}; choose from {get_args(Score)}")
    layers = activations(population, x)
    if score == "activation":
        return [layer.edge_mean for layer in layers]
    n_out = population.spec.widths[-1]
    node = torch.full_like(layers[-1].node_std, 1 / n_out)  # pykan's mean over outputs, each of which scores 1
    scores = []
    for layer in reversed(layers):
        scores.append(layer.edge_std * (node / (layer.node_std + EPSILON)).unsqueeze(1))
        node = scores[-1].sum(2)
    return scores[::-1]


def oracle_masks(
    population: Population, x: Tensor, threshold: float = THRESHOLD, score: Score = "attribution"
) -> list[Tensor]:
    """Which edges pykan's ``prune_edge(threshold)`` keeps: those that exist and score more. ``[K, n_l, n_{l+1}]`` bool of each layer.

    Raises:
        ShapeError: x has another shape.
        DataError: x or a KAN is not finite, no such score, or a threshold that is no number.
    """
    if math.isnan(threshold):
        raise DataError("threshold is no number: no edge would be above it")
    scores = edge_scores(population, x, score)
    return [(s > threshold) & (layer.mask != 0) for s, layer in zip(scores, population.layers, strict=True)]
