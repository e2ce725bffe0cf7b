"""Random symmetries of KANs: what they compute stays the same, their weights do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from wskan.kan import Population

Symmetry = Literal["permutation"]
SYMMETRIES: tuple[str, ...] = get_args(Symmetry)


def augment(population: Population, symmetries: Sequence[Symmetry], seed: int) -> Population:
    """The same functions by other weights: a fresh draw of each symmetry for each KAN, as a function of the seed.

    Args:
        population: K KANs.
        symmetries: ``"permutation"`` reorders the neurons of every hidden layer (paper, Proposition 3.1: the baseline "MLP + Aug.").
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    if "permutation" in symmetries:
        population = population.permute(draw_permutations(population.spec.widths, len(population), generator))
    return population


def draw_permutations(widths: Sequence[int], size: int, generator: torch.Generator) -> list[Tensor]:
    """A uniform permutation ``[size, n_l]`` of each hidden layer of each KAN, apart from what it is applied to: a target on edges has to follow its KAN."""
    return [torch.rand(size, width, generator=generator).argsort(-1) for width in widths[1:-1]]
