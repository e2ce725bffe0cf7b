"""The laws of a group, and of its action."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from wskan.errors import ShapeError
from wskan.kan import KANSpec, Permutation, Population
from wskan.testing import random_permutation, random_population

WIDTHS = (2, 5, 3, 1)
seeds, sizes = st.integers(0, 10**6), st.sampled_from([1, 4])


def draw(seed: int, size: int = 4) -> Permutation:
    return Permutation.random(WIDTHS, size, torch.Generator().manual_seed(seed))


def same(a: Permutation, b: Permutation) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.orders, b.orders, strict=True))


def tensors(kans: Population) -> list[Tensor]:
    return [tensor for layer in kans.layers for tensor in vars(layer).values()]


@given(seeds, sizes, sizes)
def test_laws_of_a_group(seed: int, first: int, second: int) -> None:
    a, b, c = draw(seed, first), draw(seed + 1, second), draw(seed + 2)
    one = Permutation.identity(WIDTHS, first)
    assert same(a.then(b).then(c), a.then(b.then(c)))
    assert same(a.then(one), a)
    assert same(one.then(a), a)
    assert a.then(a.inverse).is_identity
    assert a.inverse.then(a).is_identity
    assert same(a.then(b).inverse, b.inverse.then(a.inverse))


@given(seeds, sizes, sizes)
def test_laws_of_its_action(seed: int, first: int, second: int) -> None:
    kans, a, b = random_population(WIDTHS, 4, seed), draw(seed, first), draw(seed + 1, second)
    twice, once = kans.permute(a).permute(b), kans.permute(a.then(b))
    assert all(torch.equal(x, y) for x, y in zip(tensors(once), tensors(twice), strict=True))
    back = kans.permute(a).permute(a.inverse)
    assert all(torch.equal(x, y) for x, y in zip(tensors(back), tensors(kans), strict=True))


@given(seeds, sizes)
def test_new_neuron_i_is_old_neuron_order_i(seed: int, size: int) -> None:
    kans, permutation = random_population(WIDTHS, 4, seed), draw(seed, size)
    moved = kans.permute(permutation)
    for kan in range(4):
        inner = [order[kan if size == 4 else 0] for order in permutation.orders]
        order = [torch.arange(WIDTHS[0]), *inner, torch.arange(WIDTHS[-1])]
        for index, (new, old) in enumerate(zip(moved.layers, kans.layers, strict=True)):
            assert torch.equal(new.coef[kan], old.coef[kan][order[index]][:, order[index + 1]])
            assert torch.equal(new.knots[kan], old.knots[kan][order[index]])
        assert torch.equal(permutation.edges([layer.mask for layer in kans.layers])[1], moved.layers[1].mask)


def test_random_ones_are_uniform_and_each_kan_has_its_own() -> None:
    first, second = Permutation.random((2, 3, 7, 1), 6000, torch.Generator().manual_seed(0)).orders
    assert (first.shape, second.shape) == ((6000, 3), (6000, 7))
    _, counts = first.unique(dim=0, return_counts=True)
    assert len(counts) == 6  # all of them, each about 1,000 times
    assert int(counts.min()) > 850


def test_rows_and_joining() -> None:
    permutation = draw(0, 6)
    assert same(Permutation.cat([permutation[:2], permutation[torch.tensor([2])], permutation[3:]]), permutation)
    assert len(permutation[-1]) == 1
    assert same(permutation[-1], permutation[5:])
    assert Permutation.identity((2, 1)).is_identity  # no hidden layer: the group of one element
    kans = random_population((2, 1), 3, 0)
    assert all(torch.equal(x, y) for x, y in zip(tensors(kans.permute(Permutation([]))), tensors(kans), strict=True))


def test_a_shared_grid_stays_shared() -> None:
    kans = Population.init(KANSpec(widths=WIDTHS), range(4))
    assert kans.permute(random_permutation(WIDTHS, 0)).uniform_grid


def test_what_is_no_permutation_of_these_kans_is_refused() -> None:
    with pytest.raises(ShapeError, match="not a permutation"):
        Permutation([torch.tensor([0, 0, 1])])
    with pytest.raises(ShapeError, match="same K"):
        Permutation([torch.arange(3).expand(2, 3), torch.arange(3).expand(4, 3)])
    kans = random_population(WIDTHS, 3, 0)
    for wrong in (draw(0, 2), Permutation.identity((2, 3, 5, 1)), Permutation.identity((2, 5, 1))):
        with pytest.raises(ShapeError, match="permutations of their hidden layers"):
            kans.permute(wrong)
    with pytest.raises(ShapeError, match="compose"):
        draw(0, 2).then(draw(0, 3))
    with pytest.raises(ShapeError, match="compose"):
        draw(0).then(Permutation.identity((2, 5, 1)))
    with pytest.raises(ShapeError, match="integers"):
        Permutation([torch.tensor([0.4, 1.9])])
    with pytest.raises(ShapeError, match="at least one permutation"):
        Permutation.cat([])
    for outside in (3, -4):
        with pytest.raises(IndexError, match="among 3"):
            draw(0, 3)[outside]
