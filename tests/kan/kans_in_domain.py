"""Random KANs in double precision for the laws of symmetries, with inputs on which no activation leaves its grid."""

import itertools

import hypothesis.strategies as st
import torch
from torch import Tensor

from wskan.kan import Population
from wskan.testing import in_domain, random_population

WIDTHS = (2, 4, 3, 2)
seeds, degrees = st.integers(0, 10**6), st.integers(1, 4)
bases, grids, keeps = (
    st.sampled_from(["silu", "identity", "zero"]),
    st.sampled_from(["fixed", "adapted"]),
    st.sampled_from([0.6, 1.0]),
)


def draw(seed: int, degree: int, base: str, grid: str, keep: float) -> tuple[Population, Tensor]:
    """KANs in double precision that stay in their domain on the inputs that come with them."""
    kans = random_population(WIDTHS, 3, seed, degree=degree, keep=keep, base=base, adapted=grid == "adapted").to(
        torch.float64
    )
    return in_domain(kans, seed)


def edges(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, n, m, generator=generator) for n, m in itertools.pairwise(WIDTHS)]


def neurons(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(3, n, generator=generator) < 0.5 for n in WIDTHS[1:-1]]


def assert_same(kans: Population, other: Population, x: Tensor) -> None:
    assert any(not torch.equal(a.coef, b.coef) for a, b in zip(kans.layers, other.layers, strict=True))
    torch.testing.assert_close(other(x), kans(x), rtol=1e-6, atol=1e-6 * float(kans(x).abs().max()))
