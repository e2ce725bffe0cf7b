import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wskan.align import average, merge_many, weight_matching
from wskan.align.features import edge_channels
from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Population
from wskan.testing import random_permutation, random_population


def spread(kans: Population) -> float:
    """Mean squared distance to the mean, by its definition."""
    return sum(float((c.double() - c.double().mean(0)).square().sum()) for c in edge_channels(kans)) / len(kans)


@given(st.sampled_from([(2, 4, 1), (2, 4, 3, 1)]), st.integers(0, 2**31))
def test_the_mean_distance_falls(widths: tuple[int, ...], seed: int) -> None:
    kans = random_population(widths, 8, seed)
    merge = merge_many(kans, tolerance=0.0, seed=seed)
    aligned = kans.permute(merge.permutation)
    assert merge.converged
    assert bool((merge.distance.diff() <= 1e-9).all())
    assert float(merge.distance[0]) == pytest.approx(spread(kans), rel=1e-5)
    assert float(merge.distance[-1]) == pytest.approx(spread(aligned), rel=1e-5)
    assert float(merge.distance[-1]) < float(merge.distance[0])
    for mean, channels in zip(edge_channels(merge.mean), edge_channels(aligned), strict=True):
        torch.testing.assert_close(mean, channels.mean(0, keepdim=True), rtol=1e-4, atol=1e-5)
    others = average(
        aligned[torch.arange(1, 8)], torch.full((1, 7), 1 / 7)
    )  # converged: nothing is left to gain for any
    matching = weight_matching(aligned[0], others)
    assert float(matching.objective[-1] - matching.objective[0]) <= 1e-3


def test_permuted_copies_merge_to_what_they_are_copies_of() -> None:
    kan = random_population((2, 6, 1), 1, 0)
    copies = Population.cat([kan.permute(random_permutation((2, 6, 1), seed)) for seed in range(6)])
    merge = merge_many(copies)
    assert float(merge.distance[-1]) < 1e-6 < float(merge.distance[0])
    x = torch.rand(30, 2) * 2 - 1
    torch.testing.assert_close(merge.mean(x), kan(x), rtol=1e-3, atol=1e-3)


def test_a_random_subset_and_a_seed() -> None:
    kans = random_population((2, 4, 1), 30, 0)
    seen: list[int] = []
    merge = merge_many(kans, subset=10, seed=3, progress=lambda number, distance: seen.append(number))
    assert len(merge.rows.unique()) == 10
    assert seen == list(range(1, len(merge.distance)))
    assert torch.equal(merge_many(kans, subset=10, seed=3).mean.layers[0].coef, merge.mean.layers[0].coef)
    assert not torch.equal(merge_many(kans, subset=10, seed=4).rows, merge.rows)
    assert merge_many(kans).rows.tolist() == list(range(30))


def test_it_ends_where_the_tolerance_says() -> None:
    kans = random_population((2, 5, 4, 1), 12, 0)
    distance = merge_many(kans, tolerance=0.01).distance
    shares = -distance.diff() / distance[:-1]
    assert bool((shares[:-1] > 0.01).all())
    assert float(shares[-1]) <= 0.01
    cut = merge_many(kans, tolerance=0.0, max_passes=1)
    assert len(cut.distance) == 2
    assert not cut.converged


def test_averages() -> None:
    kans = random_population((2, 3, 1), 3, 0, keep=0.5)
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
    two, x = average(kans, weights), torch.rand(20, 2) * 2 - 1
    torch.testing.assert_close(two(x)[:1], kans[0](x))
    for layer, own in zip(two.layers, kans.layers, strict=True):
        assert bool((layer.knots.diff(dim=-1) > 0).all())
        assert torch.equal(layer.mask[1], own.mask.amax(0))
    uniform = Population.init(KANSpec(widths=(2, 3, 1)), [0, 1, 2])
    assert average(uniform, weights).uniform_grid
    with pytest.raises(ShapeError, match=r"\[T, 3\]"):
        average(kans, torch.ones(3))


def test_too_few_or_no_hidden_layer() -> None:
    with pytest.raises(DataError, match="two KANs"):
        merge_many(random_population((2, 4, 1), 1, 0))
    with pytest.raises(ShapeError, match="no hidden layer"):
        merge_many(random_population((2, 1), 3, 0))
