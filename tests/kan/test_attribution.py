"""Attribution, from data and from the KAN alone: its definition, and what it must not depend on."""

import dataclasses
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from kans_in_domain import WIDTHS, draw, edges, grids, keeps, neurons, seeds
from other_bases import OTHERS, SHAPES, spec_of
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import (
    Attribution,
    KANSpec,
    Layer,
    Permutation,
    Population,
    adapt_grid,
    attribution,
    edge_scores,
    kernel,
    negate_neurons,
    scale_edges,
    shift_edges,
)
from wskan.kan.attribution import EPSILON, adapted_grids, drawn_inputs, grid_deviations
from wskan.testing import random_population


def assert_close(found: Attribution, expected: Attribution, rtol: float = 1e-3) -> None:
    for mine, other in zip((*found.edges, *found.nodes), (*expected.edges, *expected.nodes), strict=True):
        torch.testing.assert_close(mine, other, rtol=rtol, atol=rtol * 1e-2)


def permuted(scores: Attribution, permutation: Permutation) -> Attribution:
    layers = range(len(scores.nodes))
    nodes = tuple(permutation.node_block(block, index) for index, block in zip(layers, scores.nodes, strict=True))
    return Attribution(edges=tuple(permutation.edges(scores.edges)), nodes=nodes)


@given(seeds, grids, keeps, st.booleans())
def test_neurons_score_the_sum_of_the_edges_that_lead_away(seed: int, grid: str, keep: float, data: bool) -> None:
    kans, x = draw(seed, 3, "silu", grid, keep)
    scores = attribution(kans, x if data else None)
    assert [tuple(block.shape) for block in scores.nodes] == [(3, n) for n in WIDTHS]
    for edge, node in zip(scores.edges, scores.nodes, strict=False):
        torch.testing.assert_close(edge.sum(2), node)
    assert torch.equal(scores.nodes[-1], torch.full((3, WIDTHS[-1]), 1 / WIDTHS[-1]))
    for edge, layer in zip(scores.edges, kans.layers, strict=True):
        assert not edge[layer.mask == 0].any(), "a pruned edge accounts for nothing"
        assert edge[layer.mask != 0].any()


@given(seeds)
def test_scores_from_data_are_pykans_formula(seed: int) -> None:
    kans, x = draw(seed, 3, "silu", "adapted", 0.8)
    values, node = x.double(), torch.full((3, WIDTHS[-1]), 1 / WIDTHS[-1], dtype=torch.float64)
    expected = []
    edge_values = []
    for layer in kans.layers:
        terms = Layer(**{**vars(layer), "mask": layer.mask})
        each = torch.stack(
            [_alone(terms, p, kans.spec)(values) for p in range(layer.mask.shape[1])], 2
        )  # [K, B, in, out]
        edge_values.append(each)
        values = each.sum(2)
    for each in reversed(edge_values):
        expected.insert(0, each.std(1) * (node / (each.sum(2).std(1) + EPSILON)).unsqueeze(1))
        node = expected[0].sum(2)
    scores = attribution(kans, x).edges
    assert all(torch.equal(a, b) for a, b in zip(scores, edge_scores(kans, x), strict=True))
    for mine, other in zip(scores, expected, strict=True):
        torch.testing.assert_close(mine.double(), other, rtol=2e-3, atol=1e-4)


def _alone(layer: Layer, neuron: int, spec: KANSpec):  # type: ignore[no-untyped-def]
    mask = torch.zeros_like(layer.mask)
    mask[:, neuron] = layer.mask[:, neuron]
    only = dataclasses.replace(layer, mask=mask)
    return lambda x: only(x, spec)


@given(seeds, st.integers(1, 7), st.sampled_from(["silu", "identity", "zero"]))
def test_a_grid_says_how_much_its_neuron_varies(seed: int, grid: int, base: str) -> None:
    """Against a sample of many points between the knots: the closed form has the middles of few parts."""
    kans = random_population(WIDTHS, 2, seed, grid=grid, base=base)
    edge_std, node_std = grid_deviations(kans)
    sample = torch.linspace(0, 1, 4001)[:-1] * grid
    interval = sample.long()
    for index, layer in enumerate(kans.layers):
        inner = kans.spec.basis_functions.inner(layer.knots)
        x = inner[..., interval] + (sample - interval) * (inner[..., interval + 1] - inner[..., interval])
        if index > 0:
            torch.testing.assert_close(node_std[index - 1], x.std(-1), rtol=0.05, atol=0)
        for p in range(x.shape[1]):
            at = torch.zeros(2, 4000, x.shape[1])
            at[:, :, p] = x[:, p]
            found, expected = edge_std[index][:, p], _alone(layer, p, kans.spec)(at).std(1)
            torch.testing.assert_close(found, expected, rtol=0.3, atol=0.05 * float(expected.max()))
    torch.testing.assert_close(node_std[-1], edge_std[-1].square().sum(1).sqrt())


@given(seeds, grids, keeps)
def test_scores_without_data_follow_permutations(seed: int, grid: str, keep: float) -> None:
    kans, _ = draw(seed, 3, "silu", grid, keep)
    permutation = Permutation.random(WIDTHS, 3, torch.Generator().manual_seed(seed))
    assert_close(attribution(kans.permute(permutation)), permuted(attribution(kans), permutation))


@given(seeds, grids, keeps)
def test_scores_without_data_do_not_depend_on_scale_shift_and_sign(seed: int, grid: str, keep: float) -> None:
    """Exact for grids that adapted. With draws, sign and shift are exact while activations stay in the domain."""
    kans, _ = draw(seed, 3, "silu", grid, keep)
    scores = attribution(kans)
    assert_close(attribution(scale_edges(kans, edges(seed))), scores)
    if grid == "adapted":
        assert_close(attribution(shift_edges(kans, edges(seed))), scores, rtol=5e-3)
        assert_close(attribution(negate_neurons(kans, neurons(seed))), scores, rtol=5e-3)


