import dataclasses

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from wskan.errors import ShapeError
from wskan.graph import FeatureConfig, collate, kan_graph, population_of
from wskan.kan import BASES, Population, outputs
from wskan.testing import random_population

EVERYTHING = FeatureConfig(form="raw", knots=True)
DEGREES = {"bspline": 3, "rbf": 0, "chebyshev": 3, "fourier": 0, "wavelet": 1}


def draw(widths: tuple[int, ...], seed: int, basis: str = "bspline", **options: object) -> Population:
    grid = 1 if basis == "chebyshev" else 4
    shape = {"grid": grid, "degree": DEGREES[basis], "basis": basis, **options}
    return random_population(widths, 3, seed, **shape)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    basis=st.sampled_from(list(BASES)),
    base=st.sampled_from(["silu", "identity", "zero"]),
    keep=st.sampled_from([0.6, 1.0]),
    adapted=st.booleans(),
    widths=st.sampled_from([(2, 4, 3), (1, 1), (3, 5, 4, 2)]),
)
def test_a_kan_from_its_graph_computes_the_same(
    seed: int, basis: str, base: str, keep: float, adapted: bool, widths: tuple[int, ...]
) -> None:
    kans = draw(widths, seed, basis, base=base, keep=keep, adapted=adapted, domain=(-1.0, 1.5))
    again = population_of(kan_graph(kans, EVERYTHING), kans.spec)
    assert again.spec == kans.spec
    x = torch.rand(9, widths[0], generator=torch.Generator().manual_seed(seed)) * 3 - 1.5
    torch.testing.assert_close(again(x), kans(x), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(again.layers, kans.layers, strict=True))
    graph = kan_graph(again, EVERYTHING)
    for mine, theirs in zip((*graph.edges, *graph.nodes), _tensors(kans), strict=True):
        assert torch.equal(mine, theirs)


def _tensors(kans: Population) -> tuple[torch.Tensor, ...]:
    graph = kan_graph(kans, EVERYTHING)
    return (*graph.edges, *graph.nodes)


@pytest.mark.parametrize("basis", list(BASES))
def test_neurons_that_fill_up_a_batch_change_nothing(basis: str) -> None:
    narrow, wide = (draw(widths, 1, basis) for widths in ((2, 3, 2, 1), (2, 5, 4, 1)))
    graph = collate([kan_graph(narrow, EVERYTHING), kan_graph(wide, EVERYTHING)])
    again, x = population_of(graph, narrow.spec), torch.rand(9, 2) * 2 - 1
    assert again.spec.widths == (2, 5, 4, 1)
    assert bool(again.is_finite().all())
    torch.testing.assert_close(outputs(again, x), torch.cat([outputs(narrow, x), outputs(wide, x)]))


def test_other_features_are_refused() -> None:
    kans = draw((2, 4, 1), 0)
    for features in (FeatureConfig(form="raw"), FeatureConfig(form="folded", knots=True), FeatureConfig(knots=True)):
        with pytest.raises(ShapeError, match="make the graphs with FeatureConfig"):
            population_of(kan_graph(kans, features), kans.spec)
    with pytest.raises(ShapeError, match="grid 6"):
        population_of(kan_graph(kans, EVERYTHING), dataclasses.replace(kans.spec, grid=6))
