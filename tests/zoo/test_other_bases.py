"""Zoos of KANs of every basis: built, opened, turned into graphs, read by a model."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from wskan.errors import DataError
from wskan.graph import FeatureConfig, Form, kan_graph
from wskan.kan import FitConfig, KANSpec, fit_population
from wskan.models import WSKANConfig, build_model
from wskan.tasks import augment
from wskan.zoo import RECIPES, Recipe, build_zoo, get_recipe, open_zoo

DIGESTS = {  # of recipes that are older than the choice of a basis
    "digits-inr": "b428ac46e88f",
    "mnist-inr": "061944baa747",
    "sine-inr-constant": "9ce07d3d5c28",
    "mnist-classifier": "18ae5e01a2ce",
}
OF_OTHERS = [name for name in RECIPES if name.startswith("digits-inr-") and not name.endswith("constant")]


def test_digests_of_older_recipes_stay() -> None:
    assert {name: get_recipe(name).digest for name in DIGESTS} == DIGESTS


@pytest.mark.parametrize("name", OF_OTHERS)
def test_zoos_are_built_opened_and_read(name: str, tmp_path: Path) -> None:
    recipe = get_recipe(name)
    small = dataclasses.replace(
        recipe,
        dataset="digits",
        spec=dataclasses.replace(recipe.spec, widths=(2, 4, 3, 1)),
        fit=dataclasses.replace(recipe.fit, steps=30, batch_size=32),
        train=5,
        val=2,
        test=2,
        shard_size=4,
    )
    built = build_zoo(small, tmp_path)
    zoo = open_zoo(tmp_path)
    zoo.verify()
    assert (zoo.recipe, zoo.digest) == (small, built.digest)
    assert Recipe.from_dict(small.to_dict()) == small
    kans, x = zoo.population(slice(None)), torch.rand(20, 2) * 2 - 1
    assert kans.spec.basis == recipe.spec.basis
    assert kans.uniform_grid
    forms: tuple[Form, ...] = ("raw", "folded", "function")
    for form in forms:
        features = FeatureConfig(form=form, knots=True)
        graph = kan_graph(kans, features)
        torch.manual_seed(0)
        config = WSKANConfig(
            widths=kans.spec.widths,
            edge_dim=features.edge_dim(kans.spec),
            node_dim=features.node_dim(kans.spec),
            out_dim=3,
            hidden=8,
            num_layers=1,
        )
        output = build_model(config).eval()(graph)
        assert output.shape == (9, 3)
        assert output.isfinite().all()
    other = augment(kans, ("permutation", "scale"), 3)
    torch.testing.assert_close(other(x), kans(x), rtol=1e-4, atol=1e-4)


def test_a_recipe_that_would_adapt_what_stays_is_refused() -> None:
    recipe = get_recipe("digits-inr-rbf")
    with pytest.raises(DataError, match="adapt_grid=False"):
        dataclasses.replace(recipe, fit=FitConfig())


def test_a_small_start_reaches_the_fit_and_a_usual_one_is_not_written_down() -> None:
    small, fine = get_recipe("digits-inr-rbf-small"), get_recipe("digits-inr-rbf-fine")
    assert small.spec == fine.spec
    assert "noise_scale" not in fine.to_dict()["fit"]
    assert Recipe.from_dict(small.to_dict()) == small
    x, y = torch.rand(40, 2), torch.rand(2, 40, 1)
    config = dataclasses.replace(small.fit, steps=0, batch_size=20)
    fresh = fit_population(small.spec, x, y, torch.arange(2), config).population
    torch.testing.assert_close(fresh.layers[1].coef.std(), torch.tensor(0.01), rtol=0.1, atol=0)


def test_fastkans_have_its_own_defaults() -> None:
    spec = get_recipe("mnist-inr-rbf").spec
    assert spec == KANSpec(widths=(2, 32, 32, 1), basis="rbf", grid=7, degree=0, domain=(-2.0, 2.0))
    assert spec.num_basis == 8
    for name in ("digits-inr", "mnist-inr", "cifar10-inr"):
        splines, fine = get_recipe(name).spec, get_recipe(f"{name}-rbf-fine").spec
        assert (fine.num_parameters, fine.domain) == (splines.num_parameters, splines.domain)
    assert get_recipe("digits-inr-fourier").spec.domain == (-math.pi, math.pi)


def test_functions_mean_the_same_for_every_basis_and_parameters_do_not() -> None:
    splines, fast = get_recipe("mnist-inr").spec, get_recipe("mnist-inr-rbf").spec
    function = FeatureConfig(form="function")
    assert function.edge_dim(splines) == function.edge_dim(fast)
    assert function.compatibility_key(splines) == function.compatibility_key(fast)
    for features in (
        FeatureConfig(form="raw"),
        FeatureConfig(form="folded"),
        FeatureConfig(form="function", knots=True),
    ):
        assert features.compatibility_key(splines) != features.compatibility_key(fast)
    assert FeatureConfig(form="raw").compatibility_key(fast) != FeatureConfig().compatibility_key(
        dataclasses.replace(fast, basis="fourier")
    )
