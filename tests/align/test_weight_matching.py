import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wskan.align import MatchingResult, align_zoo, merge_many, weight_matching
from wskan.errors import DataError, ShapeError
from wskan.graph import FeatureConfig, kan_graph
from wskan.kan import Permutation, Population
from wskan.testing import FakeZoo, random_permutation, random_population

RAW = FeatureConfig(form="raw")

SEEDS = st.integers(0, 2**31)
SHAPES = st.sampled_from([(2, 3, 1), (1, 4, 3, 2), (2, 5, 1, 4, 1), (3, 2, 4, 3, 2, 1)])


def channels(kans: Population) -> list[Tensor]:
    """Features of the edges as the KAN-graph has them: appendix D compares the same."""
    return [edges.double() for edges in kan_graph(kans, RAW).edges]


def objective(kans: Population, reference: Population, weights: Tensor | None = None) -> Tensor:
    pairs = zip(channels(kans), channels(reference), strict=True)
    return torch.stack([(a * b * (1 if weights is None else weights)).sum((1, 2, 3)) for a, b in pairs]).sum(0)


def distance(kans: Population, reference: Population) -> Tensor:
    pairs = zip(channels(kans), channels(reference), strict=True)
    return torch.stack([(a - b).square().sum((1, 2, 3)) for a, b in pairs]).sum(0)


def best(kans: Population, reference: Population, weights: Tensor | None = None) -> Tensor:
    """The greatest objective over all permutations."""
    every = [
        [torch.tensor(order) for order in itertools.permutations(range(width))] for width in kans.spec.widths[1:-1]
    ]
    return torch.stack(
        [objective(kans.permute(Permutation(choice)), reference, weights) for choice in itertools.product(*every)]
    ).amax(0)


