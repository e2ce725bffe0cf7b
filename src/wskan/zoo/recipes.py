"""The zoos of the paper (C.1.1, C.2.1), small ones for scikit-learn's digits, and zoos of KANs that are not of B-splines."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from wskan.errors import DataError
from wskan.kan import FitConfig, KANSpec
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


_DECAYING = [
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
    dataclasses.replace(_images("kmnist", 1, 2_000), train=6_000, val=2_000),  # all that its test file allows
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
    """The paper's letter: pykan's ``fit`` as it comes. The learning rate never falls, and about half of the KANs reach the 40 dB of figure 7."""
    fit = dataclasses.replace(recipe.fit, schedule="constant", adapt_grid=True)
    return dataclasses.replace(recipe, name=f"{recipe.name}-constant", fit=fit)


def _classifiers(name: str, pixels: int, counts: tuple[int, int, int]) -> Recipe:
    return Recipe(
        name=f"{name}-classifier",
        dataset=name,
        spec=KANSpec(widths=(pixels, 32, 32, 10), grid=5, degree=3),
        # without a cut-off, pixels that are nearly always zero get coefficients of up to a hundred thousand (docs/decisions)
        fit=FitConfig(steps=100, batch_size=128, lr=0.01, schedule="constant", loss="cross_entropy", rcond=1e-4),
        **dict(zip(("train", "val", "test"), counts, strict=True)),
        shard_size=64,
        classifier=ClassifierConfig(),
    )


def _with_basis(name: str, suffix: str, noise_scale: float | None = None, **changes: Any) -> Recipe:
    """The same signals by KANs of another basis, whose grids stay as they are."""
    recipe = next(recipe for recipe in _DECAYING if recipe.name == f"{name}-inr")
    spec = dataclasses.replace(recipe.spec, **changes)
    fit = dataclasses.replace(recipe.fit, adapt_grid=False, noise_scale=noise_scale)
    return dataclasses.replace(recipe, name=f"{recipe.name}-{suffix}", spec=spec, fit=fit)


def _fast_kans(name: str, functions: int) -> list[Recipe]:
    """FastKANs: with its own defaults, eight centres on [-2, 2]; with as many functions as the B-splines have, on their domain, which represents signals as well as those; and these
    with coefficients that begin a tenth as large, so that what they become is not what they were."""
    return [
        _with_basis(name, "rbf", basis="rbf", grid=7, degree=0, domain=(-2.0, 2.0)),
        _with_basis(name, "rbf-fine", basis="rbf", grid=functions - 1, degree=0),
        _with_basis(name, "rbf-small", noise_scale=0.01, basis="rbf", grid=functions - 1, degree=0),
    ]


_OTHER_BASES = [
    *_fast_kans("digits", 8),
    *(recipe for name in ("mnist", "fashion-mnist", "cifar10") for recipe in _fast_kans(name, 13)),
    _with_basis("digits", "chebyshev", basis="chebyshev", grid=1, degree=7),
    _with_basis("digits", "fourier", basis="fourier", grid=4, degree=0, domain=(-math.pi, math.pi)),
    _with_basis("digits", "wavelet", basis="wavelet", grid=2, degree=1),
]


_CLASSIFIERS = [
    _classifiers("digits", 64, (300, 100, 100)),
    *(_classifiers(name, 784, (3_000, 500, 500)) for name in ("mnist", "fashion-mnist", "kmnist")),
]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *(one for decaying in _DECAYING for one in (decaying, _constant(decaying))),
        *_OTHER_BASES,
        *_CLASSIFIERS,
    )
}


def get_recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        DataError: there is none of that name.
    """
    if name not in RECIPES:
        raise DataError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
