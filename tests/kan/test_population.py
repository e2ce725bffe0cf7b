import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Layer, Permutation, Population
from wskan.testing import random_permutation, random_population


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 6))
def test_permuting_hidden_neurons_keeps_the_function(seed: int, first: int, second: int) -> None:
    population = random_population((2, first, second, 3), 3, seed)
    x = torch.randn(3, 17, 2)
    own = random_permutation((2, first, second, 3), seed, 3)
    torch.testing.assert_close(population.permute(own)(x), population(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(population.permute(own[1])(x), population(x), rtol=1e-4, atol=1e-5)


def test_permuting_outgoing_edges_alone_changes_the_function() -> None:
    population = random_population((2, 5, 1), 1, 0)
    layers = list(population.layers)
    layers[1] = layers[1].map(lambda tensor: tensor.flip(1))
    x = torch.rand(20, 2)
    assert (Population(population.spec, layers)(x) - population(x)).abs().max() > 1e-2


def test_forward_is_the_sum_of_univariate_functions() -> None:
    population = random_population((3, 2), 2, 1)
    layer, x = population.layers[0], torch.randn(9, 3)
    total = torch.zeros(2, 9, 2)
    for p in range(3):
        for q in range(2):
            only = torch.zeros_like(layer.mask)
            only[:, p, q] = layer.mask[:, p, q]
            total += Population(population.spec, [Layer(**{**vars(layer), "mask": only})])(x)
    torch.testing.assert_close(total, population(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("adapted", [False, True])
def test_tensors_round_trip_and_rows(adapted: bool) -> None:
    spec = KANSpec(widths=(2, 3, 1), grid=4)
    population = random_population((2, 3, 1), 4, 2) if adapted else Population.init(spec, range(4))
    assert population.uniform_grid is not adapted
    assert ("layers.0.knots" in population.tensors()) is adapted
    assert ("layers.0.mask" in population.tensors()) is adapted
    x = torch.rand(5, 2)
    again = Population.from_tensors(spec, population.tensors())
    assert torch.equal(again(x), population(x))
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(population[rows](x), population(x)[rows])
    torch.testing.assert_close(population[-1](x), population(x)[-1:])
    torch.testing.assert_close(Population.cat([population[:2], population[2:]])(x), population(x))


def test_joining_uniform_and_adapted_grids() -> None:
    uniform, adapted = Population.init(KANSpec(widths=(2, 3, 1), grid=4), [0]), random_population((2, 3, 1), 1, 0)
    x = torch.rand(5, 2)
    torch.testing.assert_close(Population.cat([uniform, adapted])(x), torch.cat([uniform(x), adapted(x)]))


def test_initial_weights_depend_on_the_seed_alone() -> None:
    spec = KANSpec(widths=(2, 3, 1))
    both, alone = Population.init(spec, [5, 6]), Population.init(spec, [6])
    assert torch.equal(both.layers[1].coef[1], alone.layers[1].coef[0])
    assert not torch.equal(both.layers[1].coef[0], both.layers[1].coef[1])


def test_finite_kans_are_told_apart() -> None:
    population = random_population((2, 3, 1), 3, 0)
    population.layers[1].coef[1, 0, 0, 0] = float("nan")
    assert population.is_finite().tolist() == [True, False, True]


def test_masks_that_are_not_finite_are_refused() -> None:
    kans = random_population((2, 3, 1), 2, 0)
    masks = [layer.mask.clone() for layer in kans.layers]
    masks[1][0, 0, 0] = torch.nan
    with pytest.raises(DataError, match="masks hold NaN"):
        kans.prune(masks)


def test_wrong_shapes_and_keys_are_named() -> None:
    spec = KANSpec(widths=(2, 3, 1), grid=4)
    population = Population.init(spec, [0])
    with pytest.raises(ShapeError, match=r"\(5, 7\)"):
        population(torch.zeros(5, 7))
    with pytest.raises(ShapeError, match="coef"):
        Population(KANSpec(widths=(2, 3, 1), grid=5), population.layers)
    with pytest.raises(ShapeError, match="permutations of their hidden layers"):
        population.permute(Permutation([torch.arange(4)]))
    with pytest.raises(DataError, match=r"layers\.9\.coef"):
        Population.from_tensors(spec, {**population.tensors(), "layers.9.coef": torch.zeros(1)})
    with pytest.raises(DataError, match="lacks"):
        Population.from_tensors(spec, {})


@pytest.mark.parametrize("widths", [(1, 3, 1), (2, 1, 1), (1, 1)])
@given(seed=st.integers(0, 10**6))
def test_each_kan_keeps_its_grid_where_a_layer_has_one_input(widths: tuple[int, ...], seed: int) -> None:
    """Alone, such a KAN's knots have the shape of a grid that all share."""
    kans = random_population(widths, 2, seed)
    x = torch.rand(7, widths[0])
    torch.testing.assert_close(Population.cat([kans[0], kans[1]])(x), kans(x))
    torch.testing.assert_close(Population.cat([kans[0], kans[1], kans])(x), torch.cat([kans(x), kans(x)]))
