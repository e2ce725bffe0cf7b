"""Random KANs that stay in the domain of their grids on (-1, 1)^in, and other weights for the same functions."""

import dataclasses
import itertools
from collections.abc import Iterator

import torch

from wskan.kan import Permutation, Population, negate_neurons, scale_edges, shift_edges
from wskan.testing import in_domain, random_population

WIDTHS = (2, 5, 4, 3)
RAW = {"widths": WIDTHS, "edge_dim": 9, "node_dim": 5, "grid": 4, "out_dim": 3, "hidden": 16, "num_layers": 3}


def kans_in_domain(seed: int, size: int = 3) -> Population:
    return in_domain(random_population(WIDTHS, size, seed, keep=0.8, adapted=False), seed, points=1000)[0]


def same_functions(kans: Population, seed: int) -> Iterator[tuple[str, Population]]:
    """Return the twins by name of the symmetry."""
    generator = torch.Generator().manual_seed(seed)
    size, widths = len(kans), kans.spec.widths

    def per_edge() -> list[torch.Tensor]:
        return [torch.randn(size, n, m, generator=generator) for n, m in itertools.pairwise(widths)]

    yield "permutation", kans.permute(Permutation.random(widths, size, generator))
    yield "scale", scale_edges(kans, [0.2 + factor.abs() for factor in per_edge()])
    yield "shift", shift_edges(kans, per_edge())
    yield "sign", negate_neurons(kans, [torch.rand(size, n, generator=generator) < 0.5 for n in widths[1:-1]])


def on_a_finer_grid(kans: Population) -> Population:
    """The same splines with a knot more in each interval of the uniform grid."""
    fine = dataclasses.replace(kans.spec, grid=2 * kans.spec.grid)
    x = torch.linspace(*kans.spec.domain, 200, dtype=torch.float64)[:-1]
    values = [spec.basis_functions.values(x, spec.basis_functions.knots().double()) for spec in (fine, kans.spec)]
    matrix = torch.linalg.lstsq(*values).solution.float()  # [C', C]
    knots = fine.basis_functions.knots().expand(1, 1, -1)
    return Population(
        fine, [dataclasses.replace(each, coef=each.coef @ matrix.mT, knots=knots) for each in kans.layers]
    )
