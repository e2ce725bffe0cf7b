from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from wskan.errors import DataError, ShapeError
from wskan.kan import KANSpec, Layer, Permutation, Population
from wskan.kan.check_layers import check_knots
from wskan.testing import random_permutation, random_population
from wskan.zoo import RECIPES


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
    with pytest.raises(DataError, match="must not contain NaN"):
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


def broken(name: str, change: Callable[[Tensor], Tensor], *, adapted: bool = True) -> tuple[KANSpec, dict[str, Tensor]]:
    kans = random_population((2, 3, 1), 4, 0, keep=0.5, adapted=adapted)
    tensors = kans.tensors()
    return kans.spec, {**tensors, name: change(tensors[name].clone())}


WRONG: dict[str, tuple[str, Callable[[Tensor], Tensor], str]] = {
    "NaN": ("layers.0.coef", lambda t: t.fill_(float("nan")), "layers.0.coef holds numbers that are not finite"),
    "infinite": ("layers.1.base_weight", lambda t: t.fill_(float("inf")), "layers.1.base_weight holds"),
    "integers": ("layers.0.coef", lambda t: t.long(), "int64"),
    "bool": ("layers.0.mask", lambda t: t.bool(), "bool"),
    "complex": ("layers.0.coef", lambda t: t.to(torch.complex64), "complex64"),
    "float8": ("layers.0.coef", lambda t: t.to(torch.float8_e4m3fn), "float8_e4m3fn"),
    "mixed": ("layers.1.coef", lambda t: t.double(), "float32 and float64"),
    "mixed knots": ("layers.1.knots", lambda t: t.double(), "float32 and float64"),
    "half a mask": ("layers.0.mask", lambda t: t.fill_(0.5), "values other than 0 and 1"),
    "reversed knots": ("layers.0.knots", lambda t: t.flip(-1), "must not decrease"),
    "huge knots": ("layers.0.knots", lambda t: t.mul_(1e30), "must not exceed"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_tensors_from_outside_that_no_kan_has_are_refused(kind: str) -> None:
    name, change, message = WRONG[kind]
    with pytest.raises(DataError, match=message):
        Population.from_tensors(*broken(name, change))


def test_no_kans_are_refused_from_outside() -> None:
    kans = random_population((2, 3, 1), 4, 0)
    with pytest.raises(DataError, match="no KANs"):
        Population.from_tensors(kans.spec, {name: tensor[:0] for name, tensor in kans.tensors().items()})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_precision_comes_back(dtype: torch.dtype) -> None:
    kans = random_population((2, 3, 1), 4, 0, adapted=False).to(dtype)
    assert Population.from_tensors(kans.spec, kans.tensors()).layers[0].coef.dtype == dtype
    spec, tensors = broken("layers.0.knots", lambda t: t.fill_(0.3))
    assert Population.from_tensors(spec, tensors).layers[0].knots.unique().numel() == 1, "an input that never changes"


def test_values_of_mapped_files_are_not_looked_at() -> None:
    spec, tensors = broken("layers.0.coef", lambda t: t.fill_(float("nan")))
    assert not Population.from_tensors(spec, tensors, check_values=False).is_finite().any()


def test_grids_of_every_basis_are_in_order() -> None:
    for recipe in RECIPES.values():
        check_knots(recipe.spec.basis_functions.knots(), recipe.name)