def test_negated_neurons_have_not_adapted() -> None:
    spec = KANSpec(widths=WIDTHS, domain=(-1.0, 3.0))
    kans = Population.init(spec, range(3), noise_scale=0.01)
    for layer in kans.layers:
        layer.base_weight.mul_(0.1)  # activations stay in the domain
    other = negate_neurons(kans, neurons(1))
    assert not other.uniform_grid
    assert not adapted_grids(other).any()
    assert_close(attribution(other), attribution(kans), rtol=1e-2)


@given(seeds, st.lists(st.booleans(), min_size=1, max_size=5))
def test_kans_are_scored_alone_and_in_company_alike(seed: int, which: list[bool]) -> None:
    """Also where some have grids that adapted and others not."""
    parts = [random_population(WIDTHS, 1, seed + i, adapted=adapted) for i, adapted in enumerate(which)]
    together = Population.cat(parts)
    assert adapted_grids(together).tolist() == which
    scores = attribution(together)
    for index, part in enumerate(parts):
        alone = attribution(part)
        for mine, other in zip((*alone.edges, *alone.nodes), (*scores.edges, *scores.nodes), strict=True):
            torch.testing.assert_close(mine[0], other[index], rtol=1e-4, atol=1e-6)


def test_no_grid_that_adapted_is_taken_for_one_that_did_not() -> None:
    kans = Population.init(KANSpec(widths=WIDTHS), range(3))
    assert not adapted_grids(kans).any()
    assert not adapted_grids(kans.expand_knots().to(torch.float16)).any()
    assert adapted_grids(adapt_grid(kans, torch.rand(3, 200, 2))).all()
    half = kans.expand_knots()
    half.layers[1].knots[1] += 0.1  # one hidden layer of two
    assert not adapted_grids(half).any()
    half.layers[2].knots[1, 0] += 0.1
    assert adapted_grids(half).tolist() == [False, True, False]
    single = Population.init(KANSpec(widths=(3, 2)), range(2))
    assert adapted_grids(single).all(), "without hidden neurons nothing needed to adapt"


@given(seeds, st.booleans())
def test_draws_come_as_often_from_each_interval_and_independently(seed: int, adapted: bool) -> None:
    kans = random_population(WIDTHS, 3, seed, adapted=adapted)
    x = drawn_inputs(kans, 1000)
    assert x.shape == (3 if adapted else 1, 1000, 2)
    inner = kans.spec.basis_functions.inner(kans.layers[0].knots).expand(len(x), 2, -1)
    for interval in range(4):
        low, high = inner[..., interval].unsqueeze(1), inner[..., interval + 1].unsqueeze(1)
        inside = (x >= low) & (x <= high)
        assert (inside.sum(1) - 250).abs().max() <= 2
        middle = torch.where(inside, x, 0).sum(1) / inside.sum(1)
        torch.testing.assert_close(middle, ((low + high) / 2).squeeze(1), rtol=1e-2, atol=1e-3)
    ranks = x[0].argsort(0).argsort(0).float()
    assert abs(float(torch.corrcoef(ranks.T)[0, 1])) < 0.1


@pytest.mark.parametrize("basis", list(SHAPES))
@pytest.mark.parametrize("engine", ["kernel", "torch"])
def test_every_basis_is_scored(basis: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "torch":
        monkeypatch.setattr(kernel, "unavailable", lambda spec: "not in this test")
    kans = Population.init(spec_of(basis), range(3), noise_scale=1.0)
    scores = attribution(kans)
    assert all(bool((block > 0).all()) and bool(block.isfinite().all()) for block in scores.edges)
    if basis in OTHERS:
        assert not adapted_grids(kans.expand_knots()).any()
        assert_close(scores, attribution(kans, drawn_inputs(kans)))


def test_degenerate_kans_have_finite_scores() -> None:
    kans = random_population(WIDTHS, 3, 0)
    none = kans.prune([torch.zeros_like(layer.mask) for layer in kans.layers])
    assert not any(bool(block.any()) for block in attribution(none).edges)
    for layer in kans.layers:
        layer.knots[0] = 0.5  # neurons that never varied
        layer.knots[1, :, 4:7] = layer.knots[1, :, 4:5]
    for population in (kans, kans[:0]):
        scores = attribution(population)
        assert all(bool(block.isfinite().all()) for block in (*scores.edges, *scores.nodes))
    assert [len(block) for block in attribution(kans[:0]).edges] == [0, 0, 0]


def test_few_kans_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for adapted in (True, False):
        kans = random_population(WIDTHS, 5, 0, adapted=adapted)
        whole: list[Tensor] = edge_scores(kans)
        with monkeypatch.context() as context:
            context.setattr(sys.modules["wskan.kan.attribution"], "NUMBERS", 1)
            for mine, other in zip(edge_scores(kans), whole, strict=True):
                torch.testing.assert_close(mine, other)


def test_what_cannot_be_scored_is_told() -> None:
    kans = random_population(WIDTHS, 2, 0)
    with pytest.raises(DataError, match="the score activation needs data: give inputs x"):
        edge_scores(kans, score="activation")
    with pytest.raises(ShapeError, match="x has shape"):
        attribution(kans, torch.zeros(5, 3))
    kans.layers[1].coef[1] = float("nan")
    with pytest.raises(DataError, match=r"not finite: \[1\]"):
        attribution(kans)
