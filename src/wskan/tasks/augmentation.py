"""Random symmetries of KANs: what they compute stays the same, their weights do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.kan import Permutation, Population
from wskan.kan.edges import join_edges, split_edges

Symmetry = Literal["permutation"]
SYMMETRIES: tuple[str, ...] = get_args(Symmetry)


def augment(population: Population, symmetries: Sequence[Symmetry], seed: int) -> Population:
    """The same functions by other weights: a fresh draw of each symmetry for each KAN, as a function of the seed.

    Args:
        population: K KANs.
        symmetries: ``"permutation"`` reorders the neurons of every hidden layer (paper, Proposition 3.1: the baseline "MLP + Aug.").
        seed: of the draw.
    """
    if "permutation" not in symmetries:
        return population
    return population.permute(_permutation(population.spec.widths, len(population), seed))


def augment_edges(values: Tensor, widths: Sequence[int], symmetries: Sequence[Symmetry], seed: int) -> Tensor:
    """Values of edges, reordered as :func:`augment` reorders the edges with the same arguments: targets follow their KANs.

    Args:
        values: ``[K, E, ...]``, edges in the order of :func:`wskan.kan.edges.join_edges`.
        widths: of the KANs.
        symmetries, seed: see :func:`augment`.
    """
    if "permutation" not in symmetries:
        return values
    return join_edges(_permutation(widths, len(values), seed).edges(split_edges(values, widths)))


def _permutation(widths: Sequence[int], size: int, seed: int) -> Permutation:
    return Permutation.random(widths, size, torch.Generator().manual_seed(seed))
