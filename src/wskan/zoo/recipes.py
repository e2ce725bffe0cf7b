"""Recipes for the zoos of the paper (C.1.1, C.2.1), for scikit-learn's digits, and for KANs of other bases."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from wskan.errors import DataError, did_you_mean
from wskan.kan import FitConfig, KANSpec
from wskan.reading import shown
from wskan.zoo.recipe import ClassifierConfig, Recipe


def _images(name: str, channels: int, test: int) -> Recipe:
    return Recipe(
        name=f"{name}-inr",
        dataset=name,
        spec=KANSpec(widths=(2, 32, 32, channels), grid=10, degree=3),
        fit=FitConfig(steps=1000, batch_size=128, lr=0.01),
        train=10_000,
        val=5_000,
        test=test,
    )


_BSPLINES = [
    Recipe(
        name="digits-inr",
        dataset="digits",
        spec=KANSpec(widths=(2, 8, 8, 1), grid=5, degree=3),
        fit=FitConfig(steps=400, batch_size=64, lr=0.01),
        train=1_197,
        val=300,
        test=300,
    ),
    _images("mnist", 1, 10_000),
    _images("fashion-mnist", 1, 10_000),
    dataclasses.replace(_images("kmnist", 1, 2_000), train=6_000, val=2_000),  # limited by its test file
    _images("cifar10", 3, 10_000),
    Recipe(
        name="sine-inr",
        dataset="sine",
        spec=KANSpec(widths=(2, 32, 32, 1), grid=30, degree=3),
        # 128 samples are too few to adapt 30 intervals: a tenth of the KANs diverged (docs/decisions)
        fit=FitConfig(steps=1000, batch_size=128, lr=0.01, adapt_grid=False),
        train=800,
        val=100,
        test=100,
    ),
]


def _constant(recipe: Recipe) -> Recipe:
    """Make the recipe with the defaults of pykan's ``fit``, as in the paper.

    The learning rate is constant, and about half of the KANs reach the 40 dB of figure 7.
    """
    fit = dataclasses.replace(recipe.fit, schedule="constant", adapt_grid=True)
    return dataclasses.replace(recipe, name=f"{recipe.name}-constant", fit=fit)


def _classifiers(name: str, *, pixels: int, train: int, val: int, test: int) -> Recipe:
    return Recipe(
        name=f"{name}-classifier",
        dataset=name,
        spec=KANSpec(widths=(pixels, 32, 32, 10), grid=5, degree=3),
        # without a cut-off, coefficients of pixels that are nearly always zero reach 100,000 (docs/decisions)
        fit=FitConfig(steps=100, batch_size=128, lr=0.01, schedule="constant", loss="cross_entropy", rcond=1e-4),
        train=train,
        val=val,
        test=test,
        shard_size=64,
        classifier=ClassifierConfig(),
    )


def _with_basis(name: str, suffix: str, noise_scale: float | None = None, **changes: Any) -> Recipe:
    """Make the recipe for the same signals with KANs of another basis, whose grids are not adapted."""
    recipe = next(recipe for recipe in _BSPLINES if recipe.name == f"{name}-inr")
    spec = dataclasses.replace(recipe.spec, **changes)
    fit = dataclasses.replace(recipe.fit, adapt_grid=False, noise_scale=noise_scale)
    return dataclasses.replace(recipe, name=f"{recipe.name}-{suffix}", spec=spec, fit=fit)


def _fast_kans(name: str, functions: int) -> list[Recipe]:
    """Make recipes of FastKANs with their own defaults, with a finer grid, and with small initial coefficients.

    The finer grid has as many functions as the B-splines, on their domain, and represents signals as well. The small
    coefficients begin a tenth as large, so that training changes them more than their initial values.
    """
    return [
        _with_basis(name, "rbf", basis="rbf", grid=7, degree=0, domain=(-2.0, 2.0)),
        _with_basis(name, "rbf-fine", basis="rbf", grid=functions - 1, degree=0),
        _with_basis(name, "rbf-small", noise_scale=0.01, basis="rbf", grid=functions - 1, degree=0),
    ]


def _all_recipes() -> Iterator[Recipe]:
    for recipe in _BSPLINES:
        yield recipe
        yield _constant(recipe)
    yield from _fast_kans("digits", 8)
    for name in ("mnist", "fashion-mnist", "cifar10"):
        yield from _fast_kans(name, 13)
    yield _with_basis("digits", "chebyshev", basis="chebyshev", grid=1, degree=7)
    yield _with_basis("digits", "fourier", basis="fourier", grid=4, degree=0, domain=(-math.pi, math.pi))
    yield _with_basis("digits", "wavelet", basis="wavelet", grid=2, degree=1)
    yield _classifiers("digits", pixels=64, train=300, val=100, test=100)
    for name in ("mnist", "fashion-mnist", "kmnist"):
        yield _classifiers(name, pixels=784, train=3_000, val=500, test=500)


RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _all_recipes()}
"""All recipes by name."""


def get_recipe(name: str) -> Recipe:
    """Return the recipe of a name.

    Raises:
        DataError: there is no recipe of that name.
    """
    if name not in RECIPES:
        raise DataError(f"no recipe {shown(name)}{did_you_mean(name, RECIPES)}; `wskan zoo recipes` lists them")
    return RECIPES[name]