def check(matching: MatchingResult, kans: Population, reference: Population) -> None:
    """What holds of every matching."""
    torch.testing.assert_close(matching.objective[0], objective(kans, reference), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(matching.objective[-1], objective(matching.aligned, reference), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(matching.distance_before, distance(kans, reference), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(matching.distance_after, distance(matching.aligned, reference), rtol=1e-5, atol=1e-3)
    assert bool((matching.objective.diff(dim=0) >= 0).all())
    for a, b in zip(matching.aligned.layers, kans.permute(matching.permutation).layers, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


@given(SHAPES, SEEDS)
def test_laws(widths: tuple[int, ...], seed: int) -> None:
    kans, reference = random_population(widths, 5, seed), random_population(widths, 1, seed + 1)
    matching = weight_matching(kans, reference)
    check(matching, kans, reference)
    assert bool((matching.distance_after <= matching.distance_before + 1e-3).all())
    x = torch.rand(20, widths[0], generator=torch.Generator().manual_seed(seed)) * 2 - 1
    torch.testing.assert_close(matching.aligned(x), kans(x), rtol=1e-4, atol=1e-4)


@given(st.sampled_from([(2, 6, 1), (2, 8, 8, 1), (3, 5, 7, 6, 2)]), SEEDS)
def test_a_permuted_copy_is_recovered(widths: tuple[int, ...], seed: int) -> None:
    kan = random_population(widths, 1, seed)
    disguised = kan.permute(random_permutation(widths, seed))
    matching = weight_matching(disguised, kan)
    scale = float(objective(kan, kan))
    if (
        widths == (2, 6, 1) or float(matching.distance_after) < 0.1 * scale
    ):  # exact for one hidden layer; else the search may end in a local maximum
        assert float(matching.distance_after) <= 1e-10 * scale
        x = torch.rand(20, widths[0]) * 2 - 1
        torch.testing.assert_close(matching.aligned(x), kan(x), rtol=1e-4, atol=1e-4)


def test_deep_copies_are_recovered_almost_always() -> None:
    kans = random_population((2, 8, 8, 1), 64, 0)
    matching = weight_matching(kans.permute(random_permutation((2, 8, 8, 1), 1)), kans)
    assert float((matching.distance_after < 1e-6).double().mean()) > 0.8


@given(SEEDS)
def test_one_hidden_layer_is_solved_exactly(seed: int) -> None:
    kans, reference = random_population((2, 5, 2), 3, seed), random_population((2, 5, 2), 3, seed + 1)
    matching = weight_matching(kans, reference)  # pairs
    torch.testing.assert_close(matching.objective[-1], best(kans, reference), rtol=1e-5, atol=1e-4)
    assert len(matching.objective) <= 3


@given(SEEDS)
def test_nothing_beats_brute_force(seed: int) -> None:
    kans, reference = random_population((2, 3, 4, 1), 2, seed), random_population((2, 3, 4, 1), 1, seed + 1)
    matching = weight_matching(kans, reference)
    assert bool((matching.objective[-1] <= best(kans, reference) + 1e-3).all())
    for index in range(2):  # a local maximum: no other order of one layer alone is better
        for order in itertools.permutations(range((3, 4)[index])):
            orders = [torch.arange(3), torch.arange(4)]
            orders[index] = torch.tensor(order)
            other = objective(matching.aligned.permute(Permutation(orders)), reference)
            assert bool((other <= matching.objective[-1] + 1e-3).all())


@given(SEEDS)
def test_channel_weights(seed: int) -> None:
    kans, reference = random_population((2, 4, 1), 3, seed), random_population((2, 4, 1), 1, seed + 1)
    weights = torch.rand(9, generator=torch.Generator().manual_seed(seed))
    matching = weight_matching(kans, reference, channel_weights=weights)
    torch.testing.assert_close(matching.objective[-1], best(kans, reference, weights), rtol=1e-4, atol=1e-4)
    only_base = torch.tensor([1.0] + [0.0] * 8)
    for layer in (changed := kans[torch.arange(3)]).layers:
        layer.coef.add_(100.0)
    same = [weight_matching(k, reference, channel_weights=only_base).permutation.orders[0] for k in (kans, changed)]
    assert torch.equal(*same)


def test_a_kan_depends_on_no_neighbour_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kans, reference = random_population((2, 6, 5, 1), 40, 0), random_population((2, 6, 5, 1), 40, 1)
    whole = weight_matching(kans, reference)
    assert int((whole.objective.diff(dim=0) > 0).sum(0).unique().numel()) > 1  # they do not all end at once
    seen: list[int] = []
    module = sys.modules["wskan.align.weight_matching"]  # the name in the package is the function
    monkeypatch.setattr(module, "CHUNK_BYTES", 7 * 4 * kans.spec.num_parameters)
    parts = weight_matching(kans, reference, progress=seen.append)
    assert seen == [7, 14, 21, 28, 35, 40]
    alone = weight_matching(kans[17], reference[17])
    for a, b, c in zip(whole.permutation.orders, parts.permutation.orders, alone.permutation.orders, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a[17:18], c)
    torch.testing.assert_close(parts.objective, whole.objective, rtol=1e-6, atol=1e-4)


def test_masked_edges_count_as_zero() -> None:
    kans, reference = random_population((2, 4, 3, 1), 4, 0, keep=0.5), random_population((2, 4, 3, 1), 1, 1, keep=0.5)
    before = weight_matching(kans, reference)
    for layer in (*kans.layers, *reference.layers):
        layer.coef.add_(1e6 * (1 - layer.mask).unsqueeze(-1))
    after = weight_matching(kans, reference)
    torch.testing.assert_close(after.objective, before.objective)


def test_ties_move_nothing() -> None:
    kans, reference = random_population((2, 6, 1), 8, 0, keep=1.0), random_population((2, 6, 1), 1, 1, keep=1.0)
    for index, layer in enumerate(reference.layers):  # all hidden neurons alike, so that any order is as good
        for tensor in (layer.base_weight, layer.spline_weight, layer.coef):
            tensor.copy_(tensor.narrow(2 - index, 0, 1).round())
    for layer in kans.layers:
        for tensor in (layer.base_weight, layer.spline_weight, layer.coef):
            tensor.mul_(4).round_()
    assert torch.equal(weight_matching(kans, reference).permutation.orders[0], torch.arange(6).expand(8, -1))


def test_double_precision_stays() -> None:
    kans = random_population((2, 4, 1), 2, 0).to(torch.float64)
    assert weight_matching(kans, kans[0]).aligned.layers[0].coef.dtype == torch.float64


def test_what_cannot_be_aligned_is_refused() -> None:
    kans = random_population((2, 4, 1), 3, 0)
    flat = random_population((2, 1), 3, 0)
    with pytest.raises(ShapeError, match=r"\[2, 1\] have no hidden layer"):
        weight_matching(flat, flat)
    with pytest.raises(ShapeError, match="cannot align"):
        weight_matching(kans, random_population((2, 4, 1), 1, 0, grid=5))
    with pytest.raises(ShapeError, match="one reference or 3, got 2"):
        weight_matching(kans, kans[:2])
    with pytest.raises(ShapeError, match=r"\[9\], got \[3\]"):
        weight_matching(kans, kans, channel_weights=torch.ones(3))
    with pytest.raises(DataError, match="not negative"):
        weight_matching(kans, kans, channel_weights=-torch.ones(9))
    kans.layers[1].coef[2, 0, 0, 0] = torch.nan
    with pytest.raises(DataError, match=r"\[2\] cannot be aligned"):
        weight_matching(kans, kans[0])


@pytest.mark.parametrize("value", [1e38, 1e20, float("nan"), float("inf")])
def test_weights_whose_products_overflow_are_refused(value: float) -> None:
    kans = random_population((2, 4, 1), 3, 0)
    kans.layers[0].coef[1] = value
    for align in (
        lambda: weight_matching(kans, kans[0]),
        lambda: merge_many(kans),
        lambda: weight_matching(kans[0], kans[1]),
    ):
        with pytest.raises(DataError, match=r"KANs \[[01]\] cannot be aligned: .* exceed 1e\+15"):
            align()


@pytest.mark.parametrize("options", [{"tolerance": float("nan")}, {"tolerance": -1.0}, {"subset": 1}, {"seed": -1}])
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{next(iter(options))}"):
        merge_many(random_population((2, 4, 1), 3, 0), **options)
    with pytest.raises(DataError, match=f"{next(iter(options))}"):
        align_zoo(FakeZoo(), tmp_path / "aligned", **options)
    assert not (tmp_path / "aligned").exists()
