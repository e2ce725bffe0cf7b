"""Kolmogorov-Arnold networks: specification, populations of KANs, and fitting them."""

from wskan.kan.adapt_grid import adapt_grid
from wskan.kan.fit import Engine, FitConfig, FitResult, fit_population
from wskan.kan.minibatches import derive_seed, minibatches
from wskan.kan.population import Layer, Population
from wskan.kan.pykan import from_pykan
from wskan.kan.spec import KANSpec
from wskan.kan.spline import bspline_basis, extend_knots, uniform_knots

__all__ = [
    "Engine",
    "FitConfig",
    "FitResult",
    "KANSpec",
    "Layer",
    "Population",
    "adapt_grid",
    "bspline_basis",
    "derive_seed",
    "extend_knots",
    "fit_population",
    "from_pykan",
    "minibatches",
    "uniform_knots",
]
