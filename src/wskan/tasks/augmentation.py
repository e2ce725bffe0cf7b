"""Random symmetries of KANs: what they compute stays the same, their weights do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.kan import Population
from wskan.kan.edges import join_edges, permute_edges, split_edges

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
    return population.permute(_permutations(population.spec.widths, len(population), seed))


def augment_edges(values: Tensor, widths: Sequence[int], symmetries: Sequence[Symmetry], seed: int) -> Tensor:
    """Values of edges, reordered as :func:`augment` reorders the edges with the same arguments: targets follow their KANs.

    Args:
        values: ``[K, E, ...]``, edges in the order of :func:`wskan.kan.edges.join_edges`.
        widths: of the KANs.
        symmetries, seed: see :func:`augment`.
    """
    if "permutation" not in symmetries:
        return values
    permutations = [permutation.to(values.device) for permutation in _permutations(widths, len(values), seed)]
    return join_edges(permute_edges(split_edges(values, widths), permutations))


def _permutations(widths: Sequence[int], size: int, seed: int) -> list[Tensor]:
    return draw_permutations(widths, size, torch.Generator().manual_seed(seed))


def draw_permutations(widths: Sequence[int], size: int, generator: torch.Generator) -> list[Tensor]:
    """A uniform permutation ``[size, n_l]`` of each hidden layer of each KAN."""
    return [torch.rand(size, width, generator=generator).argsort(-1) for width in widths[1:-1]]
